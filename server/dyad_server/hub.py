"""The application: joins sessions, rooms and the broker. Both transports call it.

Nothing here waits. A transport hands in what a client sent and is told, through
its `Outlet`, what to write and when the call is over.
"""

import asyncio
import secrets
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from dyad_server.broker import Broker, MakeBroker
from dyad_server.errors import Draining, Ended, Forbidden, OutOfTime, SessionNotFound
from dyad_server.rooms import (
    Departure,
    Joined,
    Left,
    Member,
    Output,
    PeerJoined,
    PeerLeft,
    Refusal,
    Refused,
)
from dyad_server.session import Arrival, Session


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a token names: its `sub`, `email` (or empty) and `room` (or none)."""

    user_id: str
    email: str = ""
    room: str | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """How long the hub waits for a participant, in seconds, and what it holds.

    Attributes:
        join_timeout: for a `join_room`.
        lone_timeout: for somebody else to come into a room.
        waiting_bytes: for a slow reader.
    """

    join_timeout: float
    lone_timeout: float
    waiting_bytes: int


@dataclass(frozen=True, slots=True)
class Enter:
    """Create a room, or join the one named."""

    room_id: str


@dataclass(frozen=True, slots=True)
class Leave:
    """Hang up."""

    room_id: str


@dataclass(frozen=True, slots=True)
class Relay:
    """Pass this to the peer."""

    room_id: str
    payload: object


@dataclass(frozen=True, slots=True)
class Invalid:
    """Not a frame of the contract; `why` is a sentence for its sender."""

    why: str


Input = Enter | Leave | Relay | Invalid


class Outlet(Protocol):
    """A participant's connection, as the hub sees it. Neither call waits or raises."""

    def deliver(self, output: Output) -> None:
        """Send this, after all that was delivered before."""

    def end(self, failure: Ended) -> None:
        """End the call with this, after all that was delivered before."""


class Observer(Protocol):
    """Is told what happens; the hub knows neither metrics nor logs."""

    def opened(self, participants: int) -> None:
        """A participant came; now there are this many."""

    def closed(self, participants: int, failure: Ended | None) -> None:
        """A participant went; `failure` is None when it went by itself."""

    def delivered(self, output: Output) -> None:
        """Something was told to a participant."""


class Participant:
    """One session with the hub: where it sits and how long it may wait there.

    Attributes:
        member: what sits in a room.
        identity: who the token names.
        session: numbers and what waits to be written.
        room_id: where it sits; empty: nowhere.
        open: False once it has ended.
        failure: what ended it; None while open, or when it went by itself.
    """

    __slots__ = (
        "_outlet",
        "_patience",
        "failure",
        "identity",
        "member",
        "open",
        "room_id",
        "session",
    )

    def __init__(self, identity: Identity, outlet: Outlet, session: Session[Any]) -> None:
        self.identity = identity
        self.member = Member(secrets.token_urlsafe(24), identity.user_id, identity.email)
        self.session = session
        self.room_id = ""
        self.open = True
        self.failure: Ended | None = None
        self._outlet = outlet
        self._patience: asyncio.TimerHandle | None = None

    def deliver(self, output: Output) -> None:
        """Pass an output to the connection."""
        self._outlet.deliver(output)

    def end(self, failure: Ended) -> None:
        """Pass the end to the connection."""
        self._outlet.end(failure)

    def wait(self, timer: asyncio.TimerHandle | None) -> None:
        """Let `timer` stand in for the one before; None: it may stay for ever."""
        if self._patience is not None:
            self._patience.cancel()
        self._patience = timer


