"""What the scripts of Redis answer; each script says at its top what its words mean."""

from dataclasses import dataclass
from enum import Enum

from dyad_server.engines.redis.seats import Peer


class Verdict(Enum):
    """An answer of one word."""

    OK = b"ok"
    AGAIN = b"again"
    FULL = b"full"
    NOT_FOUND = b"not found"
    REPLACED = b"replaced"
    OUT_OF_SYNC = b"out of sync"
    MOVED = b"moved"
    OTHER = b"other"
    NONE = b"none"
    HANDED_OFF = b"handed off"
    FORGOTTEN = b"forgotten"
    ABSENT = b"absent"
    GONE = b"gone"


@dataclass(frozen=True, slots=True)
class Entered:
    """A member has a seat.

    Attributes:
        term: the node's term in which Redis gave it.
        polite: which of the two seats.
        epoch: of the room.
        peer: on the other seat.
        evicted: the session of the same user that had the seat before.
    """

    term: int
    polite: bool
    epoch: int
    peer: Peer | None
    evicted: Peer | None


@dataclass(frozen=True, slots=True)
class Freed:
    """A seat is free.

    Attributes:
        peer: is left in the room.
        evicted: the session of the same user that had the seat before.
        since: the epoch of the room when its member got it.
    """

    peer: Peer | None
    evicted: Peer | None
    since: int


@dataclass(frozen=True, slots=True)
class OnNode:
    """A peer sits on that node; `missing`: which has no lease at the moment."""

    node: str
    missing: bool


@dataclass(frozen=True, slots=True)
class Claimed:
    """A seat that was handed off belongs to this node now.

    Attributes:
        term: the node's term in which Redis gave it.
        snapshot: what the node before left: see `snapshot.Snapshot`.
        peer: on the other seat.
    """

    term: int
    snapshot: bytes
    peer: Peer | None


@dataclass(frozen=True, slots=True)
class Waiting:
    """That member's seat waits in Redis: name it in the next claim."""

    member_id: str


@dataclass(frozen=True, slots=True)
class OnNodes:
    """Nothing waits in Redis; the user has seats on these nodes."""

    nodes: frozenset[str]


@dataclass(frozen=True, slots=True)
class Renewal:
    """A lease is renewed.

    Attributes:
        generation: of the data in Redis.
        age_seconds: of the generation.
        back: when the node was last back after others may have believed it gone.
        redis_seconds: the time of Redis.
    """

    generation: str
    age_seconds: float
    back: bytes
    redis_seconds: float
