"""Nodes far from Redis: a round trip of 150 ms, as between continents."""

import asyncio

from tests.nodes.callers import lost_nothing, pair, talk_both_ways
from tests.nodes.fleet import fleet
from tests.support.until import PATIENCE

EACH_WAY_SECONDS = 0.075


async def test_far_from_redis_a_call_across_nodes_loses_nothing() -> None:
    async with (
        fleet(delay=EACH_WAY_SECONDS) as here,
        pair(here, [here.nodes[0]], [here.nodes[1]]) as (alice, bob),
        asyncio.timeout(PATIENCE),
    ):
        over = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            talk_both_ways(tasks, alice, bob, over)
            await alice.hears(10, PATIENCE)
            await bob.hears(10, PATIENCE)
            over.set()
        assert lost_nothing(alice)
        assert lost_nothing(bob)
