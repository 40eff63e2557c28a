"""A seat as its node knows it, and as Redis keeps it."""

import json
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from dyad_server.core.events import Member


@dataclass(slots=True)
class Peer:
    """The one on the other seat.

    Attributes:
        member: who.
        node: where; empty: on its way from one node to another.
        doubtful: its node says that the two are not peers.
        absent_since: when Redis was seen to have no seat of its; None: it has one.
    """

    member: Member
    node: str
    doubtful: bool = False
    absent_since: float | None = None


@dataclass(slots=True, eq=False)
class Seat:
    """A member's seat, from the question for it to its end.

    Attributes:
        member: whose.
        room_id: where.
        polite: which one.
        epoch: of the room, when what is known of it was so.
        seated: Redis has given it.
        gone: given up before that.
        peer: who sits on the other one, as far as is known.
        waiting: what was asked before Redis' answer to the entering.
    """

    member: Member
    room_id: str
    polite: bool = False
    epoch: int = 0
    seated: bool = False
    gone: bool = False
    peer: Peer | None = None
    waiting: deque[Callable[[], None]] = field(default_factory=deque)

    @property
    def peer_id(self) -> str:
        """The id of the one on the other seat; empty: nobody's."""
        return self.peer.member.id if self.peer else ""


def written(member: Member) -> str:
    """A seat of `member` as Redis keeps it, but for what the scripts add."""
    return json.dumps({"id": member.id, "user": member.user_id, "email": member.email})


def read(text: bytes) -> Peer | None:
    """Who sits on a seat that Redis keeps; None where `text` is empty."""
    if not text:
        return None
    seat = json.loads(text)
    return Peer(Member(seat["id"], seat["user"], seat["email"]), seat["node"])
