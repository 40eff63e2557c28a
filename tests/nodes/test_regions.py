"""Nodes far from Redis: a round trip of 150 ms, as between continents."""

import asyncio

import dyad
from dyad_server.engines.redis import bounds

from tests.nodes.callers import end, lost_nothing, pair, talk_both_ways
from tests.nodes.fleet import fleet
from tests.support.clock import within
from tests.support.ends import candidate, join
from tests.support.until import PATIENCE

EACH_WAY_SECONDS = 0.075
ROUND_TRIP_SECONDS = 2 * EACH_WAY_SECONDS
# Longer than any of them needs, and shorter than a client waits for its seat.
SOON_SECONDS = bounds.ENTER_SECONDS


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


async def test_far_from_redis_a_join_and_a_frame_across_nodes_are_slow_and_in_time() -> None:
    async with (
        fleet(delay=EACH_WAY_SECONDS, count=2) as here,
        end(here.nodes[0], "alice") as alice,
        end(here.nodes[1], "bob") as bob,
    ):
        loop = asyncio.get_running_loop()
        began = loop.time()
        async with within(SOON_SECONDS):
            await alice.send(join())
            room_id = (await alice.hear()).room_id
        async with within(SOON_SECONDS):
            await bob.send(join(room_id))
            assert (await bob.hear()).HasField("join_room")
        async with within(SOON_SECONDS):
            assert (await alice.hear()).HasField("join_room")
        async with within(SOON_SECONDS):
            await alice.send(candidate(room_id, "c"))
            assert (await bob.hear()).ice_candidate.candidate == "c"
        # Each join and the frame wait for Redis at least once: the network is as slow as it should.
        assert loop.time() - began > 3 * ROUND_TRIP_SECONDS
        # Longer than a lease lives. A node that loses its lease ends the calls across nodes.
        await asyncio.sleep(bounds.LEASE_SECONDS)
        async with within(SOON_SECONDS):
            await bob.send(candidate(room_id, "d"))
            assert (await alice.hear()).ice_candidate.candidate == "d"


async def test_far_from_redis_a_drain_hands_off_a_call_that_loses_nothing() -> None:
    async with (
        fleet(delay=EACH_WAY_SECONDS) as here,
        pair(here, [here.nodes[0]], [here.nodes[1]]) as (alice, bob),
    ):
        over = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            talk_both_ways(tasks, alice, bob, over)
            await alice.hears(10, PATIENCE)
            alice.way.nodes = here.nodes[1:]
            await here.nodes[0].drain()
            await alice.is_told(dyad.Reconnected, PATIENCE)
            over.set()
        assert lost_nothing(alice), alice.told
        assert lost_nothing(bob), bob.told
