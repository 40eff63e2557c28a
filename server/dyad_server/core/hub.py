"""The application: joins sessions, rooms and the broker. Both transports call it.

Nothing here waits. A transport hands in what a client sent and is told, through
its `Outlet`, that something is to be written or that the connection is over.
"""

import uuid
from collections.abc import Callable, Iterator

from dyad_server.core.clock import Clock, Timer
from dyad_server.core.commands import (
    Acknowledge,
    Enter,
    Event,
    Identity,
    Input,
    Invalid,
    Leave,
    Relay,
)
from dyad_server.core.events import (
    Departure,
    EngineUnavailable,
    Evicted,
    Joined,
    Left,
    OutOfSync,
    Output,
    PeerJoined,
    PeerLeft,
    Refusal,
    Refused,
)
from dyad_server.core.heartbeats import Heartbeats
from dyad_server.core.limits import Limits
from dyad_server.core.participant import Connection, Outlet, Participant
from dyad_server.core.ports import Broker, Deliver, Handoff, Observer
from dyad_server.core.reconnect import GONE, REPLACED, Reconnect
from dyad_server.core.registry import Registry
from dyad_server.core.session import Arrival
from dyad_server.errors import (
    Draining,
    Ended,
    Forbidden,
    OutOfStep,
    OutOfTime,
    Overloaded,
    Replaced,
    Unauthenticated,
    Unavailable,
)

MakeBroker = Callable[[Deliver], Broker]
MakeHandoff = Callable[["Hub"], Handoff]

# So many may come back to the next node at once after a drain.
_RETURNS_PER_SECOND = 1000
_LOOK_SECONDS = 60.0
TOO_MUCH = "Too much was sent in too short a time."


