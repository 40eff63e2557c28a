"""A user joins again elsewhere during a fault: one session has the seat, the other is told."""

import asyncio
import json
import time

from dyad_server.core.events import (
    Departure,
    Evicted,
    Joined,
    OutOfSync,
    PeerJoined,
    PeerLeft,
)
from redis.asyncio import Redis

from tests.nodes.brokers import (
    Guest,
    entered,
    exchange,
    isolate,
    party,
)
from tests.support.proxy import Way
from tests.support.until import PATIENCE

TOLD_SECONDS = 10.0


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
        assert await old.told() == Evicted()
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
