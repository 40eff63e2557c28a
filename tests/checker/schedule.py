"""Derives from a seed which fault happens when."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

GRACE_SECONDS = 15.0


class Kind(Enum):
    """How a connection breaks. How long is up to each fault."""

    RESET = "both sides are told at once"
    HALF_OPEN = "only the client is told; the server's side stays open"
    LOSSY = "nothing goes through for a while, and what was sent meanwhile is lost"
    DEAF = "as LOSSY, from the server only: it receives frames and cannot acknowledge them"
    MUTE = "as LOSSY, from the client only"
    REFUSED = "a reset, and the client cannot connect for a while"
    SWALLOWED = "a reset, and new connections get no answer for a while"
    AGAIN = "a reset, and two more while the client reconnects"
    PAUSE = "nothing goes through for a while, and then everything arrives"
    SILENT = "nothing goes through until the client drops the connection, and then it arrives late"
    AWAY = "the client cannot connect until its seat is no longer reserved"


# The weight of each kind, and the least and most seconds that it takes.
_OFTEN = {
    Kind.RESET: (20, 0.0, 0.0),
    Kind.HALF_OPEN: (15, 0.0, 0.0),
    Kind.LOSSY: (10, 0.0, 0.3),
    Kind.DEAF: (10, 0.0, 0.3),
    Kind.MUTE: (5, 0.0, 0.3),
    Kind.REFUSED: (12, 0.0, 0.8),
    Kind.SWALLOWED: (5, 0.0, 0.5),
    Kind.AGAIN: (15, 0.0, 0.15),
    Kind.PAUSE: (8, 0.0, 0.5),
}
_SELDOM = {
    Kind.SILENT: (1, 9.0, 10.0),
    Kind.AWAY: (1, GRACE_SECONDS + 1, GRACE_SECONDS + 2),
}
_BOTH_SHARE = 0.2
# The share of the frames that comes after the last fault: a pair that was told
# of a loss needs some frames to recover.
_REST = 0.05


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault.

    Attributes:
        after: how many frames the pair has received when it happens.
        sides: whose connection it breaks: 0, 1 or both.
        kind: how it breaks.
        seconds: how long the fault takes.
    """

    after: int
    sides: tuple[int, ...]
    kind: Kind
    seconds: float


def schedule(seed: str, *, frames: int, cuts: int, long: bool) -> Iterator[Fault]:
    """The faults of a pair that sends this many frames.

    Args:
        seed: the same seed gives the same schedule.
        frames: how many both send together.
        cuts: how many of the faults break a connection.
        long: whether some faults take longer than 8 s.
    """
    chance = random.Random(seed)
    kinds = _OFTEN | _SELDOM if long else _OFTEN
    weights = [weight for weight, _, _ in kinds.values()]
    drawn: list[Kind] = []
    while sum(kind is not Kind.PAUSE for kind in drawn) < cuts:
        drawn += chance.choices(list(kinds), weights)
    between = frames * (1 - _REST) / len(drawn)
    for n, kind in enumerate(drawn):
        _, least, most = kinds[kind]
        one = (chance.randrange(2),)
        # If both were away for so long, the room would be gone.
        both = kind is not Kind.AWAY and chance.random() < _BOTH_SHARE
        yield Fault(
            after=int((n + chance.uniform(0.5, 1)) * between),
            sides=(0, 1) if both else one,
            kind=kind,
            seconds=chance.uniform(least, most),
        )
