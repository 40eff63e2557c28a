"""Estimates what 10,000 to 10 million concurrent participants need.

Run: python -m benchmarks.simulate [--participants 10000000] [--plot docs/scaling.svg]

It adds up the load of each part with the costs that `make bench`, `benchmarks.nodes` and
`benchmarks.fleet` measured. Participants are either all in calls, or half of them wait alone
in a room; pairs are spread over the nodes at random, or come to one node by the routing key.
"""

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Costs:
    """What was measured, in microseconds of CPU unless the name says otherwise."""

    call: float = 5400
    idle_a_second: float = 18
    cross_node_frame: float = 58
    redis_script: float = 8
    redis_keep: float = 0.5
    redis_look: float = 5
    redis_frame: float = 7.5
    stream_kib: float = 38
    room_bytes: float = 700
    # Both directions, counted at the server: two descriptions and 20 candidates with what gRPC
    # and TCP add, and a heartbeat with its answer every 10 s. Computed, not measured.
    call_network_kib: float = 60
    idle_network_bytes_a_second: float = 40


@dataclass(frozen=True)
class Load:
    """How people call. Short calls are the hardest on signaling, and three minutes is short.

    Attributes:
        name: in the table.
        waiting: the share of participants who wait alone in a room.
        crossing: the share of pairs on two nodes; None: as many as by chance.
    """

    name: str
    waiting: float
    crossing: float | None
    call_seconds: float = 180
    frames: int = 24
    # Both participants enter and leave. Every 8 s, for each participant,
    # its room's lifetime is renewed, and so is its link to a peer on another node.
    scripts: int = 4
    keep_seconds: float = 8


# The most that `benchmarks.fleet` saw by the key, also after a node was added.
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
_SIZES = (10_000, 100_000, 1_000_000, 10_000_000)


@dataclass(frozen=True)
class Need:
    """What so many participants need.

    Attributes:
        calls: new calls a second.
        cores: of all nodes together, fully used.
        nodes: processes, at most 60 % busy, with at most 10,000 streams.
        redis_cores: of all Redis together.
        redis: servers, at most 60 % busy.
        memory_gib: of all nodes.
        redis_gib: of all Redis.
        network_mbit: of all nodes, a second, in both directions.
    """

    calls: float
    cores: float
    nodes: int
    redis_cores: float
    redis: int
    memory_gib: float
    redis_gib: float
    network_mbit: float

    @property
    def core_hours(self) -> int:
        """Cores that have to be paid for, each hour: one a node, one a Redis."""
        return self.nodes + self.redis


def need(participants: int, load: Load, costs: Costs = Costs()) -> Need:
    """What so many participants need under this load."""
    pairs = participants * (1 - load.waiting) / 2
    rooms = pairs + participants * load.waiting
    calls = pairs / load.call_seconds
    nodes = max(2, math.ceil(participants / _STREAMS))
    while (cores := _node_cores(participants, calls, nodes, load, costs)) / nodes > _BUSY:
        nodes += 1
    across = _across(load, nodes)
    kept = participants / load.keep_seconds
    looked = pairs * 2 / load.keep_seconds * across
    redis_cores = (
        calls * load.scripts * costs.redis_script
        + kept * costs.redis_keep
        + looked * costs.redis_look
        + calls * load.frames * across * costs.redis_frame
        # Each node renews its lease every second, at each Redis.
        + nodes * costs.redis_script
    ) / 1e6
    redis = max(1, math.ceil(redis_cores / _BUSY))
    return Need(
        calls,
        cores,
        nodes,
        redis_cores,
        redis,
        participants * costs.stream_kib / 2**20,
        rooms * costs.room_bytes / 2**30,
        (calls * costs.call_network_kib * 2**10 + participants * costs.idle_network_bytes_a_second)
        * 8
        / 1e6,
    )


def _across(load: Load, nodes: int) -> float:
    return 1 - 1 / nodes if load.crossing is None else load.crossing


def _node_cores(participants: int, calls: float, nodes: int, load: Load, costs: Costs) -> float:
    frames = calls * load.frames * _across(load, nodes)
    return (
        calls * costs.call + participants * costs.idle_a_second + frames * costs.cross_node_frame
    ) / 1e6


def row(participants: int, load: Load) -> str:
    """A row of the table."""
    each = need(participants, load)
    return (
        f"{participants:>12,}  {load.name:25} {each.calls:>7,.0f} {each.nodes:>6,} "
        f"{each.cores / each.nodes:>5.0%} {each.redis:>6} {each.redis_cores / each.redis:>5.0%} "
        f"{each.memory_gib:>6,.1f} {each.redis_gib:>6.2f} {each.network_mbit:>7,.0f} "
        f"{each.core_hours:>6,}"
    )


def plot(path: Path, sizes: Sequence[int]) -> None:
    """Draw the cores and the Redis servers that each size needs."""
    import matplotlib as mpl  # noqa: PLC0415 - an extra that only plots need

    mpl.use("Agg")
    mpl.rcParams["svg.fonttype"] = "none"
    from matplotlib import pyplot as plt  # noqa: PLC0415 - as above

    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    for load, colour, line in zip(LOADS, ("#b5471b", "#2a6f97") * 2, "--::", strict=True):
        needs = [need(size, load) for size in sizes]
        style = {"color": colour, "linestyle": "-" if line == "-" else ":", "label": load.name}
        left.plot(sizes, [one.cores for one in needs], **style)
        right.plot(sizes, [one.redis_cores / _BUSY for one in needs], **style)
    right.axhline(1, color="#333", linewidth=0.8)
    right.annotate("one Redis, 60 % busy", (sizes[0], 1.1), fontsize=8)
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
    print(f"{'':54} {'each':>5} {'':>6} {'each':>5} {'GiB of all':^13} {'Mbit':>7} {'core':>6}")
    print(
        f"{'participants':12}  {'':25} {'calls/s':>7} {'nodes':>6} {'busy':>5} {'Redis':>6} "
        f"{'busy':>5} {'nodes':>6} {'Redis':>6} {'/s':>7} {'hours':>6}"
    )
    for participants in _SIZES:
        for load in LOADS:
            if participants <= most:
                print(row(participants, load))
    if picture is not None:
        plot(picture, [round(10_000 * 10 ** (step / 10)) for step in range(31)])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--participants", type=int, default=_SIZES[-1])
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    main(options.participants, options.plot)
