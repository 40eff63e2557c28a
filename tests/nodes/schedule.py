"""Which faults happen in which order, derived from a seed."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    """What is done, by where."""

    # To a process.
    KILL = "SIGKILL, and started again"
    DRAIN = "SIGTERM, and started again"
    FREEZE = "SIGSTOP for longer than the lease"
    BLINK = "SIGSTOP for less"
    # To the network between a node and Redis.
    CUT = "reset"
    GIVEN_UP = "stalls, and is given up"
    AWAY = "stalls both ways, for any time"
    DEAF = "stalls towards the node"
    MUTE = "stalls towards Redis"
    # To Redis.
    EMPTIED = "forgets all"
    RESTARTED = "killed, and another one in its place, empty"
    PROMOTED = "killed, and its replica in its place"
    STALLED = "no node hears of it"
    # To a participant.
    LOST = "its connection is reset"
    SILENT = "its connection stalls, then is reset"


PROCESS = (Kind.KILL, Kind.DRAIN, Kind.FREEZE, Kind.BLINK)
NETWORK = (Kind.CUT, Kind.GIVEN_UP, Kind.AWAY, Kind.DEAF, Kind.MUTE)
REDIS = (Kind.EMPTIED, Kind.RESTARTED, Kind.PROMOTED, Kind.STALLED)
PARTICIPANT = (Kind.LOST, Kind.SILENT)

# Seconds from and to; the lease is 6 s.
_LASTS = {
    Kind.KILL: (0.0, 2.0),
    Kind.FREEZE: (6.5, 9.0),
    Kind.BLINK: (0.2, 4.0),
    Kind.GIVEN_UP: (1.0, 3.0),
    Kind.AWAY: (0.5, 9.0),
    Kind.DEAF: (0.5, 9.0),
    Kind.MUTE: (0.5, 9.0),
    Kind.RESTARTED: (0.0, 2.0),
    Kind.STALLED: (0.5, 8.0),
    Kind.SILENT: (0.2, 3.0),
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One of them.

    Attributes:
        kind: which.
        pause: how many seconds after the one before on its lane is over.
        at: which of those it can happen to, from 0 to 1.
        seconds: how long it lasts.
    """

    kind: Kind
    pause: float
    at: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Lane:
    """Faults of some kinds, one after the other, beside the other lanes'.

    Attributes:
        kinds: which.
        share: of all faults.
        pause: the most seconds between two.
    """

    kinds: tuple[Kind, ...]
    share: float
    pause: float


@dataclass(frozen=True, slots=True)
class Weather:
    """What kind of storm.

    Attributes:
        lanes: the faults.
        longest: how many seconds one of them lasts, at the most.
    """

    lanes: tuple[Lane, ...]
    longest: float


ALL = Weather(
    (
        Lane(PROCESS, 0.24, 2.0),
        Lane(NETWORK, 0.26, 2.0),
        # With time in between for rooms to be entered.
        Lane(REDIS, 0.14, 8.0),
        Lane(PARTICIPANT, 0.36, 2.0),
    ),
    longest=9.0,
)
# So short that no lease runs out, also where several come together.
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
    """The faults of a lane, where so many come on all lanes."""
    chance = random.Random(f"{seed} {lane.kinds[0].name}")
    for number in range(round(faults * lane.share)):
        # Each kind in its turn, so that a few faults have some of each.
        kind = lane.kinds[number % len(lane.kinds)]
        shortest, longest = _LASTS.get(kind, (0.0, 0.0))
        yield Fault(
            kind,
            chance.uniform(0.2, lane.pause),
            chance.random(),
            min(chance.uniform(shortest, longest), weather.longest),
        )
