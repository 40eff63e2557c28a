"""Estimates what 10,000 to 10 million concurrent participants need.

Run: python -m benchmarks.simulate [--participants 10000000] [--plot docs/scaling.svg]

It adds up the load of each part, with the measured costs of one call, frame and script.
Participants are either all in calls, or half of them wait alone in a room. Pairs are spread
over the nodes at random, or come to one node by the routing key.
"""

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from dyad_server.engines.redis import bounds


@dataclass(frozen=True)
class Costs:
    """What was measured. `python -m benchmarks.nodes` measures pairs on one node and on two.

    Attributes:
        meeting: µs of CPU of all nodes for two connections, two joins and two hang-ups, on one
            node and on two (benchmarks.nodes).
        frame: the same for a frame (benchmarks.nodes).
        idle: µs of CPU a second for a connected participant (make bench MEASURE=idle-1k).
        redis_meeting: µs of Redis for a meeting (benchmarks.nodes).
        redis_frame: µs of Redis for a frame between two nodes (benchmarks.nodes).
        keep_rooms: µs of Redis for the script (benchmarks.scripts), without the rooms.
        keep_room: the same for each room.
        nodes_gone: µs of Redis for the script, without the nodes.
        node_gone: the same for each node.
        renew_lease: µs of Redis for the script.
        stream_kib: memory of a node for a participant (make bench MEASURE=idle-1k).
        room_bytes: memory of Redis for a room with two seats. Estimated.
        call_network_kib: both directions, counted at the server: two descriptions and 20
            candidates with what gRPC and TCP add. Computed from their sizes.
        idle_network_bytes: the same a second: a heartbeat and its answer every 10 s.
    """

    meeting: tuple[float, float] = (3350, 4650)
    frame: tuple[float, float] = (37.5, 64)
    idle: float = 12
    redis_meeting: tuple[float, float] = (400, 500)
    redis_frame: float = 3
    keep_rooms: float = 22
    keep_room: float = 6.2
    nodes_gone: float = 12
    node_gone: float = 0.8
    renew_lease: float = 45
    stream_kib: float = 38.5
    room_bytes: float = 700
    call_network_kib: float = 60
    idle_network_bytes: float = 40


@dataclass(frozen=True)
class Load:
    """How people call. Short calls are the hardest on signaling, and three minutes is short.

    Attributes:
        name: in the table.
        waiting: the share of participants who wait alone in a room.
        crossing: the share of pairs on two nodes; None: as many as by chance.
        call_seconds: how long a call lasts.
        frames: of a call: an offer, an answer, 20 candidates.
        keep_seconds: how often a room is looked after (`KEEP_LOOKS`).
    """

    name: str
    waiting: float
    crossing: float | None
    call_seconds: float = 180
    frames: int = 22
    keep_seconds: float = 8


# Between what `benchmarks.fleet` saw by the key in a settled fleet and after a node was added.
_CROSSING = 0.011
LOADS = (
    Load("in calls, at random", 0, None),
    Load("in calls, by the key", 0, _CROSSING),
    Load("half waiting, at random", 0.5, None),
    Load("half waiting, by the key", 0.5, _CROSSING),
)
# How far one process may be loaded: the rest is for bursts, and for a node that fails.
_BUSY = 0.6
# `--max-streams`.
_STREAMS = 10_000
SIZES = (10_000, 100_000, 1_000_000, 10_000_000)
_MICRO = 1e6


@dataclass(frozen=True)
class Need:
    """What so many participants need under a load.

    Attributes:
        participants: how many are connected.
        load: what they do.
        costs: what each thing costs.
    """

    participants: int
    load: Load
    costs: Costs = Costs()

    @property
    def pairs(self) -> float:
        """Calls at the same time."""
        return self.participants * (1 - self.load.waiting) / 2

    @property
    def rooms(self) -> float:
        """Rooms, including those with one participant."""
        return self.pairs + self.participants * self.load.waiting

    @property
    def calls(self) -> float:
        """New calls a second."""
        return self.pairs / self.load.call_seconds

    @cached_property
    def nodes(self) -> int:
        """Processes: at most 60 % busy, with at most 10,000 streams."""
        nodes = max(2, math.ceil(self.participants / _STREAMS))
        while self._cores(nodes) > _BUSY * nodes:
            nodes += 1
        return nodes

    @property
    def cores(self) -> float:
        """What the nodes use."""
        return self._cores(self.nodes)

    @cached_property
    def redis(self) -> int:
        """Redis servers, at most 60 % busy."""
        redis = 1
        while sum(self.redis_parts(redis).values()) > _BUSY * redis:
            # Steps of 5 %, as an exact number would pretend to more than is known.
            redis = max(redis + 1, round(redis * 1.05))
        return redis

    @property
    def redis_cores(self) -> float:
        """What all Redis use."""
        return sum(self.redis_parts(self.redis).values())

    def redis_parts(self, redis: int) -> dict[str, float]:
        """What so many Redis use, in cores, by what for."""
        costs, across = self.costs, self._across(self.nodes)
        crossing = self.pairs * across
        # Each room is kept in its turn. On one node, one of a pair keeps it for both.
        kept = (self.rooms + crossing) / self.load.keep_seconds
        # Once a second, each node asks each Redis about the rooms there whose turn it is, and
        # about each node where it has peers there.
        asks = redis * self.nodes
        scripts = asks * math.ceil(kept / asks / bounds.ROOMS_AT_ONCE)
        peers = 2 * crossing / asks
        others = self.nodes - 1
        watched = others * (1 - (1 - 1 / others) ** peers) if others > 1 else min(1.0, peers)
        parts = {
            "calls": self.calls * _between(costs.redis_meeting, across),
            "frames": self.calls * self.load.frames * across * costs.redis_frame,
            "rooms": scripts * costs.keep_rooms + kept * costs.keep_room,
            "nodes": asks * (watched * costs.node_gone + costs.nodes_gone + costs.renew_lease),
        }
        return {what: microseconds / _MICRO for what, microseconds in parts.items()}

    @property
    def most(self) -> str:
        """What takes the most of Redis."""
        parts = self.redis_parts(self.redis)
        return max(parts, key=parts.__getitem__)

    @property
    def memory_gib(self) -> float:
        """Of all nodes."""
        return self.participants * self.costs.stream_kib / 2**20

    @property
    def redis_gib(self) -> float:
        """Of all Redis."""
        return self.rooms * self.costs.room_bytes / 2**30

    @property
    def network_mbit(self) -> float:
        """Of all nodes, a second, in both directions."""
        calls = self.calls * self.costs.call_network_kib * 2**10
        return (calls + self.participants * self.costs.idle_network_bytes) * 8 / 1e6

    @property
    def core_hours(self) -> int:
        """Cores that have to be paid for, each hour: one a node, one a Redis."""
        return self.nodes + self.redis

    def _across(self, nodes: int) -> float:
        return 1 - 1 / nodes if self.load.crossing is None else self.load.crossing

    def _cores(self, nodes: int) -> float:
        costs, across = self.costs, self._across(nodes)
        call = _between(costs.meeting, across) + self.load.frames * _between(costs.frame, across)
        return (self.calls * call + self.participants * costs.idle) / _MICRO


