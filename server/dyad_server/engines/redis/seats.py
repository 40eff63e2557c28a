"""The seats of this node's members, as this node knows them."""

from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum

from dyad_server.core.clock import Clock
from dyad_server.core.events import Member
from dyad_server.engines.redis import bounds


@dataclass(slots=True)
class Peer:
    """The member on the other seat.

    Attributes:
        member: who it is.
        node: where it is; empty: on its way from one node to another.
        suspect: its node says that the two are not peers.
        absent_since: when Redis was seen to have no seat for it; None: it has one.
    """

    member: Member
    node: str
    suspect: bool = False
    absent_since: float | None = None

    def move(self, node: str) -> None:
        """Be on that node now; empty: on the way to another."""
        self.node = node

    def confirm(self, node: str) -> None:
        """Be on that node now, by the word of a node."""
        self.node, self.suspect = node, False

    def deny(self) -> None:
        """Be suspect."""
        self.suspect = True

    def see(self, now: float, *, absent: bool) -> None:
        """Note whether Redis has a seat for it."""
        if not absent:
            self.absent_since = None
        elif self.absent_since is None:
            self.absent_since = now


@dataclass(slots=True, eq=False)
class Seat:
    """A member's seat, from the moment it is asked for to its end.

    Attributes:
        member: whose it is.
        room_id: which room it is in.
        polite: which of the two it is.
        epoch: of the room, as of what this node knows about it.
        seated: Redis has given it.
        abandoned: its member ended before Redis gave it.
        peer: on the other seat, as far as this node knows.
        waiting: what the member asked for before Redis had given the seat.
    """

    member: Member
    room_id: str
    polite: bool = False
    epoch: int = 0
    seated: bool = False
    abandoned: bool = False
    peer: Peer | None = None
    waiting: deque[Callable[[], None]] = field(default_factory=deque)
    _withdraw: Callable[[], None] | None = None

    def give(self, *, polite: bool, epoch: int, peer: Peer | None) -> None:
        """Be the seat that Redis has given."""
        self.seated, self.polite, self.epoch, self.peer = True, polite, epoch, peer

    def asked_for(self, withdraw: Callable[[], None]) -> None:
        """Be asked for; `withdraw` ends that."""
        self._withdraw = withdraw

    def abandon(self) -> None:
        """Have no member that waits for it."""
        self.abandoned = True
        if self._withdraw is not None:
            # Its user may enter with another session, which it must not replace.
            self._withdraw()

    def advance(self, epoch: int) -> None:
        """Know about the room up to that epoch."""
        self.epoch = epoch

    def pair(self, peer: Peer | None) -> None:
        """Have that peer on the other seat; None: have none."""
        self.peer = peer

    @property
    def peer_id(self) -> str:
        """The id of the member on the other seat; empty: there is none."""
        return self.peer.member.id if self.peer else ""


class Presence(Enum):
    """How a member stands to this node. AWAY: it was here, or may be about to come."""

    SEATED = "seated"
    ENTERING = "entering"
    AWAY = "away"
    UNKNOWN = "unknown"


class Seats:
    """The seats of this node, and the members that were here or may be about to come."""

    def __init__(self, clock: Clock) -> None:
        """Have no seats yet."""
        self._clock = clock
        self._seats: dict[str, Seat] = {}
        self._moved: dict[str, float] = {}
        self._expected: Counter[str] = Counter()

    def __iter__(self) -> Iterator[Seat]:
        return iter(tuple(self._seats.values()))

    def get(self, member_id: str) -> Seat | None:
        """The seat of that member, if it is here."""
        return self._seats.get(member_id)

    def has(self, seat: Seat) -> bool:
        """Whether that seat is still here."""
        return self._seats.get(seat.member.id) is seat

    def add(self, seat: Seat) -> None:
        """Add a seat."""
        self._seats[seat.member.id] = seat
        self._moved.pop(seat.member.id, None)

    def remove(self, seat: Seat) -> None:
        """Remove a seat."""
        del self._seats[seat.member.id]

    def move_away(self, seat: Seat) -> None:
        """Remove a seat whose member goes on elsewhere."""
        self.remove(seat)
        self._moved[seat.member.id] = self._clock.monotonic()

    @contextmanager
    def expect(self, member_id: str) -> Iterator[None]:
        """In this context, a member that waits in Redis may be about to come here."""
        self._expected[member_id] += 1
        try:
            yield
        finally:
            self._expected[member_id] -= 1
            if not self._expected[member_id]:
                del self._expected[member_id]

    def presence(self, member_id: str) -> Presence:
        """How a member stands to this node."""
        seat = self._seats.get(member_id)
        if seat is not None:
            return Presence.SEATED if seat.seated else Presence.ENTERING
        if member_id in self._moved or self._expected[member_id]:
            return Presence.AWAY
        return Presence.UNKNOWN

    def forget(self) -> None:
        """Forget the members that moved away long ago."""
        now = self._clock.monotonic()
        for member_id, moved_at in tuple(self._moved.items()):
            if now - moved_at > bounds.MOVED_SECONDS:
                del self._moved[member_id]
