"""A seat as its node knows it."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from dyad_server.core.events import Member


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

    @property
    def peer_id(self) -> str:
        """The id of the member on the other seat; empty: there is none."""
        return self.peer.member.id if self.peer else ""