class Hub:
    """All participants of this process.

    What one participant sends takes effect in that order; what it is told
    comes in the order it happened. A participant that ends, for any reason,
    frees its seat before the call that ended it returns.
    """

    def __init__(self, make_broker: MakeBroker, limits: Limits, observer: Observer) -> None:
        self._broker: Broker = make_broker(self._deliver)
        self._limits = limits
        self._observer = observer
        self._participants: dict[str, Participant] = {}
        self._draining = False

    def __len__(self) -> int:
        return len(self._participants)

    def __iter__(self) -> Iterator[Participant]:
        return iter(tuple(self._participants.values()))

    def open(self, identity: Identity, outlet: Outlet) -> Participant:
        """Begin a session.

        Raises:
            Draining: the server is going away.
        """
        if self._draining:
            raise Draining("The server is going away.")
        participant = Participant(identity, outlet, Session(self._limits.waiting_bytes))
        self._participants[participant.member.id] = participant
        self._await_join(participant)
        self._observer.opened(len(self._participants))
        return participant

    def find(self, session_id: str, user_id: str) -> Participant:
        """The session of that id, if it is this user's.

        Raises:
            SessionNotFound: there is none, or it is somebody else's.
        """
        participant = self._participants.get(session_id)
        if participant is None or participant.identity.user_id != user_id:
            raise SessionNotFound("There is no such session: listen again.")
        return participant

    def take_in(self, participant: Participant, seq: int, what: Input) -> None:
        """Act on one input; a number that was taken in before is passed over."""
        if not participant.open:
            return
        arrival = participant.session.arrive(seq)
        if arrival is Arrival.DUPLICATE:
            return
        if arrival is Arrival.GAP:
            expected = participant.session.taken_in + 1
            what = Invalid(f"The frame is number {seq}; number {expected} is next.")
        match what:
            case Relay(room_id, payload):
                self._broker.relay(room_id, participant.member.id, payload, reply_to=seq)
            case Enter(room_id):
                self._enter(participant, seq, room_id)
            case Leave(room_id):
                self._broker.leave(room_id, participant.member.id, Departure.LEFT, reply_to=seq)
            case Invalid(why):
                self._refuse(participant, seq, why)

    def end(self, participant: Participant, failure: Ended | None = None) -> None:
        """End a session and free its seat; once is enough, twice does no harm.

        Args:
            participant: whose.
            failure: what its connection is to be told; None when that is gone.
        """
        if not participant.open:
            return
        participant.open = False
        participant.failure = failure
        participant.wait(None)
        del self._participants[participant.member.id]
        if participant.room_id:
            self._broker.leave(
                participant.room_id, participant.member.id, Departure.DISCONNECTED, reply_to=0
            )
        if failure is not None:
            participant.end(failure)
        self._observer.closed(len(self._participants), failure)

    def drain(self) -> None:
        """End every session with `Draining` and open no more."""
        self._draining = True
        for participant in self:
            self.end(participant, Draining("The server is going away."))

    def _enter(self, participant: Participant, seq: int, room_id: str) -> None:
        if participant.room_id:
            self._refuse(participant, seq, "You are in a room already: leave it first.")
            return
        own = participant.identity.room
        create = not room_id
        if own is not None:
            if room_id not in ("", own):
                self.end(participant, Forbidden("The token is for another room."))
                return
            if create and not _is_uuid(own):
                self.end(
                    participant, Forbidden("The token's room is not a UUID: it cannot be created.")
                )
                return
        self._broker.enter(
            room_id or own or str(uuid.uuid4()), participant.member, create=create, reply_to=seq
        )

    def _refuse(self, participant: Participant, seq: int, why: str) -> None:
        self._deliver(
            Output(
                participant.member.id,
                participant.room_id,
                seq,
                Refused(Refusal.INVALID_FRAME, why),
            )
        )

    def _deliver(self, output: Output) -> None:
        participant = self._participants.get(output.to)
        if participant is None:
            return
        match output.event:
            case Joined(peer):
                participant.room_id = output.room_id
                if peer is None:
                    self._await_peer(participant)
                else:
                    participant.wait(None)
            case PeerJoined():
                participant.wait(None)
            case PeerLeft():
                self._await_peer(participant)
            case Left():
                participant.room_id = ""
                self._await_join(participant)
            case _:
                pass
        participant.deliver(output)
        self._observer.delivered(output)

    def _await_join(self, participant: Participant) -> None:
        self._wait(participant, self._limits.join_timeout, "No join_room came in time.")

    def _await_peer(self, participant: Participant) -> None:
        self._wait(participant, self._limits.lone_timeout, "Nobody else came in time.")

    def _wait(self, participant: Participant, seconds: float, sentence: str) -> None:
        loop = asyncio.get_running_loop()
        participant.wait(
            loop.call_later(seconds, lambda: self.end(participant, OutOfTime(sentence)))
        )


def _is_uuid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False
