"""One participant: its state, its session, its seat, and its present connection."""

import secrets
from typing import Protocol

from dyad_server.core import bounds
from dyad_server.core.clock import Timer
from dyad_server.core.commands import Identity
from dyad_server.core.connection_ids import new_connection_id, new_stream_id
from dyad_server.core.events import Member, Output
from dyad_server.core.session import Session
from dyad_server.core.states import GONE, State, Step, after
from dyad_server.core.trace_context import UNTRACED, TraceContext
from dyad_server.errors import Ended


class Outlet(Protocol):
    """The writing side of a connection. No method waits or raises."""

    @property
    def transport(self) -> str:
        """What it writes to: `Signal` or `Listen`."""

    def wake(self) -> None:
        """Write what waits in the session."""

    def beat(self) -> None:
        """Send a message without frames, unless another message is on its way."""

    def end(self, failure: Ended) -> None:
        """End the connection with `failure`, after what waits in the session."""


class Connection:
    """A `Signal` or `Listen` stream.

    Attributes:
        id: the `session_id` that `Send` gives; only its client knows it.
        stream_id: names it in the log; its client is told, too.
        address: the client's.
        token: the digest of the token that opened the connection. That token may
            speak for it until it ends, even when expired; empty: no token may.
        outlet: the writing side.
        routing_key: the last digits of the id of a room that it creates; empty: any.
        participant: its owner.
        open: False once it is over.
        failure: what ended it; None while it is open, or if its client ended it.
        transport: `Signal` or `Listen`.
        caller: the span of its client that it belongs to.
        traceparent: names its own span to other processes; empty: it is not traced.
        continues: the `traceparent` of the stream whose seat it resumed.
        resumed: whether it gave a participant its reserved seat back.
        frames_in: frames that came on it.
        frames_out: frames that were written to it.
        opened_at: when it was opened, by the monotonic clock.
        sent_at: when a message was last sent, by the monotonic clock.
        heard_at: when a message last came.
        asked_at: when a heartbeat was last sent.
    """

    __slots__ = (
        "_expiry",
        "address",
        "asked_at",
        "caller",
        "continues",
        "failure",
        "frames_in",
        "frames_out",
        "heard_at",
        "id",
        "open",
        "opened_at",
        "outlet",
        "participant",
        "resumed",
        "routing_key",
        "sent_at",
        "stream_id",
        "token",
        "traceparent",
        "transport",
    )

    def __init__(
        self,
        participant: "Participant",
        outlet: Outlet,
        address: str,
        token: bytes,
        node: str,
        *,
        routing_key: str = "",
        caller: TraceContext = UNTRACED,
    ) -> None:
        self.id = new_connection_id(node)
        self.stream_id = new_stream_id()
        self.participant = participant
        self.outlet = outlet
        self.address = address
        self.token = token
        self.routing_key = routing_key
        self.open = True
        self.failure: Ended | None = None
        self.transport = outlet.transport
        self.caller = caller
        self.traceparent = self.continues = ""
        self.resumed = False
        self.frames_in = self.frames_out = 0
        self.opened_at = self.sent_at = self.heard_at = self.asked_at = 0.0
        self._expiry: Timer | None = None

    def begin(self, now: float) -> None:
        """Start counting silence."""
        self.opened_at = self.sent_at = self.heard_at = self.asked_at = now

    def sent(self, now: float, frames: int) -> None:
        """Note that a message was sent, with so many frames."""
        self.sent_at = now
        self.frames_out += frames

    def heard(self, now: float, frames: int) -> None:
        """Note that a message came, with so many frames."""
        self.heard_at = now
        self.frames_in += frames

    def trace_as(self, traceparent: str) -> None:
        """Be known to other processes by this name of its span."""
        self.traceparent = traceparent

    def ask(self, now: float) -> None:
        """Send a heartbeat, which its client answers."""
        self.asked_at = now
        self.outlet.beat()

    def expire_by(self, timer: Timer) -> None:
        """Keep the timer that ends the connection when its token expires."""
        self._expiry = timer

    def expire(self) -> None:
        """Let no token speak for the connection any more, not even for its reserved seat."""
        self.token = b""

    def move_to(self, participant: "Participant") -> None:
        """Belong to the participant whose seat this connection resumes."""
        self.resumed = True
        self.continues = participant.traceparent
        self.participant = participant

    def close(self, failure: Ended | None) -> None:
        """End the connection; its client is told `failure`, if there is one."""
        self.open = False
        self.failure = failure
        if self._expiry is not None:
            self._expiry.cancel()
        if failure is not None:
            self.outlet.end(failure)