class Hub:
    """All participants of this process.

    What one participant sends takes effect in that order; what it is told
    comes in the order it happened. A participant that ends frees its seat
    before the call that ended it returns. One that may resume does not end
    when its connection does: its seat is held for the grace time.
    """

    def __init__(
        self,
        make_broker: MakeBroker,
        limits: Limits,
        observer: Observer,
        clock: Clock,
        make_handoff: MakeHandoff | None = None,
    ) -> None:
        """Make a hub, and what calls it back.

        Args:
            make_broker: makes the engine; it is given the function that takes outputs.
            limits: of this server.
            observer: is told what happens.
            clock: of this server.
            make_handoff: makes the way to the other nodes, if there are any; it is
                given this hub.
        """
        self._broker = make_broker(self._deliver)
        self._limits = limits
        self._observer = observer
        self._clock = clock
        self._heartbeats = Heartbeats(limits.heartbeat, limits.lease, self._silent)
        self._ticker: Timer | None = None
        self.registry = Registry(limits, observer, self._heartbeats, clock, self._broker.node)
        self.handoff = make_handoff(self) if make_handoff else None
        claim = self.handoff.claim if self.handoff else None
        self.reconnect = Reconnect(self._broker, self.registry, observer, self.end, claim)
        self.draining = False
        self._spread = Draining.within

    def __len__(self) -> int:
        return len(self.registry)

    def __iter__(self) -> Iterator[Participant]:
        return iter(self.registry)

    @property
    def ready(self) -> bool:
        """Whether rooms can be entered now."""
        return not self.draining and self._broker.ready

    async def start(self) -> None:
        """Begin; before the first participant.

        Raises:
            ConfigError: the engine is not there, or is not fit.
        """
        await self._broker.start()

    async def stop(self) -> None:
        """End, after all participants."""
        if self.handoff is not None:
            await self.handoff.stop()
        if self._ticker is not None:
            self._ticker.cancel()
        await self._broker.stop()

    def open(
        self, identity: Identity, outlet: Outlet, address: str, token: bytes = b""
    ) -> Connection:
        """Open a session for a client that has connected.

        Args:
            identity: the user.
            outlet: the writing side of the connection.
            address: the client's.
            token: the digest of the token, which may speak for this connection.

        Raises:
            Draining: the server is going away.
            Overloaded: there are too many already.
        """
        if self.draining:
            raise self.going()
        connection = self.registry.open(identity, outlet, address, token)
        self._await_join(connection.participant)
        if self._ticker is None:
            self._tick_in(self._heartbeats.tick_seconds)
        return connection

    def find(self, session_id: str, user_id: str, stale: bytes = b"") -> Connection:
        """See `Registry.find`."""
        return self.registry.find(session_id, user_id, stale)

    def end_at(self, connection: Connection, until: float) -> None:
        """Close a connection when its token expires, at `until` in Unix seconds."""
        left = until - self._clock.unix_time()
        if left > 0:
            # Looked at now and then: the clock of expiries may be set.
            wait = min(left, _LOOK_SECONDS)
            connection.expiry = self._clock.call_later(wait, self.end_at, connection, until)
        else:
            # It speaks for nothing any more, not for a seat that is held either.
            connection.token = b""
            self.close(connection, Unauthenticated("The token has expired."))

    def charge(self, connection: Connection, frames: int, size: int) -> bool:
        """Count a message of so many frames and bytes; False, and it is over, past its rate."""
        connection.heard_at = self._clock.monotonic()
        participant = connection.participant
        if self.allows(participant.identity.user_id, frames, size):
            return True
        self.end(participant, Overloaded(TOO_MUCH))
        return False

    def allows(self, account: str, frames: int, size: int) -> bool:
        """See `Registry.allows`."""
        return self.registry.allows(account, frames, size)

    def hears(self, connection: Connection) -> bool:
        """Whether an input of this connection still counts."""
        return connection.open or connection.participant.broken is connection

    def take_in(self, connection: Connection, what: Input) -> None:
        """Act on one input; a number that was taken in before is passed over."""
        if not self.hears(connection):
            return
        participant = connection.participant
        event = what.event
        if isinstance(event, Enter) and event.resume_token:
            if participant.spoke or what.seq:
                why = "A join_room that resumes comes first, without a number."
                self._refuse(participant, what.seq, why)
            else:
                self.reconnect.begin(connection, what.ack, event)
            return
        participant.spoke = True
        self.registry.tokens.answered(participant)
        session = participant.session
        arrival = session.arrive(what.seq, what.size)
        if what.ack and not session.acknowledged(what.ack):
            event = Invalid(f"Nothing was sent under number {what.ack}.")
        elif arrival is Arrival.GAP:
            expected = session.taken_in + 1
            event = Invalid(f"The frame is number {what.seq}; number {expected} is next.")
        elif arrival is Arrival.DUPLICATE:
            event = Acknowledge()
        self._act(participant, what, event)
        if session.ack_due:
            connection.outlet.wake()

    def close(self, connection: Connection, failure: Ended | None = None) -> None:
        """A connection is over; its session too, unless it may resume. Twice does no harm.

        Args:
            connection: which.
            failure: what it is to be told; None when it is gone.
        """
        participant = connection.participant
        if not connection.open:
            return
        handed_over = self.draining and self.handoff is not None
        may_resume = handed_over or not self.draining
        if participant.room_id and participant.resume_token and may_resume:
            self.registry.disconnect(connection, failure)
            if participant.connection is None:
                self.registry.linger(connection)
            if not handed_over:
                self.hold(participant)
        else:
            self.end(participant, failure)
            # One that was just coming back has no seat to free, but is over.
            self.registry.disconnect(connection, failure)

    def release(self, connection: Connection) -> None:
        """See `Registry.release`."""
        self.registry.release(connection)

    def end(self, participant: Participant, failure: Ended | None = None) -> None:
        """End a session and free its seat; once is enough, twice does no harm.

        Args:
            participant: whose.
            failure: what its connection is to be told; None when that is gone.
        """
        if not participant.over:
            self.strike(participant, failure)
            self.clear(participant, failure)

    def strike(self, participant: Participant, failure: Ended | None) -> None:
        """Strike a participant off, so that it is told nothing more; then `clear` it."""
        if not participant.over:
            participant.over = True
            self.registry.remove(participant, failure)

    def clear(self, participant: Participant, failure: Ended | None) -> None:
        """Free the seat of a participant that was struck off, and end its connection."""
        if room_id := participant.room_id or participant.entering:
            self._broker.leave(room_id, participant.member.id, Departure.DISCONNECTED, reply_to=0)
        self.disconnect(participant, failure)

    def disconnect(self, participant: Participant, failure: Ended | None) -> None:
        """End what connection it has, and the one that is just coming back to it.

        Also where the one before is gone and needs no `failure`, the one that is
        coming back does: a stream without an answer or a status would stay open.
        """
        if (coming := self.reconnect.give_up(participant)) is not None:
            self.registry.disconnect(coming, failure or OutOfStep(GONE))
        if participant.connection is not None:
            self.registry.disconnect(participant.connection, failure)

    def let_go(self, participant: Participant, failure: Ended) -> None:
        """Forget a participant that goes on elsewhere; its connection ends with `failure`."""
        self.disconnect(participant, failure)
        self.registry.remove(participant, None)

    def adopt(self, participant: Participant, *, alone: bool) -> None:
        """Add a participant that another node handed off; its client is to reconnect."""
        self.registry.add(participant)
        self.registry.tokens.take_over(participant)
        if alone:
            self._await_peer(participant)
        if not self.draining:
            self.hold(participant)

    def go_away(self) -> None:
        """Open no more connections; those that are open are for `draining` to end."""
        if not self.draining:
            self.draining = True
            # The more there are, the longer the next node needs to take them in.
            spread = max(Draining.within, len(self) / _RETURNS_PER_SECOND)
            self._spread = min(self._limits.drain_spread, spread)

    def going(self) -> Draining:
        """What those are told who are sent away."""
        failure = Draining("The server is going away.")
        failure.within = self._spread
        return failure

    def _tick_in(self, seconds: float) -> None:
        self._ticker = self._clock.call_later(seconds, self._tick)

    def _tick(self) -> None:
        self._ticker = None
        seconds = self._heartbeats.tick_seconds
        try:
            seconds = self._heartbeats.tick(self._clock.monotonic())
        finally:
            # Also after a failure, which must not stop the clock for all others.
            if self._heartbeats:
                self._tick_in(seconds)

    def _silent(self, connection: Connection) -> None:
        # As of any connection that broke, its client comes back, and joins again if the
        # seat is free by then: a frozen laptop does not lose its call for good.
        self.close(connection, Unavailable("Nothing was heard for too long: come back."))

    def hold(self, participant: Participant) -> None:
        """Keep the seat of one that has no connection, for the grace time."""
        over = self._clock.call_later(self._limits.resume_grace, self.end, participant)
        self.registry.hold(participant, over)
        self._observer.reserved()

    def _act(self, participant: Participant, what: Input, event: Event) -> None:
        match event:
            case Relay(room_id, payload):
                if room_id == participant.room_id:
                    # One text for all, or each frame that is kept would keep its own.
                    room_id = participant.room_id
                self._broker.relay(room_id, participant.member.id, payload, reply_to=what.seq)
            case Enter():
                self._enter(participant, what.seq, event)
            case Leave(room_id):
                self._broker.leave(
                    room_id, participant.member.id, Departure.LEFT, reply_to=what.seq
                )
            case Invalid(why):
                self._refuse(participant, what.seq, why)
            case Acknowledge():
                pass

    def _enter(self, participant: Participant, seq: int, enter: Enter) -> None:
        room_id = enter.room_id
        if participant.room_id or participant.entering:
            self._refuse(participant, seq, "You are in a room already: leave it first.")
            return
        own = participant.identity.room
        if own is not None:
            if room_id not in ("", own):
                self.end(participant, Forbidden("The token is for another room."))
                return
            if not room_id and not _is_uuid(own):
                self.end(
                    participant, Forbidden("The token's room is not a UUID: it cannot be created.")
                )
                return
        if self.registry.too_many(participant):
            self.end(participant, Overloaded("This user has too many streams already."))
            return
        # Whose token names a room makes it also by that name: so both can come
        # back to it after a server has forgotten.
        create = not room_id or (room_id == own and _is_uuid(own))
        participant.resumable = enter.resumable and self._limits.resume_grace > 0
        participant.entering = room_id or own or str(uuid.uuid4())
        self._broker.enter(participant.entering, participant.member, create=create, reply_to=seq)

    def _refuse(self, participant: Participant, seq: int, why: str) -> None:
        refused = Refused(Refusal.INVALID_FRAME, why)
        self._tell(participant, Output(participant.member.id, participant.room_id, seq, refused))

    def _deliver(self, output: Output) -> None:
        participant = self.registry.get(output.to)
        if participant is None:
            return
        match output.event:
            case Joined(_, _, True):
                self.reconnect.seated(participant, output)
            case Evicted():
                participant.entering = ""
                self._unseat(participant)
                self.end(participant, Replaced(REPLACED))
            case EngineUnavailable():
                participant.entering = ""
                self.end(participant, Unavailable("Rooms are out of reach: come back soon."))
            case OutOfSync():
                self.end(participant, OutOfStep("The two ends can no longer be kept in step."))
            case _:
                self._seat(participant, output)
                self._tell(participant, output)
                if isinstance(output.event, Left) and participant.connection is None:
                    # It hung up by a `Send` that came after its `Listen` broke.
                    self.end(participant)

    def _seat(self, participant: Participant, output: Output) -> None:
        match output.event:
            case Joined(peer):
                participant.entering = ""
                participant.room_id = output.room_id
                if participant.resumable:
                    participant.session.resumable = True
                    self.registry.tokens.rotate(participant)
                if peer is None:
                    self._await_peer(participant)
                else:
                    participant.wait(None)
            case PeerJoined():
                participant.wait(None)
            case PeerLeft():
                self._await_peer(participant)
            case Left():
                self._unseat(participant)
                self.registry.rename(participant)
                self._await_join(participant)
            case Refused() if output.room_id == participant.entering:
                participant.entering = ""
            case _:
                pass

    def _tell(self, participant: Participant, output: Output) -> None:
        away = participant.connection is None
        fits = participant.session.put(output, away=away)
        self._observer.delivered(output)
        if participant.connection is not None:
            participant.connection.outlet.wake()
        if not fits:
            self.end(participant, Overloaded("Too much waits to be read."))

    def _unseat(self, participant: Participant) -> None:
        participant.room_id = ""
        participant.session.resumable = False
        self.registry.tokens.revoke(participant)

    def _await_join(self, participant: Participant) -> None:
        self._wait(participant, self._limits.join_timeout, "No join_room came in time.")

    def _await_peer(self, participant: Participant) -> None:
        self._wait(participant, self._limits.lone_timeout, "Nobody else came in time.")

    def _wait(self, participant: Participant, seconds: float, sentence: str) -> None:
        participant.wait(
            self._clock.call_later(seconds, lambda: self.end(participant, OutOfTime(sentence)))
        )


def _is_uuid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False
