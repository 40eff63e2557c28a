"""Redis loses data, evicts rooms or lets leases expire early: who keeps a seat, and who is told."""

import asyncio
import time

import pytest
from dyad_server.core.events import (
    Departure,
    EngineUnavailable,
    Joined,
    OutOfSync,
    PeerJoined,
    PeerLeft,
    Refusal,
)
from redis.asyncio import Redis

from tests.nodes.brokers import (
    code,
    enter_when_ready,
    entered,
    exchange,
    party,
)
from tests.support.clock import within
from tests.support.redis import redis_server
from tests.support.until import PATIENCE

SERVED_SECONDS = 5.0
_AGAIN_SECONDS = 3.0
# Longer than until the next renewal.
_STEP_SECONDS = 3.0


async def test_writes_lost_in_a_failover_admit_no_third_participant() -> None:
    async with (
        party(settle_seconds=3.0) as here,
        redis_server("--replicaof", f"127.0.0.1 {here.redis.port}") as replica,
        Redis(port=replica.port) as redis,
    ):
        first, _ = await here.pair(1, 2)
        await until_replicated(redis, f"dyad:room:{first.room}")
        await redis.replicaof("NO", "ONE")
        # The replica lacks these two.
        alice, bob = await here.pair(0, 1)
        for node in here.nodes:
            node.network.target = replica.port
        for node in here.nodes:
            await node.network.cut()
        await here.redis.end()
        carol = here.guest("carol", 2, alice.room)
        assert code(await enter_when_ready(carol)) is Refusal.ROOM_FULL
        await exchange(alice, bob, "still here")


async def until_replicated(redis: Redis, key: str) -> None:
    async with asyncio.timeout(PATIENCE):
        while not await redis.exists(key):  # noqa: ASYNC110 - Redis sends no event
            await asyncio.sleep(0.01)


async def test_a_redis_that_lost_its_data_is_restored_before_new_joins() -> None:
    async with party(settle_seconds=3.0) as here, Redis(port=here.redis.port) as redis:
        alice, bob = await here.pair(0, 1)
        carol, dave = await here.pair(2, 2)
        await redis.flushall()
        rooms = (alice.room, carol.room)
        strangers = [here.guest("eve", node, room) for node in range(3) for room in rooms]
        async with within(SERVED_SECONDS):
            for stranger in strangers:
                while isinstance(answer := await entered(stranger), EngineUnavailable):
                    pass
                assert code(answer) is Refusal.ROOM_FULL
        await exchange(alice, bob, "still here")
        await exchange(carol, dave, "still here")


async def test_sessions_from_before_redis_lost_its_data_are_not_heard_by_later_ones() -> None:
    async with party(settle_seconds=0.5) as here, Redis(port=here.redis.port) as redis:
        alice = here.guest("alice", 0)
        assert await entered(alice) == Joined(None, polite=False)
        eve = here.guest("eve", 1, alice.room)
        assert await entered(eve) == Joined(alice.member, polite=True)
        eve.leave()
        assert await alice.told() == PeerJoined(eve.member)
        assert await alice.told() == PeerLeft(eve.member, Departure.LEFT)
        here.nodes[0].network.stall()
        bob = here.guest("bob", 1, alice.room)
        assert await entered(bob) == Joined(alice.member, polite=True)
        bob.say("old")
        here.nodes[1].network.stall()
        await redis.flushall()
        here.nodes[0].network.resume_forwarding()
        # A seat given now has a higher epoch than all seats given before.
        assert await enter_when_ready(here.guest("dave", 0)) == Joined(None, polite=False)
        carol = here.guest("carol", 2, alice.room)
        assert await enter_when_ready(carol) == Joined(alice.member, polite=True)
        assert await alice.told() == PeerJoined(carol.member)
        await exchange(alice, carol, "new")
        here.nodes[1].network.resume_forwarding()
        assert await bob.told() == OutOfSync()
        bob.leave(Departure.DISCONNECTED)
        began = time.monotonic()
        # Long enough for all of Bob's frames to be sent again.
        while time.monotonic() - began < _AGAIN_SECONDS:
            await exchange(carol, alice, "still here")
            await asyncio.sleep(0.1)


async def test_a_peer_is_told_if_redis_lost_a_seat_that_was_not_restored() -> None:
    async with party(settle_seconds=0.5) as here, Redis(port=here.redis.port) as redis:
        alice, bob = await here.pair(0, 1)
        here.nodes[0].network.stall()
        await redis.flushall()
        # The node returns before its lease runs out, and after the others gave it up.
        told = await bob.told()
        here.nodes[0].network.resume_forwarding()
        assert told == PeerLeft(alice.member, Departure.DISCONNECTED)
        assert isinstance(await alice.told(), OutOfSync | PeerLeft)


@pytest.mark.parametrize("nodes", [(0, 0), (0, 1)], ids=["one node", "two nodes"])
async def test_a_room_that_redis_evicts_is_written_again_without_notice(
    nodes: tuple[int, int],
) -> None:
    async with party() as here, Redis(port=here.redis.port) as redis:
        alice, bob = await here.pair(*nodes)
        room = here.nodes[0].keys.room(alice.room)
        for turn in range(2):
            await redis.delete(room)
            async with asyncio.timeout(PATIENCE):
                while None in await redis.hmget(room, "0", "1"):  # noqa: ASYNC110 - Redis sends no event
                    await asyncio.sleep(0.05)
            carol = here.guest("carol", 2, alice.room)
            assert code(await enter_when_ready(carol)) is Refusal.ROOM_FULL
            await exchange(alice, bob, f"still here {turn}")


async def test_participants_who_joined_an_evicted_room_stay_and_the_old_pair_is_told() -> None:
    async with party() as here, Redis(port=here.redis.port) as redis:
        alice, bob = await here.pair(0, 1)
        carol = here.guest("carol", 2, alice.room)
        await redis.delete(here.nodes[0].keys.room(alice.room))
        if isinstance(answer := await enter_when_ready(carol), Joined):
            assert answer.peer is None
            for guest in (alice, bob):
                told = await guest.told()
                while isinstance(told, PeerLeft | PeerJoined):
                    told = await guest.told()
                assert told == OutOfSync()
        else:
            # Their nodes wrote the room again before she joined.
            assert code(answer) is Refusal.ROOM_FULL


async def test_a_jump_of_redis_clock_that_ends_all_leases_ends_no_call() -> None:
    async with party() as here, Redis(port=here.redis.port) as redis:
        alice, bob = await here.pair(0, 1)
        carol, dave = await here.pair(2, 2)
        began = time.monotonic()
        while time.monotonic() - began < 3 * _STEP_SECONDS:
            # As if all leases had expired.
            await redis.delete(*(f"dyad:node:{node.broker.node}" for node in here.nodes))
            for node, room in ((2, alice.room), (0, carol.room)):
                assert (
                    code(await enter_when_ready(here.guest("eve", node, room))) is Refusal.ROOM_FULL
                )
            step = time.monotonic()
            while time.monotonic() - step < _STEP_SECONDS:
                await exchange(alice, bob, "still here")
                await exchange(carol, dave, "still here")
                await asyncio.sleep(0.05)
        assert all(guest.heard.empty() for guest in (alice, bob, carol, dave))
