"""The ends of participants and of their connections, and the seats that stay reserved."""

from dyad_server.core.clock import Clock, Timer
from dyad_server.core.events import Departure
from dyad_server.core.limits import Limits
from dyad_server.core.participant import Connection, Participant
from dyad_server.core.ports import Broker, Observer
from dyad_server.core.registry import Registry
from dyad_server.errors import Ended, OutOfTime, Reason, SeatLost

SEAT_GONE = "That seat is no longer reserved: join again."


class Lifecycle:
    """Ends participants when they ask for it, fail, or have waited too long."""

    def __init__(
        self, broker: Broker, registry: Registry, limits: Limits, observer: Observer, clock: Clock
    ) -> None:
        """Free the seats of `broker`, keep `registry` up to date, wait as `limits` say."""
        self._broker = broker
        self._registry = registry
        self._limits = limits
        self._observer = observer
        self._clock = clock

    # Ends.

    def end(self, participant: Participant, failure: Ended | None = None) -> None:
        """End a session and free its seat; harmless if it has ended.

        Args:
            participant: the session.
            failure: what its client is told; None if the connection is gone.
        """
        if not participant.gone:
            self.strike(participant)
            self.clear(participant, failure)

    def strike(self, participant: Participant) -> None:
        """Take a participant off the registry, so that it is told nothing more; then `clear` it."""
        if not participant.gone:
            self._registry.remove(participant)
            participant.end()

    def clear(self, participant: Participant, failure: Ended | None) -> None:
        """Free the seat of a participant that was struck off, and end its connection."""
        if room_id := participant.room_id:
            self._broker.leave(room_id, participant.member.id, Departure.DISCONNECTED, reply_to=0)
        self._disconnect(participant, failure)

    def let_go(self, participant: Participant, failure: Ended) -> None:
        """Forget a participant that goes on at another node; `failure` ends its connection."""
        self._disconnect(participant, failure)
        self._registry.remove(participant)
        participant.hand_off()

    def _disconnect(self, participant: Participant, failure: Ended | None) -> None:
        if participant.coming is not None:
            # Also where the client itself has ended the session by a `Send`: a stream
            # without an answer or a status would stay open.
            self._registry.disconnect(participant.coming, failure or SeatLost(SEAT_GONE))
        if participant.connection is not None:
            self._registry.disconnect(participant.connection, failure)

    # Reserved seats.

    def reserve(self, connection: Connection, failure: Ended | None, *, grace: bool) -> None:
        """Reserve the seat of a participant whose connection is over.

        Args:
            connection: the connection.
            failure: what its client is told; None if the connection is gone.
            grace: end the participant after the grace time; if not, a drain takes
                care of it.
        """
        participant = connection.participant
        self._registry.disconnect(connection, failure)
        self._registry.reserve(participant, connection, self._grace(participant) if grace else None)
        if grace and not participant.leaving:
            self._observer.reserved()

    def adopt(self, participant: Participant, *, alone: bool, grace: bool) -> None:
        """Add a participant that another node has handed off; its client is to reconnect."""
        self._registry.adopt(participant)
        if alone:
            self.await_peer(participant)
        if grace:
            participant.reserve_until(self._grace(participant))
            self._observer.reserved()

    def _grace(self, participant: Participant) -> Timer:
        return self._clock.call_later(self._limits.resume_grace, self._expire, participant)

    def _expire(self, participant: Participant) -> None:
        if not participant.leaving:
            self._observer.expired()
        self.end(participant)

    # Time limits.

    def await_join(self, participant: Participant) -> None:
        """End a participant that does not join a room in time."""
        failure = OutOfTime("No join_room came in time.", Reason.NO_JOIN)
        self._wait(participant, self._limits.join_timeout, failure)

    def await_peer(self, participant: Participant) -> None:
        """End a participant that stays alone in its room for too long."""
        participant.alone(self._clock.monotonic())
        failure = OutOfTime("Nobody else joined the room in time.", Reason.NO_PEER)
        self._wait(participant, self._limits.lone_timeout, failure)

    def _wait(self, participant: Participant, seconds: float, failure: OutOfTime) -> None:
        participant.wait(self._clock.call_later(seconds, self.end, participant, failure))
