"""The application: both transports call it.

Nothing here waits. A transport hands in what a client sent. Through the `Outlet` of
a connection it is told to write, or that the connection is over.
"""

from collections.abc import Callable, Iterator, Mapping

from dyad_server.bounds import SPREAD_SECONDS
from dyad_server.core import bounds
from dyad_server.core.clock import Clock, Timer
from dyad_server.core.commands import Identity, Input
from dyad_server.core.counts import Counts
from dyad_server.core.events import Output
from dyad_server.core.frame_handler import FrameHandler
from dyad_server.core.heartbeats import Heartbeats
from dyad_server.core.lifecycle import Lifecycle
from dyad_server.core.limits import Limits
from dyad_server.core.output_delivery import OutputDelivery
from dyad_server.core.participant import Connection, Outlet, Participant
from dyad_server.core.ports import Broker, Fleet, Handoff, Observer
from dyad_server.core.reconnect import Reconnect
from dyad_server.core.registry import Registry
from dyad_server.core.states import State
from dyad_server.core.trace_context import UNTRACED, TraceContext
from dyad_server.errors import (
    Draining,
    Ended,
    Overloaded,
    Reason,
    Unauthenticated,
    Unavailable,
)

MakeEngine = Callable[["Hub"], tuple[Broker, Handoff | None]]
"""Makes what a hub calls and is called back by; the hub is not ready yet, and only kept."""

TOO_MUCH = "Too much was sent in too short a time."


