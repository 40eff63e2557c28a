"""Estimates how many nodes and Redis servers a number of participants needs.

Run: python -m benchmarks.simulate [--participants 1000000]

The simulation draws calls at random. It puts each participant on a node, and each
room on a Redis server by the hash of its id. Then it adds up the load of each, with
the costs that `make bench` and `benchmarks.nodes` measured. The table shows
which limit is reached first, and how evenly the hash spreads the rooms.
"""

import argparse
import hashlib
import math
import random
import uuid
from collections import Counter
from dataclasses import dataclass


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


@dataclass(frozen=True)
class Load:
    """How people call. Short calls are the hardest on signaling, and three minutes is short."""

    call_seconds: float = 180
    frames: int = 24
    # Both participants enter and leave. Every 8 s, for each participant,
    # its room's lifetime is renewed, and so is its link to a peer on another node.
    scripts: int = 4
    keep_seconds: float = 8


# How far one process may be loaded: the rest is for bursts, and for a node that fails.
_BUSY = 0.6
_STREAMS = 10_000


def shard_of(room_id: str, shards: int) -> int:
    """The Redis server of a room: every node computes the same one from the room id."""
    return int.from_bytes(hashlib.sha256(room_id.encode()).digest()[:8], "big") % shards


def redis_busy(rooms: float, costs: Costs, load: Load, across: float) -> float:
    """The share of a core that one Redis server uses for this many rooms."""
    calls = rooms / load.call_seconds
    kept = rooms * 2 / load.keep_seconds * (costs.redis_keep + costs.redis_look * across)
    frames = calls * load.frames * across
    return (calls * load.scripts * costs.redis_script + kept + frames * costs.redis_frame) / 1e6


def node_busy(streams: float, costs: Costs, load: Load, across: float) -> float:
    """The share of a core that one node uses for this many streams."""
    calls = streams / 2 / load.call_seconds
    frames = calls * load.frames * across
    return (
        calls * costs.call + streams * costs.idle_a_second + frames * costs.cross_node_frame
    ) / 1e6


def simulate(participants: int, seed: int) -> str:
    """A row of the table."""
    costs, load = Costs(), Load()
    rooms = participants // 2
    nodes = max(2, math.ceil(participants / _STREAMS))
    while node_busy(participants / nodes, costs, load, 1 - 1 / nodes) > _BUSY:
        nodes += 1
    across = 1 - 1 / nodes
    shards = 1
    while redis_busy(rooms / shards, costs, load, across) > _BUSY:
        shards += 1
    chance = random.Random(seed)
    on_node: Counter[int] = Counter()
    on_shard: Counter[int] = Counter()
    for _ in range(rooms):
        room_id = str(uuid.UUID(int=chance.getrandbits(128), version=4))
        shard = shard_of(room_id, shards)
        on_shard[shard] += 1
        # Each shard is a fleet of its own: both participants of a room are on its nodes.
        own = range(shard * nodes // shards, max((shard + 1) * nodes // shards, 1))
        for _ in range(2):
            on_node[own[chance.randrange(len(own))]] += 1
    busiest_node, busiest_shard = max(on_node.values()), max(on_shard.values())
    return (
        f"{participants:>12,} {rooms / load.call_seconds:>9,.0f} {nodes:>6} "
        f"{node_busy(busiest_node, costs, load, across):>9.0%} {shards:>6} "
        f"{redis_busy(busiest_shard, costs, load, across):>9.0%} "
        f"{participants * costs.stream_kib / 1024 / 1024 / nodes:>10.2f}"
    )


def main(most: int, seed: int) -> None:
    """Print the table."""
    print(" participants   calls/s  nodes   busiest  Redis   busiest  GiB a node")
    participants = 1000
    while participants <= most:
        print(simulate(participants, seed), flush=True)
        participants *= 10


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--participants", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    main(options.participants, options.seed)
