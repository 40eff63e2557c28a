"""Which faults happen in which order, derived from a seed."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    """The kinds of faults, by what breaks."""

    # A process.
    KILL = "SIGKILL, then started again"
    DRAIN = "SIGTERM, then started again"
    FREEZE = "SIGSTOP for longer than the lease"
    BLINK = "SIGSTOP for less than the lease"
    # The network between a node and Redis.
    CUT = "reset"
    ABANDONED = "stalls, and the node opens a new connection"
    AWAY = "stalls both ways, new connections too"
    DEAF = "stalls towards the node"
    MUTE = "stalls towards Redis"
    # Redis.
    EMPTIED = "loses its data"
    RESTARTED = "killed and replaced by an empty one"
    PROMOTED = "killed and replaced by its replica"
    STALLED = "stalls for all nodes"
    # A participant's connection.
    LOST = "its connection is reset"
    SILENT = "its connection stalls, then is reset"


PROCESS = (Kind.KILL, Kind.DRAIN, Kind.FREEZE, Kind.BLINK)
NETWORK = (Kind.CUT, Kind.ABANDONED, Kind.AWAY, Kind.DEAF, Kind.MUTE)
REDIS = (Kind.EMPTIED, Kind.RESTARTED, Kind.PROMOTED, Kind.STALLED)
PARTICIPANT = (Kind.LOST, Kind.SILENT)

# The shortest and the longest, in seconds; the lease is 6 s.
_LASTS = {
    Kind.KILL: (0.0, 2.0),
    Kind.FREEZE: (6.5, 9.0),
    Kind.BLINK: (0.2, 4.0),
    Kind.ABANDONED: (1.0, 3.0),
    Kind.AWAY: (0.5, 9.0),
    Kind.DEAF: (0.5, 9.0),
    Kind.MUTE: (0.5, 9.0),
    Kind.RESTARTED: (0.0, 2.0),
    Kind.STALLED: (0.5, 8.0),
    Kind.SILENT: (0.2, 3.0),
}


@dataclass(frozen=True, slots=True)
class Fault:
    """A planned fault.

    Attributes:
        kind: what breaks, and how.
        pause: the seconds since the end of the lane's previous fault.
        at: which of the possible targets it hits, from 0 to 1.
        seconds: how long it lasts.
    """

    kind: Kind
    pause: float
    at: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Lane:
    """Faults that happen one after the other, while other lanes have theirs.

    Attributes:
        kinds: the kinds of its faults.
        share: its part of all faults.
        pause: the most seconds between two faults.
    """

    kinds: tuple[Kind, ...]
    share: float
    pause: float


@dataclass(frozen=True, slots=True)
class Weather:
    """The faults that a storm consists of.

    Attributes:
        lanes: the faults that happen at the same time.
        longest: the most seconds that a fault lasts.
    """

    lanes: tuple[Lane, ...]
    longest: float


ALL = Weather(
    (
        Lane(PROCESS, 0.24, 2.0),
        Lane(NETWORK, 0.26, 2.0),
        # The pauses are long enough for joins to succeed in between.
        Lane(REDIS, 0.14, 8.0),
        Lane(PARTICIPANT, 0.36, 2.0),
    ),
    longest=9.0,
)
# So short that no lease runs out, even if several faults coincide.
_SHORT_SECONDS = 0.8
MOVING = Weather(
    (
        Lane((Kind.DRAIN, Kind.BLINK), 0.3, 2.0),
        Lane(NETWORK, 0.3, 2.0),
        Lane(PARTICIPANT, 0.4, 2.0),
    ),
    _SHORT_SECONDS,
)
FORGETTING = Weather(
    (Lane((Kind.BLINK,), 0.3, 3.0), Lane(NETWORK, 0.4, 2.0), Lane(REDIS, 0.3, 6.0)),
    _SHORT_SECONDS,
)


def schedule(seed: str, weather: Weather, lane: Lane, faults: int) -> Iterator[Fault]:
    """The faults of a lane; `faults` counts those of all lanes."""
    chance = random.Random(f"{seed} {lane.kinds[0].name}")
    for number in range(round(faults * lane.share)):
        # In turn, so that a few faults already have some of each kind.
        kind = lane.kinds[number % len(lane.kinds)]
        shortest, longest = _LASTS.get(kind, (0.0, 0.0))
        yield Fault(
            kind,
            chance.uniform(0.2, lane.pause),
            chance.random(),
            min(chance.uniform(shortest, longest), weather.longest),
        )
