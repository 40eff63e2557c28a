"""Coming back: a new connection, by a resume token, takes a held seat again."""

from collections.abc import Callable

from dyad_server.broker import Broker
from dyad_server.errors import Ended, Forbidden, OutOfStep
from dyad_server.inputs import Enter
from dyad_server.observer import Observer
from dyad_server.participant import Connection, Participant
from dyad_server.rooms import Output
from dyad_server.roster import Roster

Found = Callable[[Participant | Ended], None]
# Token, user, room: has another node's participant come here.
Claim = Callable[[str, str, str, Found], None]
End = Callable[[Participant, Ended | None], None]


class Returning:
    """The connections that come back, until the broker has given them their seat.

    Attributes:
        claim: set by the fleet, where there is one.
    """

    def __init__(self, broker: Broker, roster: Roster, observer: Observer, end: End) -> None:
        """Give back seats of `broker`; `end` ends a session."""
        self.claim: Claim | None = None
        self._broker = broker
        self._roster = roster
        self._observer = observer
        self._end = end
        self._connections: dict[str, Connection] = {}

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
        elif self.claim is not None:

            def claimed(found: Participant | Ended) -> None:
                if isinstance(found, Ended):
                    self._end(fresh, found)
                elif connection.open:
                    self.begin(connection, ack, enter)

            # Nothing else counts from it until there is an answer.
            fresh.spoke = True
            self.claim(enter.resume_token, user_id, enter.room_id, claimed)
        else:
            self._end(fresh, OutOfStep("That seat is no longer held: join again."))

    def _take_over(self, connection: Connection, ack: int, enter: Enter, held: Participant) -> None:
        fresh = connection.participant
        if fresh.identity.room not in (None, held.room_id):
            self._end(fresh, Forbidden("The token is for another room."))
            return
        self._roster.forget_broken(held)
        for before in (held.connection, self.of(held)):
            if before is not None:
                self._roster.disconnect(before, OutOfStep("The seat was taken over."))
        if not held.session.rewind(ack):
            self._end(held, None)
            self._end(fresh, OutOfStep("What is missing is kept no longer: join again."))
            return
        # The session that this connection began with ends without a word.
        fresh.connection = None
        connection.participant = held
        self._end(fresh, None)
        self._roster.tokens.rotate(held, enter.resume_token)
        self._connections[held.member.id] = connection
        self._broker.resume(held.room_id, held.member.id)

    def seated(self, participant: Participant, joined: Output) -> None:
        """The broker has given the seat back: go on where the connection before broke."""
        connection = self._connections.pop(participant.member.id, None)
        if connection is None or not connection.open:
            if participant.connection is None:
                # It is gone again: the grace time goes on.
                self._broker.hold(participant.room_id, participant.member.id)
            return
        self._roster.hold(participant, None)
        participant.connection = connection
        participant.session.put_first(joined)
        self._observer.resumed()
        connection.outlet.wake()

    def of(self, participant: Participant) -> Connection | None:
        """The connection that is just coming back to this one's seat."""
        return self._connections.get(participant.member.id)

    def give_up(self, participant: Participant) -> Connection | None:
        """The same, which has no seat to come back to any more."""
        return self._connections.pop(participant.member.id, None)