def _between(ends: tuple[float, float], share: float) -> float:
    """The mean of two costs, where the second has this share."""
    return ends[0] * (1 - share) + ends[1] * share


def most_of_one_redis(load: Load) -> int:
    """How many participants one Redis serves, to two digits."""
    low, high = 1_000, 100_000_000
    while high - low > low // 100:
        middle = (low + high) // 2
        low, high = (middle, high) if Need(middle, load).redis == 1 else (low, middle)
    return round(low, 1 - int(math.log10(low)))


def row(need: Need) -> str:
    """A row of the table."""
    return _cells(
        (
            f"{need.participants:,}",
            need.load.name,
            f"{need.calls:,.0f}",
            f"{need.nodes:,}",
            f"{need.cores / need.nodes:.0%}",
            f"{need.redis:,}",
            f"{need.redis_cores / need.redis:.0%}",
            need.most,
            f"{need.memory_gib:,.1f}",
            f"{need.redis_gib:.2f}",
            f"{need.network_mbit:,.0f}",
            f"{need.core_hours:,}",
        )
    )


def _cells(texts: Sequence[str]) -> str:
    number, name, *others = texts
    widths = (7, 6, 5, 6, 5, 6, 6, 6, 7, 6)
    rest = " ".join(f"{text:>{width}}" for text, width in zip(others, widths, strict=True))
    return f"{number:>12}  {name:24} {rest}"


def table(most: int = SIZES[-1]) -> str:
    """What each size needs under each load, and what one Redis serves."""
    above = ("", "", "", "", "each", "", "each", "most", "GiB of", "all", "Mbit", "core")
    heads = ("participants", "", "calls/s", "nodes", "busy", "Redis", "busy", "is for")
    lines = [_cells(above), _cells((*heads, "nodes", "Redis", "/s", "hours"))]
    lines += [row(Need(size, load)) for size in SIZES if size <= most for load in LOADS]
    lines += ["", "one Redis serves"]
    lines += [f"{most_of_one_redis(load):>12,}  {load.name}" for load in LOADS]
    return "\n".join(lines)


def plot(path: Path, sizes: Sequence[int]) -> None:
    """Draw the cores and the Redis servers that each size needs."""
    import matplotlib as mpl  # noqa: PLC0415 - an extra that only plots need

    mpl.use("Agg")
    mpl.rcParams["svg.fonttype"] = "none"
    # The same picture each time.
    mpl.rcParams["svg.hashsalt"] = "dyad"
    from matplotlib import pyplot as plt  # noqa: PLC0415 - as above

    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    lines = zip(LOADS, ("#b5471b", "#2a6f97") * 2, ("-", "-", ":", ":"), strict=True)
    for load, colour, line in lines:
        needs = [Need(size, load) for size in sizes]
        left.plot(sizes, [one.cores for one in needs], line, color=colour, label=load.name)
        right.plot(sizes, [one.redis for one in needs], line, color=colour)
    for axes, title in ((left, "cores that the nodes use"), (right, "Redis servers")):
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_title(title, loc="left")
        axes.set_xlabel("concurrent participants")
        axes.spines[["top", "right"]].set_visible(False)
    left.legend(fontsize=8, frameon=False)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def main(most: int, picture: Path | None) -> None:
    """Print the table, and draw the plot if one is asked for."""
    print(table(most))
    if picture is not None:
        plot(picture, [round(SIZES[0] * 10 ** (step / 10)) for step in range(31)])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--participants", type=int, default=SIZES[-1])
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    main(options.participants, options.plot)
