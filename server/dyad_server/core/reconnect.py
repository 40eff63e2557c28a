"""Reconnecting: a new connection resumes a reserved seat, by its resume token.

The steps are `Step.RESUME` and `Step.RETURN` of `states`. Where the seat is on
another node, `Handoff.claim` brings it here first.
"""

from collections.abc import Callable

from dyad_server.core.commands import Enter
from dyad_server.core.events import Output
from dyad_server.core.lifecycle import SEAT_GONE, Lifecycle
from dyad_server.core.participant import Connection, Participant
from dyad_server.core.ports import Broker, Found, Observer
from dyad_server.core.registry import Registry
from dyad_server.core.states import State
from dyad_server.errors import Ended, Forbidden, Reason, Replaced, SeatLost, Unavailable

# `Handoff.claim`: token, user, room.
Claim = Callable[[str, str, str, Found], None]

REPLACED = "The same user joined this room from another connection."
RESUMED = "The seat was taken over with its resume token."
UNREACHABLE = "Rooms are out of reach: reconnect soon."


class Reconnect:
    """Gives participants their seats back."""

    def __init__(
        self,
        broker: Broker,
        registry: Registry,
        lifecycle: Lifecycle,
        observer: Observer,
        claim: Claim | None,
    ) -> None:
        """Give back the seats of `broker`; `claim` finds those on other nodes, if there are any."""
        self._broker = broker
        self._registry = registry
        self._lifecycle = lifecycle
        self._observer = observer
        self._claim = claim

    def begin(self, connection: Connection, ack: int, enter: Enter) -> None:
        """Give a new connection the session of its resume token, and soon the seat.

        Args:
            connection: it has sent no frame before.
            ack: the last number that its client has received in that session.
            enter: the token and the room.
        """
        fresh = connection.participant
        user_id = fresh.identity.user_id
        owner = self._registry.tokens.owner(enter.resume_token, user_id, enter.room_id)
        if owner is not None:
            self._take_over(connection, ack, enter, owner)
        elif self._claim is not None:

            def claimed(found: Participant | Ended | None) -> None:
                if isinstance(found, Ended):
                    self._deny(fresh, found)
                elif found is None:
                    self._refuse(fresh, enter.room_id)
                elif connection.open:
                    self.begin(connection, ack, enter)

            # It may not resume once more before there is an answer.
            fresh.speak()
            self._claim(enter.resume_token, user_id, enter.room_id, claimed)
        else:
            self._refuse(fresh, enter.room_id)

    def _refuse(self, fresh: Participant, room_id: str) -> None:
        """End a participant whose token gives no seat back.

        Its client may join again, unless its user has a seat in that room by now.
        Otherwise a device that wakes up would take the seat of the device that its
        user went on with, and that one would take it back.
        """

        def known(taken: bool | None) -> None:  # noqa: FBT001 - as the broker says it
            if taken is None:
                self._deny(fresh, Unavailable(UNREACHABLE))
            elif taken:
                self._deny(fresh, Replaced(REPLACED))
            else:
                self._deny(fresh, SeatLost(SEAT_GONE))

        fresh.speak()
        self._broker.seats_user(room_id, fresh.identity.user_id, known)

    def _take_over(
        self, connection: Connection, ack: int, enter: Enter, owner: Participant
    ) -> None:
        fresh = connection.participant
        if fresh.identity.room not in (None, owner.room_id):
            self._deny(fresh, Forbidden("The token is for another room."))
            return
        for before in (owner.connection, owner.coming):
            if before is not None:
                self._registry.disconnect(before, Replaced(RESUMED, Reason.RESUMED))
        if not owner.session.rewind(ack):
            self._lifecycle.end(owner)
            sentence = "The missing frames are no longer kept: join again."
            self._deny(fresh, SeatLost(sentence, Reason.FRAMES_GONE))
            return
        # The session that this connection began with ends without a word.
        fresh.give_up(connection)
        connection.move_to(owner)
        # This ends the grace time: the client came in time, however long the broker takes.
        self._registry.resume(owner, connection)
        self._registry.tokens.rotate(owner, enter.resume_token)
        self._lifecycle.end(fresh)
        if not owner.gone:
            self._broker.resume(owner.room_id, owner.member.id)

    def _deny(self, fresh: Participant, failure: Ended) -> None:
        self._observer.resume_refused(fresh, failure)
        self._lifecycle.end(fresh, failure)

    def seated(self, participant: Participant, joined: Output) -> None:
        """Go on where the last connection broke: the broker has given the seat back."""
        if participant.state is not State.RESUMING:
            # The new connection has broken as well, or an earlier answer was enough.
            return
        participant.return_to_seat(joined)
        self._observer.resumed(participant)
        if participant.connection is not None:
            participant.connection.outlet.wake()