class Participant:
    """A user's session with the hub. Each change of `state` is a method.

    Attributes:
        identity: who the token names.
        member: how the engine knows it; another one after each leave.
        session: numbers, and what its client may still lack.
        state: see `states`.
        connection: the one that events are written to; None unless it has one.
        coming: while it resumes, the connection that is to be the next one.
        broken: while its seat is reserved, the connection that broke: a `Send`
            may still be under way for it.
        room_id: the room that it is in, or asks to enter; empty: none.
        resumable: it asked for its seat to be reserved when its connection breaks.
        resume_token: gives the seat back; empty: no token does.
        spent_token: the one before, until its client has shown that it has the new one.
        spoke: whether any frame has come from it.
        last_room_id: the room that it is in, was in, or asked to enter last.
        alone_since: since when it waits for a peer; None: it has one, or no seat.
        leaving: whether it has asked to leave the room that it is in.
        seat_asked_at: when the message came that asked for its seat, by the monotonic clock.
    """

    __slots__ = (
        "_grace",
        "_last_traceparent",
        "_patience",
        "alone_since",
        "broken",
        "coming",
        "connection",
        "identity",
        "last_room_id",
        "leaving",
        "member",
        "resumable",
        "resume_token",
        "room_id",
        "seat_asked_at",
        "session",
        "spent_token",
        "spoke",
        "state",
    )

    def __init__(self, identity: Identity, session: Session[Output]) -> None:
        self.identity = identity
        self.member = self._new_member()
        self.session = session
        self.state = State.WAITING
        self.connection: Connection | None = None
        self.coming: Connection | None = None
        self.broken: Connection | None = None
        self.room_id = self.last_room_id = ""
        self.resumable = False
        self.resume_token = ""
        self.spent_token = ""
        self.spoke = False
        self.alone_since: float | None = None
        self.leaving = False
        self.seat_asked_at = 0.0
        self._last_traceparent = ""
        self._patience: Timer | None = None
        self._grace: Timer | None = None

    # The steps of `states.TRANSITIONS`.

    def enter(self, room_id: str, *, resumable: bool, now: float) -> None:
        """Ask for a seat in `room_id`."""
        self._go(Step.ENTER)
        self.seat_asked_at = now
        self.room_id = self.last_room_id = room_id
        self.resumable = resumable
        if self.traceparent:
            self.member = self._new_member(self.member.id, self.traceparent)

    def refuse(self) -> None:
        """Get no seat."""
        self._go(Step.REFUSE)
        self.room_id = ""

    def seat(self) -> None:
        """Get the seat."""
        self._go(Step.SEAT)
        self.session.keep_until_acknowledged(keep=self.resumable)

    def ask_to_leave(self, room_id: str) -> None:
        """Ask to leave this room."""
        self.leaving = room_id == self.room_id

    def leave(self) -> None:
        """Leave the room, and be a new member in the next one."""
        self._go(Step.LEAVE)
        self.unseat()
        self.member = self._new_member()

    def disconnect(self, connection: Connection, grace: Timer | None) -> None:
        """Lose its connection; `grace` ends the reservation, None: something else does."""
        self._go(Step.DISCONNECT)
        self.connection = self.coming = None
        self.broken = connection
        self._grace = grace

    def resume(self, connection: Connection) -> None:
        """Have a new connection, and ask for the seat back."""
        self._go(Step.RESUME)
        self.connection = self.broken = None
        self.coming = connection
        self._end_grace()

    def return_to_seat(self, joined: Output) -> None:
        """Get the seat back, and write `joined` to the new connection first."""
        self._go(Step.RETURN)
        self.connection, self.coming = self.coming, None
        self.session.put_first(joined)

    def adopt(
        self, member_id: str, room_id: str, token: str, spent_token: str, traceparent: str
    ) -> None:
        """Be the participant that another node has handed off.

        Args:
            member_id: as the engine knows it.
            room_id: the room in which it has a seat.
            token: its resume token.
            spent_token: the one before.
            traceparent: of its last stream.
        """
        self._go(Step.ADOPT)
        self._last_traceparent = traceparent
        self.member = self._new_member(member_id, traceparent)
        self.room_id = self.last_room_id = room_id
        self.resume_token, self.spent_token = token, spent_token
        self.resumable = self.spoke = True

    def reserve_until(self, grace: Timer) -> None:
        """Keep the seat that it came with from another node for the grace time."""
        self._grace = grace

    def hand_off(self) -> None:
        """Go on at another node."""
        self._go(Step.HAND_OFF)
        self._end_timers()

    def end(self) -> None:
        """End."""
        self._go(Step.END)
        self._end_timers()

    # What does not change the state.

    @property
    def gone(self) -> bool:
        """Whether it has ended, or is another node's now."""
        return self.state in GONE

    @property
    def traceparent(self) -> str:
        """The `traceparent` of its present connection, or else of its last one."""
        present = self.connection or self.coming
        return self._last_traceparent if present is None else present.traceparent

    def connect(self, connection: Connection) -> None:
        """Have its first connection."""
        self.connection = connection

    def give_up(self, connection: Connection) -> None:
        """Have this connection no longer, where it is the present one."""
        self._last_traceparent = connection.traceparent
        if self.connection is connection:
            self.connection = None

    def forget_broken(self) -> None:
        """Accept no `Send` for the connection that broke."""
        self.broken = None

    def speak(self) -> None:
        """Note that a frame has come."""
        self.spoke = True

    def alone(self, since: float) -> None:
        """Have no peer yet, or no longer."""
        self.alone_since = since

    def meet(self, now: float) -> float | None:
        """Have a peer; returns how long it has waited for that, None: it had one already."""
        since, self.alone_since = self.alone_since, None
        return None if since is None else now - since

    def unseat(self) -> None:
        """Have no seat that could be freed."""
        self.room_id = ""
        self.leaving = False
        self.alone_since = None
        self.session.keep_until_acknowledged(keep=False)

    def renew_token(self, token: str, spent: str = "") -> None:
        """Have `token` as its resume token, and `spent` as the one before."""
        self.resume_token, self.spent_token = token, spent

    def wait(self, timer: Timer | None) -> None:
        """Let `timer` end its waiting instead of the one before; None: it may stay."""
        if self._patience is not None:
            self._patience.cancel()
        self._patience = timer

    def _go(self, step: Step) -> None:
        self.state = after(self.state, step)

    def _end_grace(self) -> None:
        if self._grace is not None:
            self._grace.cancel()
        self._grace = None

    def _end_timers(self) -> None:
        self.wait(None)
        self._end_grace()

    def _new_member(self, member_id: str = "", traceparent: str = "") -> Member:
        identity = self.identity
        member_id = member_id or secrets.token_urlsafe(bounds.ID_BYTES)
        return Member(member_id, identity.user_id, identity.email, traceparent)
