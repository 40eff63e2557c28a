"""Which fault happens when, derived from a seed."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

GRACE_SECONDS = 15.0


class Kind(Enum):
    """How a connection breaks; `seconds` is the fault's own."""

    RESET = "both sides are told at once"
    HALF_OPEN = "only the client is; the server's side stays open"
    LOSSY = "for some seconds nothing goes through, and then what was said is gone"
    DEAF = "the same, of what the server says: it has taken in what is said, and cannot say so"
    MUTE = "the same, of what the client says"
    REFUSED = "reset, and for some seconds nobody can connect"
    SWALLOWED = "reset, and for some seconds who connects gets no answer"
    AGAIN = "reset, and twice more after some seconds, while it comes back"
    PAUSE = "for some seconds nothing goes through, and then all of it does"
    SILENT = "nothing goes through until the client gives up by itself; it arrives late"
    AWAY = "nobody can connect for longer than the seat is held"


# How often, and for how many seconds from and to.
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
# What is said after the last fault, in parts of the whole: a pair that was told
# of a loss needs some frames to come to terms.
_REST = 0.05


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault.

    Attributes:
        after: how many frames the pair has heard before.
        sides: whose connection it is about: 0, 1 or both.
        kind: what.
        seconds: for how long.
    """

    after: int
    sides: tuple[int, ...]
    kind: Kind
    seconds: float


def schedule(seed: str, *, frames: int, cuts: int, long: bool) -> Iterator[Fault]:
    """The faults for a pair that sends so many frames.

    Args:
        seed: the same one gives the same schedule.
        frames: of both.
        cuts: how many of the faults break a connection.
        long: also those that take longer than 8 s.
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
        # Of two who are both away for long, nobody keeps the room.
        both = kind is not Kind.AWAY and chance.random() < _BOTH_SHARE
        yield Fault(
            after=int((n + chance.uniform(0.5, 1)) * between),
            sides=(0, 1) if both else one,
            kind=kind,
            seconds=chance.uniform(least, most),
        )
