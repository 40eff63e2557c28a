"""A user joins again elsewhere during a fault: one session has the seat, the other is told."""

import asyncio
import json
import time

from dyad_server.core.events import (
    Departure,
    EngineUnavailable,
    Evicted,
    Joined,
    Left,
    OutOfSync,
    PeerJoined,
    PeerLeft,
)
from redis.asyncio import Redis

from tests.nodes.brokers import (
    Guest,
    enter_when_ready,
    entered,
    exchange,
    isolate,
    party,
    until_ready,
)
from tests.support.clock import within
from tests.support.proxy import Way
from tests.support.until import PATIENCE

TOLD_SECONDS = 10.0
SOON_SECONDS = 5.0
"""Sooner than a node looks after all its rooms."""


async def test_a_taken_over_seat_survives_the_death_of_the_old_sessions_node() -> None:
    async with party() as here:
        alice, bob = await here.pair(0, 1)
        await exchange(alice, bob, "here")
        await isolate(here, 1)
        again = here.guest("bob", 2, alice.room)
        assert await entered(again) == Joined(alice.member, polite=True)
        began = time.monotonic()
        while time.monotonic() - began < TOLD_SECONDS:
            again.say("?")
            await asyncio.sleep(0.5)
        assert again.heard.empty()
        assert isinstance(await alice.told(), PeerLeft)
        assert await alice.told() == PeerJoined(again.member)


async def test_a_replaced_session_is_told_even_if_redis_answer_is_lost() -> None:
    async with party() as here:
        alice, bob = await here.pair(0, 1)
        await exchange(alice, bob, "here")
        network = here.nodes[2].network
        network.stall(Way.BACK, new=False)
        again = here.guest("bob", 2, alice.room)
        again.enter()
        assert await again.told() == Joined(alice.member, polite=True)
        assert await bob.told() == Evicted()
        assert await alice.told() == PeerLeft(bob.member, Departure.REPLACED)
        assert await alice.told() == PeerJoined(again.member)


async def test_a_repeated_enter_does_not_take_the_seat_from_a_newer_session() -> None:
    async with party() as here, Redis(port=here.redis.port) as redis:
        alice = here.guest("alice", 0)
        assert await entered(alice) == Joined(None, polite=False)
        network = here.nodes[1].network
        network.stall(Way.BACK, new=False)
        old = here.guest("bob", 1, alice.room)
        old.enter()
        # Redis has given the seat, and its answer is lost.
        async with asyncio.timeout(PATIENCE):
            while not await sits(redis, old):  # noqa: ASYNC110 - Redis sends no event
                await asyncio.sleep(0.01)
        new = here.guest("bob", 2, alice.room)
        assert await entered(new) == Joined(alice.member, polite=True)
        told = await old.told()
        if told == Joined(alice.member, polite=True):
            # The machine is slow: the node has asked again before the newer session entered.
            assert await alice.told() == PeerJoined(old.member)
            assert await alice.told() == PeerLeft(old.member, Departure.REPLACED)
            told = await old.told()
        assert told == Evicted()
        assert await alice.told() == PeerJoined(new.member)
        await exchange(alice, new, "with the newer session")
        assert old.heard.empty()
        assert new.heard.empty()
        assert await sits(redis, new)
        assert not await sits(redis, old)


async def sits(redis: Redis, guest: Guest) -> bool:
    """Whether this session has a seat in Redis."""
    room = await redis.hgetall(f"dyad:room:{guest.room}")
    return any(json.loads(room[seat])["id"] == guest.id for seat in room.keys() & {b"0", b"1"})


async def test_a_seat_taken_over_by_its_user_is_not_resumed() -> None:
    async with party() as here:
        alice, bob = await here.pair(0, 1)
        await exchange(alice, bob, "here")
        again = here.guest("bob", 2, alice.room)
        assert await entered(again) == Joined(alice.member, polite=True)
        bob.resume()
        assert isinstance(await bob.told(), Evicted | OutOfSync)


async def test_a_join_that_was_given_up_does_not_take_the_seat_of_a_newer_session() -> None:
    async with party() as here, Redis(port=here.redis.port) as redis:
        alice, bob = await here.pair(0, 2)
        network = here.nodes[1].network
        network.stall(Way.BACK)
        old = here.guest("carol", 1, alice.room)
        async with redis.monitor() as monitor:
            old.enter()
            async for asked in monitor.listen():
                if old.id in asked["command"]:
                    break
        # The answer, which is lost, was that the room is full. The node asks again, and
        # connects for that until the network works: its client is told before that it failed.
        bob.leave()
        assert isinstance(await bob.told(), Left)
        assert isinstance(await alice.told(), PeerLeft)
        assert await old.told() == EngineUnavailable()
        new = here.guest("carol", 2, alice.room)
        assert await entered(new) == Joined(alice.member, polite=True)
        assert await alice.told() == PeerJoined(new.member)
        network.resume_forwarding()
        await until_ready(here, 1)
        # This node has asked Redis whatever it wanted to.
        assert await enter_when_ready(here.guest("dave", 1)) == Joined(None, polite=False)
        await exchange(alice, new, "with the newer session")
        assert await sits(redis, new)
        assert new.heard.empty()
        assert old.heard.empty()


async def test_a_join_whose_answer_comes_too_late_tells_the_session_that_it_replaced() -> None:
    async with party() as here, Redis(port=here.redis.port) as redis:
        alice, bob = await here.pair(0, 1)
        await exchange(alice, bob, "here")
        network = here.nodes[2].network
        network.stall(Way.BACK)
        again = here.guest("bob", 2, alice.room)
        again.enter()
        assert await again.told() == EngineUnavailable()
        assert await sits(redis, again)
        network.resume_forwarding()
        async with within(SOON_SECONDS):
            assert await bob.told() == Evicted()
            assert await alice.told() == PeerLeft(bob.member, Departure.REPLACED)
            assert await alice.told() == PeerJoined(again.member)
            assert await alice.told() == PeerLeft(again.member, Departure.DISCONNECTED)
        assert not await sits(redis, again)
