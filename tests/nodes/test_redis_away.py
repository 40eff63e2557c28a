"""Redis away for a while or at the start: calls go on, joins wait, and health says so."""

import asyncio
import contextlib
import time
from contextlib import AsyncExitStack

import grpc
import pytest
from dyad.v1 import signaling_pb2 as pb

from tests.nodes.callers import (
    end,
    lost_nothing,
    meet,
    pair,
    refused,
    talk_both_ways,
)
from tests.nodes.fleet import Fleet, Node, fleet
from tests.support.clock import within
from tests.support.ends import join, offer

SERVED_SECONDS = 5.0
NOTICED_SECONDS = 3.0
REFUSED_SECONDS = 2.0
START_SECONDS = 20.0


@pytest.mark.parametrize("fault", ["killed", "stalled"])
async def test_without_redis_joins_are_refused_pairs_go_on_and_health_is_not_serving(
    fault: str,
) -> None:
    async with fleet(count=2) as here, AsyncExitStack() as stack:
        one = here.nodes[0]
        alice = await stack.enter_async_context(end(one, "alice"))
        bob = await stack.enter_async_context(end(one, "bob"))
        room_id = await meet(alice, bob)
        if fault == "killed":
            await here.engine.redis.end()
        else:
            one.network.stall()
        began = time.monotonic()
        carol = await stack.enter_async_context(end(one, "carol"))
        async with within(REFUSED_SECONDS):
            assert await refused(carol) is grpc.StatusCode.UNAVAILABLE
        await one.says("NOT_SERVING", NOTICED_SECONDS)
        # For longer than the lease.
        while time.monotonic() - began < 8:
            assert await one.health("") == "SERVING"
            await alice.send(offer(room_id, "still here"))
            assert (await bob.hear()).offer.sdp == "still here"
            await asyncio.sleep(0.5)
        if fault == "killed":
            await here.engine.restart()
        else:
            one.network.resume_forwarding()
        await one.says("SERVING", SERVED_SECONDS)
        await alice.send(offer(room_id, "and after"))
        assert (await bob.hear()).offer.sdp == "and after"
        carol = await stack.enter_async_context(end(here.nodes[1], "carol"))
        await carol.send(join(room_id))
        assert (await carol.hear()).error.code == pb.Error.CODE_ROOM_FULL


async def answered(node: Node, room_id: str) -> pb.Error.Code:
    """The error that Carol gets for a join, as soon as the node answers joins again."""
    async with within(SERVED_SECONDS):
        while True:
            async with end(node, "carol") as carol:
                with contextlib.suppress(grpc.aio.AioRpcError):
                    await carol.send(join(room_id))
                    return (await carol.hear()).error.code


async def forget(here: Fleet) -> None:
    await here.engine.flush()


async def restart(here: Fleet) -> None:
    await here.engine.restart()


async def fail_over(here: Fleet) -> None:
    await here.engine.promote(here.networks)
    for network in here.networks:
        await network.cut()


async def stall(here: Fleet) -> None:
    for network in here.networks:
        network.stall()
    await asyncio.sleep(3)
    for network in here.networks:
        network.resume_forwarding()


async def cut(here: Fleet) -> None:
    for network in here.networks:
        await network.cut()


@pytest.mark.parametrize("fault", [forget, restart, fail_over, stall, cut])
async def test_a_redis_outage_of_five_seconds_disturbs_no_call_and_admits_no_third(
    fault: object,
) -> None:
    async with fleet() as here:
        one, two, three = here.nodes
        await here.engine.replicate()
        async with pair(here, [one], [two]) as (alice, bob):
            over = asyncio.Event()
            async with asyncio.TaskGroup() as talking:
                talk_both_ways(talking, alice, bob, over)
                await asyncio.sleep(0.5)
                assert callable(fault)
                await fault(here)
                assert await answered(three, alice.room_id) == pb.Error.CODE_ROOM_FULL
                over.set()
            assert lost_nothing(alice), alice.told
            assert lost_nothing(bob), bob.told


async def test_a_node_whose_redis_is_away_at_the_start_serves_as_soon_as_it_comes() -> None:
    async with fleet(count=1) as here:
        (node,) = here.nodes
        await node.close()
        await here.engine.redis.end()
        await node.start()
        await node.says("NOT_SERVING", SERVED_SECONDS)
        async with end(node, "alice") as alice:
            assert await refused(alice) is grpc.StatusCode.UNAVAILABLE
        assert "redis is away" in node.said
        await here.engine.restart()
        await node.says("SERVING", START_SECONDS)
        async with end(node, "alice") as alice, end(node, "bob") as bob:
            await meet(alice, bob)
