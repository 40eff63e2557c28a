"""The keys that nodes leave in Redis: their lifetime, their prefix and their layout."""

import asyncio
from contextlib import AsyncExitStack

import grpc
import pytest
from dyad.v1 import signaling_pb2 as pb
from redis.asyncio import Redis

from tests.conftest import SECRET
from tests.nodes.callers import (
    end,
    meet,
    pair,
    refused,
    talk_both_ways,
)
from tests.nodes.fleet import Node, fleet
from tests.support.clock import within
from tests.support.ends import join, offer
from tests.support.needs import needs
from tests.support.process import dyad_serve
from tests.support.redis import PASSWORD, RIGHTS, redis_server
from tests.support.redis_page import ROWS

GRACE_SECONDS = 120
NOTICED_SECONDS = 3.0
REFUSED_SECONDS = 2.0
START_SECONDS = 20.0


async def test_a_redis_that_forgot_and_has_another_layout_by_now_is_not_served() -> None:
    async with fleet(count=2) as here, AsyncExitStack() as stack:
        one = here.nodes[0]
        alice = await stack.enter_async_context(end(one, "alice"))
        bob = await stack.enter_async_context(end(one, "bob"))
        room_id = await meet(alice, bob)
        async with Redis(port=here.engine.redis.port) as client:
            await client.flushall()
            await client.set("dyad:schema", "2")
            await one.says("NOT_SERVING", NOTICED_SECONDS)
            assert "The data in Redis has layout 2" in one.said
            carol = await stack.enter_async_context(end(one, "carol"))
            async with within(REFUSED_SECONDS):
                assert await refused(carol) is grpc.StatusCode.UNAVAILABLE
            assert await client.keys("*") == [b"dyad:schema"]
            await client.delete("dyad:schema")
        await one.says("SERVING", START_SECONDS)
        await alice.send(offer(room_id, "still here"))
        assert (await bob.hear()).offer.sdp == "still here"


@pytest.mark.xdist_group("busy")
async def test_every_key_in_redis_expires_and_every_right_is_needed() -> None:
    async with fleet() as here:
        nodes = here.nodes
        async with Redis(port=here.engine.redis.port, decode_responses=True) as redis:
            await redis.config_resetstat()
            over = asyncio.Event()
            async with AsyncExitStack() as stack, asyncio.TaskGroup() as talking:
                pairs = [
                    await stack.enter_async_context(pair(here, [nodes[n]], [nodes[m]]))
                    for n in range(3)
                    for m in range(3)
                ]
                for alice, bob in pairs:
                    talk_both_ways(talking, alice, bob, over)
                    alice.way.nodes = bob.way.nodes = nodes
                for turn in range(20):
                    alice, bob = pairs[turn % 9]
                    await alice.way.cut()
                    while not await _meet_once(nodes[turn % 3], nodes[0]):
                        pass
                    if turn == 10:
                        await nodes[2].drain()
                        await nodes[2].start()
                        assert await _without_end(redis) == []
                over.set()
            assert await _without_end(redis) == []
            for key in await redis.keys("dyad:in:*"):
                # An inbox keeps the entries of three seconds at most.
                assert await redis.xlen(key) < 2000
            called = await redis.info("commandstats")
            for node in nodes:
                await node.kill()
            assert await _without_end(redis) == []
            for key in await redis.keys("*"):
                assert isinstance(key, str)
                row = ROWS[key.split(":")[1]]
                # A key may expire after it was listed.
                assert await redis.type(key) in (row.type, "none"), key
                assert await redis.pttl(key) <= (row.seconds or GRACE_SECONDS) * 1000, key
                if row.type == "hash":
                    fields = set(await redis.hkeys(key))
                    assert fields <= row.fields, key
    granted = {word[1:] for word in RIGHTS.split() if word.startswith("+")}
    assert granted == {name.removeprefix("cmdstat_") for name in called} & granted


async def _meet_once(first: Node, second: Node) -> bool:
    """Pair two participants. False: Redis did not answer a busy machine in time."""
    async with end(first, "carol") as carol, end(second, "dave") as dave:
        try:
            await meet(carol, dave)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.UNAVAILABLE:
                raise
            return False
    return True


async def _without_end(redis: Redis) -> list[str | bytes]:
    return [key for key in await redis.keys("*") if await redis.pttl(key) == -1]


async def test_two_environments_on_one_redis_share_no_rooms() -> None:
    needs("redis-server")
    rights = ("--user", "two", "on", f">{PASSWORD}", *RIGHTS.replace("dyad:", "two:").split())
    async with redis_server(*rights) as redis, AsyncExitStack() as stack:
        one = await stack.enter_async_context(dyad_serve(SECRET, "--redis", redis.url))
        other = redis.url.replace("dyad:", "two:")
        options = ("--redis", other, "--redis-prefix", "two")
        two = await stack.enter_async_context(dyad_serve(SECRET, *options))
        async with end(one, "alice") as alice, end(two, "bob") as bob:
            await alice.send(join())
            room_id = (await alice.hear()).room_id
            await bob.send(join(room_id))
            assert (await bob.hear()).error.code == pb.Error.CODE_ROOM_NOT_FOUND
