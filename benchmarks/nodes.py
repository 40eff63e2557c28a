"""Compares the server CPU of a pair on two nodes with that of a pair on one node.

Run: python -m benchmarks.nodes [--rounds 5] [--frames 20000] [--meetings 200] [--pairs 100]

A meeting is two connections, two joins and two hang-ups, without a frame between the
participants. Both kinds of pair run in turn against the same two `dyad serve --redis`
processes. Each figure is the median over the rounds, and so is each ratio of the two figures
of one round. The CPU of Redis is listed separately, because all nodes share it. The latency is
that of five frames in a row, from the first one that is sent to the last one that arrives.
"""

import argparse
import asyncio
import secrets
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from statistics import median, quantiles

import dyad
from dyad_server.auth.mint import mint

from benchmarks.bench.processes import cpu_seconds
from tests.support.process import dyad_serve
from tests.support.python_client import UNBOUND
from tests.support.redis import settled_redis

SECRET = secrets.token_hex(32)
MEETINGS_AT_ONCE = 10
# As in a real call: a few candidates at a time, and then the other side's.
BURST = 5
CANDIDATE = dyad.Candidate("candidate:1 1 udp 2122260223 192.0.2.1 50000 typ host")


@dataclass
class Measured:
    """What some work took, in all rounds.

    Attributes:
        nodes: microseconds of CPU of both nodes, for each frame or meeting, a value a round.
        redis: the same of Redis.
        latencies: seconds of each burst.
    """

    nodes: list[float] = field(default_factory=list)
    redis: list[float] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)


@asynccontextmanager
async def call(here: str, there: str) -> AsyncIterator[tuple[dyad.Connection, dyad.Connection]]:
    """A call between these two addresses."""
    alice_token, bob_token = (mint(SECRET, sub=sub, email="", ttl=3600) for sub in ("alice", "bob"))
    async with (
        dyad.connect(here, alice_token, plaintext=True, limits=UNBOUND) as alice,
        dyad.connect(there, bob_token, plaintext=True, limits=UNBOUND) as bob,
    ):
        room = await alice.create(resumable=False)
        await bob.join(room.room_id, resumable=False)
        await anext(aiter(alice))
        yield alice, bob
        await alice.leave()
        await bob.leave()


async def talk(alice: dyad.Connection, bob: dyad.Connection, frames: int) -> list[float]:
    """Send this many frames in bursts; returns the seconds of each burst."""
    took = []
    for _ in range(frames // (2 * BURST)):
        for sender, receiver in ((alice, bob), (bob, alice)):
            began = time.monotonic()
            for _ in range(BURST):
                await sender.send_candidate(CANDIDATE)
            for _ in range(BURST):
                await anext(aiter(receiver))
            took.append(time.monotonic() - began)
    return took


class Bench:
    """Two nodes and their Redis, under load."""

    def __init__(self, pids: list[int], pairs: int) -> None:
        """Measure these processes: two nodes and Redis; with this many pairs at the same time."""
        self._pids = pids
        self._pairs = pairs

    async def frames(self, here: str, there: str, count: int, into: Measured) -> None:
        """Send this many frames in all, in calls that have begun before."""
        async with AsyncExitStack() as stack:
            calls = [await stack.enter_async_context(call(here, there)) for _ in range(self._pairs)]
            with self._measured(count, into):
                took = await asyncio.gather(
                    *(talk(alice, bob, count // self._pairs) for alice, bob in calls)
                )
        into.latencies += [seconds for each in took for seconds in each]

    async def meetings(self, here: str, there: str, count: int, into: Measured) -> None:
        """Make this many calls in all, without frames, a few at the same time."""

        async def some() -> None:
            for _ in range(count // MEETINGS_AT_ONCE):
                async with call(here, there):
                    pass

        with self._measured(count, into):
            await asyncio.gather(*(some() for _ in range(MEETINGS_AT_ONCE)))

    @contextmanager
    def _measured(self, count: int, into: Measured) -> Iterator[None]:
        before = [cpu_seconds([pid]) for pid in self._pids]
        yield
        first, second, redis = (
            (cpu_seconds([pid]) - was) / count * 1e6
            for pid, was in zip(self._pids, before, strict=True)
        )
        into.nodes.append(first + second)
        into.redis.append(redis)


async def main(rounds: int, frames: int, meetings: int, pairs: int) -> None:
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
        bench = Bench([one.process.pid, other.process.pid, redis.process.pid], pairs)
        first, second = (f"127.0.0.1:{node.port}" for node in (one, other))
        kinds = {"one node": (first, first), "two nodes": (first, second)}
        works = {"frame": (bench.frames, frames), "meeting": (bench.meetings, meetings)}
        found: dict[tuple[str, str], Measured] = defaultdict(Measured)
        began = time.monotonic()
        for number in range(rounds + 1):
            for what, (work, count) in works.items():
                for kind, (here, there) in kinds.items():
                    # The first round only warms up.
                    into = found[what, kind] if number else Measured()
                    await work(here, there, count, into)
            print(f"  round {number} of {rounds}, {time.monotonic() - began:.0f} s", flush=True)
    for what in works:
        for kind in kinds:
            nodes, engine = map(median, (found[what, kind].nodes, found[what, kind].redis))
            print(f"{what:8} {kind:10} {nodes:7.1f} µs of node CPU, {engine:6.1f} µs of Redis")
        both = zip(found[what, "two nodes"].nodes, found[what, "one node"].nodes, strict=True)
        ratios = sorted(two / one for two, one in both)
        between = f"({ratios[0]:.2f} to {ratios[-1]:.2f})"
        print(f"{what:8} ratio      {median(ratios):7.2f} of node CPU {between}")
    for kind in kinds:
        took = [1e3 * seconds for seconds in found["frame", kind].latencies]
        p99 = quantiles(took, n=100)[-1]
        print(f"latency  {kind:10} {median(took):7.1f} ms, p99 {p99:.1f} ms")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--frames", type=int, default=20_000)
    parser.add_argument("--meetings", type=int, default=200)
    parser.add_argument("--pairs", type=int, default=100, help="how many at the same time")
    options = parser.parse_args()
    asyncio.run(main(options.rounds, options.frames, options.meetings, options.pairs))
