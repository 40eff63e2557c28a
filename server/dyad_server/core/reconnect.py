"""Coming back: a new connection, by a resume token, takes a held seat again."""

from collections.abc import Callable

from dyad_server.core.commands import Enter
from dyad_server.core.events import Output
from dyad_server.core.participant import Connection, Participant
from dyad_server.core.ports import Broker, Found, Observer
from dyad_server.core.registry import Registry
from dyad_server.errors import Ended, Forbidden, OutOfStep, Replaced, Unavailable

# Token, user, room: has another node's participant come here.
Claim = Callable[[str, str, str, Found], None]
End = Callable[[Participant, Ended | None], None]

# Why a connection ends that had a seat, or wanted it back.
GONE = "That seat is no longer held: join again."
REPLACED = "The same user joined this room from another connection."
RESUMED = "The seat was taken over with its resume token."


class Reconnect:
    """The connections that come back, until the broker has given them their seat."""

    def __init__(
        self,
        broker: Broker,
        registry: Registry,
        observer: Observer,
        end: End,
        claim: Claim | None,
    ) -> None:
        """Give back seats of `broker`.

        Args:
            broker: gives back the seats.
            registry: knows the participants.
            observer: is told of those who are back.
            end: ends a session.
            claim: `Handoff.claim`, if there are other nodes.
        """
        self._claim = claim
        self._broker = broker
        self._roster = registry
        self._observer = observer
        self._end = end
        # By participant, not by member: one that leaves becomes another member.
        self._connections: dict[Participant, Connection] = {}

    def begin(self, connection: Connection, ack: int, enter: Enter) -> None:
        """Let a connection have the session, and soon the seat, of its resume token.

        Args:
            connection: what came; nothing was taken in from it before.
            ack: up to which number it has what was sent to that session.
            enter: names token and room.
        """
        fresh = connection.participant
        user_id = fresh.identity.user_id
        held = self._roster.tokens.owner(enter.resume_token, user_id, enter.room_id)
        if held is not None:
            self._take_over(connection, ack, enter, held)
        elif self._claim is not None:

            def claimed(found: Participant | Ended | None) -> None:
                if isinstance(found, Ended):
                    self._end(fresh, found)
                elif found is None:
                    self._refuse(fresh, enter.room_id)
                elif connection.open:
                    self.begin(connection, ack, enter)

            # Nothing else counts from it until there is an answer.
            fresh.spoke = True
            self._claim(enter.resume_token, user_id, enter.room_id, claimed)
        else:
            self._refuse(fresh, enter.room_id)

    def _refuse(self, fresh: Participant, room_id: str) -> None:
        """End one whose token gives no seat back; it may join again unless its user sits there.

        Or a device that wakes up would take the seat from the one that its user
        has gone on with, and that one would take it back.
        """

        def known(taken: bool | None) -> None:  # noqa: FBT001 - as the broker says it
            if taken is None:
                self._end(fresh, Unavailable("Rooms are out of reach: come back soon."))
            elif taken:
                self._end(fresh, Replaced(REPLACED))
            else:
                self._end(fresh, OutOfStep(GONE))

        fresh.spoke = True
        self._broker.seats_user(room_id, fresh.identity.user_id, known)

    def _take_over(self, connection: Connection, ack: int, enter: Enter, held: Participant) -> None:
        fresh = connection.participant
        if fresh.identity.room not in (None, held.room_id):
            self._end(fresh, Forbidden("The token is for another room."))
            return
        self._roster.forget_broken(held)
        for before in (held.connection, self.of(held)):
            if before is not None:
                self._roster.disconnect(before, Replaced(RESUMED))
        if not held.session.rewind(ack):
            self._end(held, None)
            self._end(fresh, OutOfStep("What is missing is kept no longer: join again."))
            return
        # The session that this connection began with ends without a word.
        fresh.connection = None
        connection.participant = held
        self._end(fresh, None)
        # It came in time, however long the broker takes to answer.
        self._roster.hold(held, None)
        self._roster.tokens.rotate(held, enter.resume_token)
        self._connections[held] = connection
        self._broker.resume(held.room_id, held.member.id)

    def seated(self, participant: Participant, joined: Output) -> None:
        """The broker has given the seat back: go on where the connection before broke."""
        connection = self._connections.pop(participant, None)
        if connection is None or not connection.open:
            # It is gone again, and the grace time has begun again, or another one has come.
            return
        participant.connection = connection
        participant.session.put_first(joined)
        self._observer.resumed()
        connection.outlet.wake()

    def of(self, participant: Participant) -> Connection | None:
        """The connection that is just coming back to this one's seat."""
        return self._connections.get(participant)

    def give_up(self, participant: Participant) -> Connection | None:
        """The same, which has no seat to come back to any more."""
        return self._connections.pop(participant, None)
