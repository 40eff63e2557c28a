"""Measures the CPU that Redis takes for each of the scripts that every call or node needs.

Run: python -m benchmarks.scripts [--rounds 3] [--times 1000]

One node runs them, ten in a round trip, as a busy node does.
"""

import argparse
import asyncio
import statistics
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from dyad_server.core.events import Member
from dyad_server.engines.redis.fleet_membership import FleetMembership
from dyad_server.engines.redis.store import Script, Seal
from dyad_server.ops.clock import LoopClock
from redis.asyncio import Redis

from tests.support.redis import RedisServer, settled_redis

AT_ONCE = 10
SECONDS = 60.0
ALICE, BOB = (f"{0:032x}", f"{1:032x}")


async def run(node: FleetMembership, scripts: list[Script[Any]]) -> None:
    """Run these, and wait for all answers.

    Raises:
        RuntimeError: one was not answered.
    """
    loop = asyncio.get_running_loop()
    for first in range(0, len(scripts), AT_ONCE):
        answers: list[asyncio.Future[Any]] = []
        for script in scripts[first : first + AT_ONCE]:
            answers.append(loop.create_future())
            node.ask(script, answers[-1].set_result, SECONDS)
        if None in await asyncio.gather(*answers):
            raise RuntimeError("Redis did not answer")


def works(node: FleetMembership, times: int) -> dict[str, Callable[[int], Script[Any]]]:
    """Each script by what it is for, in the order in which so many rooms need them."""
    store = node.store
    alice, bob = Member(ALICE, "alice", ""), Member(BOB, "bob", "")

    def enter(member: Member, *, create: bool) -> Callable[[int], Script[Any]]:
        return lambda number: store.enter(
            f"room-{number}", member, create=create, seal=Seal.IGNORE, until_ms=2**53
        )

    def keep(count: int) -> Callable[[int], Script[Any]]:
        """As a node does for members whose peers are on another node."""
        return lambda number: store.keep_rooms(
            [(f"room-{(number + each) % times}", ALICE, BOB, node.node) for each in range(count)]
        )

    return {
        "enter, create": enter(alice, create=True),
        "enter, join": enter(bob, create=False),
        "keep_rooms, 10": keep(10),
        "keep_rooms, 100": keep(100),
        "find_peer": lambda number: store.find_peer(f"room-{number}", BOB, absent_too_long=False),
        "nodes_gone, 1": lambda _: store.nodes_gone([node.node]),
        "nodes_gone, 100": lambda _: store.nodes_gone([node.node] * 100),
        "renew_lease": lambda _: store.renew_lease(node.node, "0"),
        "leave": lambda number: store.leave(f"room-{number}", ALICE),
        "leave, the last": lambda number: store.leave(f"room-{number}", BOB),
    }


async def cpu_seconds(client: Redis) -> float:
    """What Redis has used. It says so to the microsecond, and /proc only to 10 ms."""
    used = await client.info("cpu")
    return float(used["used_cpu_user"]) + float(used["used_cpu_sys"])


async def measure(redis: RedisServer, client: Redis, times: int) -> dict[str, float]:
    """The CPU of one run of each script, in microseconds."""
    node = FleetMembership(
        redis.url, LoopClock(), lambda *_: None, lambda: None, lambda: None, settle_seconds=0.0
    )
    await node.start()
    found = {}
    for what, script in works(node, times).items():
        before = await cpu_seconds(client)
        await run(node, [script(number) for number in range(times)])
        found[what] = (await cpu_seconds(client) - before) / times * 1e6
    await node.stop()
    return found


async def main(rounds: int, times: int) -> None:
    """Measure, and print the medians over the rounds."""
    found: dict[str, list[float]] = defaultdict(list)
    async with settled_redis() as redis, Redis(port=redis.port) as client:
        for _ in range(rounds):
            for what, cost in (await measure(redis, client, times)).items():
                found[what].append(cost)
    print("CPU of Redis for one script, median (least to most):")
    for what, costs in found.items():
        between = f"({min(costs):.1f} to {max(costs):.1f})"
        print(f"{what:18} {statistics.median(costs):6.1f} µs {between}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--times", type=int, default=1000)
    options = parser.parse_args()
    asyncio.run(main(options.rounds, options.times))
