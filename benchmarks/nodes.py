"""Compares the server CPU of a frame between two nodes with that of a frame on one node.

Run: python -m benchmarks.nodes [--rounds 5] [--frames 20000]

Both kinds of pair run in turn against the same two `dyad serve --redis`
processes. Each figure is the median over the rounds. The CPU of Redis is listed
separately, because all nodes share it.
"""

import argparse
import asyncio
import secrets
import statistics
import time

import dyad
from dyad_server.auth.mint import mint

from benchmarks.bench.processes import cpu_seconds
from tests.support.process import dyad_serve
from tests.support.python_client import UNBOUND
from tests.support.redis import redis_server

SECRET = secrets.token_hex(32)
PAIRS = 10
# As in a real call: a few candidates at a time, and then the other side's.
BURST = 5
CANDIDATE = dyad.Candidate("candidate:1 1 udp 2122260223 192.0.2.1 50000 typ host")


async def pair(here: str, there: str, frames: int) -> None:
    """Run a call between these two addresses, with this many frames."""
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
                for _ in range(BURST):
                    await sender.send_candidate(CANDIDATE)
                for _ in range(BURST):
                    await anext(aiter(receiver))
        await alice.leave()


async def measure(ports: tuple[int, int], pids: list[int], frames: int) -> list[float]:
    """The CPU of a frame in each process, in microseconds, for pairs that use these ports."""
    before = [cpu_seconds([pid]) for pid in pids]
    here, there = (f"127.0.0.1:{port}" for port in ports)
    await asyncio.gather(*(pair(here, there, frames // PAIRS) for _ in range(PAIRS)))
    return [
        (cpu_seconds([pid]) - was) / frames * 1e6 for pid, was in zip(pids, before, strict=True)
    ]


async def main(rounds: int, frames: int) -> None:
    """Measure, and print the results."""
    options = [
        *("--max-frames-per-second", "1000000"),
        *("--max-bytes-per-second", "1000000000"),
        *("--max-streams-per-user", "1000"),
    ]
    async with (
        redis_server() as redis,
        dyad_serve(SECRET, "--redis", redis.url, *options) as one,
        dyad_serve(SECRET, "--redis", redis.url, *options) as other,
    ):
        pids = [one.process.pid, other.process.pid, redis.process.pid]
        kinds = {"one node": (one.port, one.port), "two nodes": (one.port, other.port)}
        found: dict[str, list[list[float]]] = {kind: [] for kind in kinds}
        began = time.monotonic()
        for number in range(rounds + 1):
            for kind, ports in kinds.items():
                costs = await measure(ports, pids, frames)
                if number:  # The first round only warms up.
                    found[kind].append(costs)
            print(f"  round {number} of {rounds}, {time.monotonic() - began:.0f} s", flush=True)
    totals = {}
    for kind, measured in found.items():
        nodes = statistics.median(first + second for first, second, _ in measured)
        engine = statistics.median(third for _, _, third in measured)
        totals[kind] = nodes
        print(f"{kind:10} {nodes:6.1f} µs of node CPU a frame, {engine:5.1f} µs of Redis")
    ratio = totals["two nodes"] / totals["one node"]
    print(f"ratio      {ratio:6.2f} of node CPU")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--frames", type=int, default=20_000)
    options = parser.parse_args()
    asyncio.run(main(options.rounds, options.frames))
