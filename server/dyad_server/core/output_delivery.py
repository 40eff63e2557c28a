"""What the engine tells participants: it changes their state, and waits in their sessions."""

from dyad_server.core.clock import Clock
from dyad_server.core.counts import Counts
from dyad_server.core.events import (
    EngineUnavailable,
    Evicted,
    Forwarded,
    Joined,
    Left,
    OutOfSync,
    Output,
    PeerJoined,
    PeerLeft,
    Refused,
)
from dyad_server.core.lifecycle import Lifecycle
from dyad_server.core.participant import Participant
from dyad_server.core.ports import ENGINE_AWAY, FIRST, SECOND, Observer
from dyad_server.core.reconnect import REPLACED, UNREACHABLE, Reconnect
from dyad_server.core.registry import Registry
from dyad_server.core.states import State
from dyad_server.errors import Overloaded, Reason, Replaced, SeatLost, Unavailable


class OutputDelivery:
    """Takes the outputs of the engine, in their order."""

    def __init__(  # noqa: PLR0917 - the parts of the hub
        self,
        registry: Registry,
        lifecycle: Lifecycle,
        reconnect: Reconnect,
        observer: Observer,
        clock: Clock,
        counts: Counts,
    ) -> None:
        """Find participants in `registry`, and let `observer` know how they join."""
        self._registry = registry
        self._lifecycle = lifecycle
        self._reconnect = reconnect
        self._observer = observer
        self._clock = clock
        self._counts = counts

    def deliver(self, output: Output) -> None:
        """Act on an output, and tell it to its participant if there is one."""
        participant = self._registry.get(output.to)
        if participant is None:
            return
        match output.event:
            case Forwarded():
                # Most outputs are of this kind, and change no state.
                self.tell(participant, output)
            case Joined(resumed=True):
                self._reconnect.seated(participant, output)
            case Evicted():
                participant.unseat()
                self._lifecycle.end(participant, Replaced(REPLACED))
            case EngineUnavailable():
                participant.unseat()
                self._observer.joined(participant, ENGINE_AWAY)
                self._lifecycle.end(participant, Unavailable(UNREACHABLE))
            case OutOfSync():
                sentence = "The two ends are out of sync: join again."
                self._lifecycle.end(participant, SeatLost(sentence, Reason.OUT_OF_SYNC))
            case Left() if participant.connection is None:
                # It hung up by a `Send` that came after its `Listen` had broken.
                participant.unseat()
                self.tell(participant, output)
                self._lifecycle.end(participant)
            case _:
                self._step(participant, output)
                self.tell(participant, output)

    def tell(self, participant: Participant, output: Output) -> None:
        """Let an output wait in a participant's session until it is written."""
        connection = participant.connection
        fits = participant.session.put(output, away=connection is None)
        self._counts.told[type(output.event)] += 1
        if connection is not None:
            connection.outlet.wake()
        if not fits:
            sentence = "Too much is waiting for this client to read it."
            self._lifecycle.end(participant, Overloaded(sentence, Reason.TOO_MUCH_WAITING))

    def _step(self, participant: Participant, output: Output) -> None:
        match output.event:
            case Joined(peer):
                participant.seat()
                if participant.resumable:
                    self._registry.tokens.rotate(participant)
                self._observer.joined(participant, FIRST if peer is None else SECOND, peer)
                if peer is None:
                    self._lifecycle.await_peer(participant)
                else:
                    participant.wait(None)
            case PeerJoined(peer):
                participant.wait(None)
                waited = participant.meet(self._clock.monotonic())
                if waited is not None:
                    self._observer.met(participant, waited, peer)
            case PeerLeft():
                self._lifecycle.await_peer(participant)
            case Left():
                self._registry.leave(participant)
                self._lifecycle.await_join(participant)
            case Refused(code) if self._refuses_entry(participant, output):
                participant.refuse()
                self._observer.joined(participant, code.value)
            case _:
                pass

    def _refuses_entry(self, participant: Participant, output: Output) -> bool:
        return participant.state is State.ENTERING and output.room_id == participant.room_id