class Hub:
    """All participants of this process.

    The requests of a participant take effect in the order in which they came, and
    it is told events in the order in which they happened. A participant that ends
    frees its seat before the method that ended it returns. A participant that may
    resume does not end with its connection: its seat is reserved for the grace time.

    Attributes:
        registry: finds participants.
        lifecycle: ends them, and reserves their seats.
        handoff: the way to the other nodes, if there are any.
        clock: of this server.
        observer: is told what happens.
        counts: of frames.
        draining: whether it refuses new connections.
    """

    def __init__(
        self,
        make_engine: MakeEngine,
        limits: Limits,
        observer: Observer,
        clock: Clock,
    ) -> None:
        """Make a hub, and what calls it back.

        Args:
            make_engine: makes the engine, and the way to the other nodes if there are any;
                it is given this hub.
            limits: of this server.
            observer: is told what happens.
            clock: of this server.
        """
        self._limits = limits
        self.clock = clock
        self.observer = observer
        self.counts = Counts()
        self._heartbeats = Heartbeats(limits.heartbeat, limits.lease, self._silent)
        self._ticker: Timer | None = None
        broker, self.handoff = make_engine(self)
        self._broker = broker
        self.registry = registry = Registry(limits, observer, self._heartbeats, clock, broker.node)
        self.lifecycle = Lifecycle(broker, registry, limits, observer, clock)
        claim = self.handoff.claim if self.handoff else None
        reconnect = Reconnect(broker, registry, self.lifecycle, observer, claim)
        self._outputs = OutputDelivery(
            registry, self.lifecycle, reconnect, observer, clock, self.counts
        )
        self._frame_handler = FrameHandler(
            broker, registry, self.lifecycle, reconnect, self._outputs, limits
        )
        self.draining = False
        self._spread = SPREAD_SECONDS

    def __len__(self) -> int:
        return len(self.registry)

    def __iter__(self) -> Iterator[Participant]:
        return iter(self.registry)

    @property
    def ready(self) -> bool:
        """Whether rooms can be entered now."""
        return not self.draining and self._broker.ready

    @property
    def node(self) -> str:
        """See `Broker.node`."""
        return self._broker.node

    @property
    def fleets(self) -> Mapping[str, Fleet]:
        """See `Broker.fleets`."""
        return self._broker.fleets

    def remote_peer(self, participant: Participant) -> str:
        """See `Broker.remote_peer`."""
        return self._broker.remote_peer(participant.room_id, participant.member.id)

    async def start(self) -> None:
        """Start, before the first participant.

        Raises:
            ConfigError: the engine cannot be reached, or is unfit.
        """
        await self._broker.start()

    async def stop(self) -> None:
        """Stop, after the last participant."""
        if self.handoff is not None:
            await self.handoff.stop()
        if self._ticker is not None:
            self._ticker.cancel()
        await self._broker.stop()

    # Connections.

    def open(
        self,
        identity: Identity,
        outlet: Outlet,
        address: str,
        token: bytes = b"",
        *,
        routing_key: str = "",
        caller: TraceContext = UNTRACED,
    ) -> Connection:
        """Open a session for a client that has connected.

        Args:
            identity: the user.
            outlet: the writing side of the connection.
            address: the client's.
            token: the digest of the token, which may speak for this connection.
            routing_key: the last digits of the id of a room that it creates; empty: any.
            caller: the span of the client that the connection belongs to.

        Raises:
            Draining: the server is going away.
            Overloaded: there are too many connections already.
        """
        if self.draining:
            raise self.going()
        connection = self.registry.open(
            identity, outlet, address, token, routing_key=routing_key, caller=caller
        )
        self.lifecycle.await_join(connection.participant)
        if self._ticker is None:
            self._tick_in(self._heartbeats.tick_seconds)
        return connection

    def find(self, connection_id: str, user_id: str, stale: bytes = b"") -> Connection:
        """See `Registry.find`."""
        return self.registry.find(connection_id, user_id, stale)

    def end_at(self, connection: Connection, until: float) -> None:
        """Close a connection when its token expires, at `until` in Unix seconds."""
        left = until - self.clock.unix_time()
        if left > 0:
            wait = min(left, bounds.EXPIRY_LOOK_SECONDS)
            connection.expire_by(self.clock.call_later(wait, self.end_at, connection, until))
        else:
            connection.expire()
            self.close(connection, Unauthenticated("The token has expired.", Reason.TOKEN_EXPIRED))

    def close(self, connection: Connection, failure: Ended | None = None) -> None:
        """End a connection, and its session unless that may resume; harmless if it is closed.

        Args:
            connection: the connection.
            failure: what its client is told; None if the connection is gone.
        """
        if not connection.open:
            return
        participant = connection.participant
        hands_off = self.draining and self.handoff is not None
        may_resume = bool(participant.resume_token) and (hands_off or not self.draining)
        if may_resume and participant.state in (State.SEATED, State.RESUMING):
            # A drain finds this participant without a connection, and hands it off.
            self.lifecycle.reserve(connection, failure, grace=not hands_off)
        else:
            self.end(participant, failure)
            # A connection that was resuming had no seat to free, but is over.
            self.registry.disconnect(connection, failure)

    def release(self, connection: Connection) -> None:
        """See `Registry.release`."""
        self.registry.release(connection)

    def end(self, participant: Participant, failure: Ended | None = None) -> None:
        """See `Lifecycle.end`."""
        self.lifecycle.end(participant, failure)

    # Frames.

    def charge(self, connection: Connection, frames: int, size: int) -> bool:
        """Charge a message to its sender; False if that ends the sender, over its rate.

        Args:
            connection: the message came on it.
            frames: how many frames are in it.
            size: its bytes.
        """
        now = self.clock.monotonic()
        connection.heard(now, frames)
        participant = connection.participant
        if self.registry.allows(participant.identity.user_id, frames, size, now):
            return True
        self.end(participant, Overloaded(TOO_MUCH))
        return False

    def allows(self, account: str, frames: int, size: int) -> bool:
        """See `Registry.allows`."""
        return self.registry.allows(account, frames, size, self.clock.monotonic())

    def hears(self, connection: Connection) -> bool:
        """Whether frames of this connection still count."""
        return connection.open or connection.participant.broken is connection

    def receive(self, connection: Connection, what: Input) -> None:
        """Act on a frame, unless its connection no longer counts."""
        if self.hears(connection):
            self.counts.came(what)
            self._frame_handler.receive(connection, what)

    def deliver(self, output: Output) -> None:
        """See `ports.Deliver`."""
        self._outputs.deliver(output)

    # Other nodes.

    def adopt(self, participant: Participant, *, alone: bool) -> None:
        """See `Lifecycle.adopt`; a node that drains does not keep it for the grace time."""
        self.lifecycle.adopt(participant, alone=alone, grace=not self.draining)

    def let_go(self, participant: Participant, failure: Ended) -> None:
        """See `Lifecycle.let_go`."""
        self.lifecycle.let_go(participant, failure)

    def go_away(self) -> None:
        """Open no more connections; `draining` ends those that are open."""
        if not self.draining:
            self.draining = True
            # The more clients there are, the longer the next node needs to accept them.
            spread = max(SPREAD_SECONDS, len(self) / bounds.RECONNECTS_PER_SECOND)
            self._spread = min(self._limits.drain_spread, spread)

    def going(self) -> Draining:
        """What clients are told as the server stops."""
        return Draining("The server is going away.", within=self._spread)

    # Heartbeats.

    def _tick_in(self, seconds: float) -> None:
        self._ticker = self.clock.call_later(seconds, self._tick)

    def _tick(self) -> None:
        self._ticker = None
        seconds = self._heartbeats.tick_seconds
        try:
            seconds = self._heartbeats.tick(self.clock.monotonic())
        finally:
            # Also after a failure, which must not stop the ticker for all others.
            if self._heartbeats:
                self._tick_in(seconds)

    def _silent(self, connection: Connection) -> None:
        # As after any broken connection, its client resumes, or joins again if the seat is
        # free by then: a frozen laptop does not lose its call for good.
        sentence = "Nothing was received for too long: reconnect."
        self.close(connection, Unavailable(sentence, Reason.LEASE))
