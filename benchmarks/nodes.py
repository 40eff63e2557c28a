"""Compares the server CPU of a pair on two nodes with that of a pair on one node.

Run: python -m benchmarks.nodes [--rounds 5] [--frames 20000] [--meetings 200]

A meeting is two connections, two joins and two hang-ups, without a frame between the
participants. Both kinds of pair run in turn against the same two `dyad serve --redis`
processes. Each figure is the median over the rounds, and so is each ratio of the two figures
of one round. The CPU of Redis is listed separately, because all nodes share it. The latency is
that of five frames in a row, from the first one that is sent to the last one that arrives.
"""

import argparse
import asyncio
import secrets
import statistics
import time
from collections import defaultdict
from collections.abc import Awaitable

import dyad
from dyad_server.auth.mint import mint

from benchmarks.bench.processes import cpu_seconds
from tests.support.process import dyad_serve
from tests.support.python_client import UNBOUND
from tests.support.redis import settled_redis

SECRET = secrets.token_hex(32)
PAIRS = 10
# As in a real call: a few candidates at a time, and then the other side's.
BURST = 5
CANDIDATE = dyad.Candidate("candidate:1 1 udp 2122260223 192.0.2.1 50000 typ host")


async def pair(here: str, there: str, frames: int, took: list[float]) -> None:
    """Run a call between these two addresses, with this many frames; note what each burst took."""
    async with (
        dyad.connect(
            here, mint(SECRET, sub="alice", email="", ttl=3600), plaintext=True, limits=UNBOUND
        ) as alice,
        dyad.connect(
            there, mint(SECRET, sub="bob", email="", ttl=3600), plaintext=True, limits=UNBOUND
        ) as bob,
    ):
        room = await alice.create(resumable=False)
        await bob.join(room.room_id, resumable=False)
        await anext(aiter(alice))
        for _ in range(frames // (2 * BURST)):
            for sender, receiver in ((alice, bob), (bob, alice)):
                began = time.monotonic()
                for _ in range(BURST):
                    await sender.send_candidate(CANDIDATE)
                for _ in range(BURST):
                    await anext(aiter(receiver))
                took.append(time.monotonic() - began)
        await alice.leave()
        await bob.leave()


async def talk(here: str, there: str, frames: int, took: list[float]) -> None:
    """All pairs at the same time, with this many frames in all."""
    await asyncio.gather(*(pair(here, there, frames // PAIRS, took) for _ in range(PAIRS)))


async def meet(here: str, there: str, meetings: int, took: list[float]) -> None:
    """This many calls in all, without frames, a few at the same time."""

    async def some() -> None:
        for _ in range(meetings // PAIRS):
            await pair(here, there, 0, took)

    await asyncio.gather(*(some() for _ in range(PAIRS)))


async def measure(pids: list[int], work: Awaitable[None], count: int) -> tuple[float, float]:
    """The CPU of one of `count` things, in microseconds: of both nodes, and of Redis."""
    before = [cpu_seconds([pid]) for pid in pids]
    await work
    first, second, redis = (
        (cpu_seconds([pid]) - was) / count * 1e6 for pid, was in zip(pids, before, strict=True)
    )
    return first + second, redis


async def main(rounds: int, frames: int, meetings: int) -> None:
    """Measure, and print the results."""
    options = [
        *("--max-frames-per-second", "1000000"),
        *("--max-bytes-per-second", "1000000000"),
        *("--max-streams-per-user", "1000"),
        *("--max-opens-per-second", "10000"),
    ]
    async with (
        settled_redis() as redis,
        dyad_serve(SECRET, "--redis", redis.url, *options) as one,
        dyad_serve(SECRET, "--redis", redis.url, *options) as other,
    ):
        pids = [one.process.pid, other.process.pid, redis.process.pid]
        first, second = (f"127.0.0.1:{node.port}" for node in (one, other))
        kinds = {"one node": (first, first), "two nodes": (first, second)}
        works = {"frame": (talk, frames), "meeting": (meet, meetings)}
        found: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
        latencies: dict[str, list[float]] = defaultdict(list)
        began = time.monotonic()
        for number in range(rounds + 1):
            for what, (work, count) in works.items():
                for kind, (here, there) in kinds.items():
                    took: list[float] = []
                    costs = await measure(pids, work(here, there, count, took), count)
                    if number:  # The first round only warms up.
                        found[what, kind].append(costs)
                        latencies[kind] += took
            print(f"  round {number} of {rounds}, {time.monotonic() - began:.0f} s", flush=True)
    for what in works:
        for kind in kinds:
            nodes, engine = map(statistics.median, zip(*found[what, kind], strict=True))
            print(f"{what:8} {kind:10} {nodes:7.1f} µs of node CPU, {engine:6.1f} µs of Redis")
        pairs = zip(found[what, "two nodes"], found[what, "one node"], strict=True)
        ratios = sorted(two[0] / one[0] for two, one in pairs)
        between = f"({ratios[0]:.2f} to {ratios[-1]:.2f})"
        print(f"{what:8} ratio      {statistics.median(ratios):7.2f} of node CPU {between}")
    for kind, each in latencies.items():
        *_, p99 = (1e3 * seconds for seconds in statistics.quantiles(each, n=100))
        print(f"latency  {kind:10} {1e3 * statistics.median(each):7.1f} ms, p99 {p99:.1f} ms")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--frames", type=int, default=20_000)
    parser.add_argument("--meetings", type=int, default=200)
    options = parser.parse_args()
    asyncio.run(main(options.rounds, options.frames, options.meetings))
