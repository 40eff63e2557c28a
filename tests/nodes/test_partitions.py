"""A node that is cut off from Redis, and a node that dies: what both ends of a call are told."""

import asyncio
import time

from dyad_server.core.events import (
    Departure,
    EngineUnavailable,
    Joined,
    OutOfSync,
    PeerLeft,
    Refusal,
)
from redis.asyncio import Redis

from tests.nodes.brokers import (
    code,
    entered,
    exchange,
    isolate,
    party,
    until_ready,
)
from tests.support.clock import within
from tests.support.until import until

TOLD_SECONDS = 10.0
LEASE_SECONDS = 6.0


async def test_a_node_without_a_lease_gives_no_seats() -> None:
    async with party() as here, Redis(port=here.redis.port) as redis:
        await redis.delete(f"dyad:node:{here.nodes[0].broker.node}")
        alice = here.guest("alice", 0)
        alice.enter(create=True)
        assert await alice.told() == Joined(None, polite=False)
        bob, carol = here.guest("bob", 1, alice.room), here.guest("carol", 2, alice.room)
        bob.enter()
        assert await bob.told() == Joined(alice.member, polite=True)
        carol.enter()
        assert code(await carol.told()) is Refusal.ROOM_FULL


async def test_a_leave_that_redis_refuses_for_a_while_still_frees_the_seat() -> None:
    async with party() as here, Redis(port=here.redis.port) as redis:
        alice, bob = await here.pair(0, 1)
        await redis.replicaof("127.0.0.1", 1)
        bob.leave(Departure.DISCONNECTED)
        await until(lambda: not here.nodes[1].broker.ready)
        await redis.replicaof("NO", "ONE")
        assert await alice.told() == PeerLeft(bob.member, Departure.DISCONNECTED)
        await until_ready(here, 2)
        carol = here.guest("carol", 2, alice.room)
        carol.enter()
        assert await carol.told() == Joined(alice.member, polite=True)


async def test_the_death_of_the_peers_node_is_announced_and_the_participant_stays() -> None:
    async with party() as here:
        alice, bob = await here.pair(0, 1)
        await isolate(here, 1)
        async with within(TOLD_SECONDS):
            while alice.heard.empty():
                alice.say("?")
                await asyncio.sleep(0.1)
        assert await alice.told() == PeerLeft(bob.member, Departure.DISCONNECTED)
        assert await bob.told() == OutOfSync()
        carol = await here.joined("carol", 2, alice)
        await exchange(alice, carol, "goes on")


async def test_a_node_cut_off_beyond_its_lease_delivers_no_old_frames() -> None:
    async with party() as here:
        alice, bob = await here.pair(0, 1)
        network = here.nodes[1].network
        network.stall()
        alice.say("too late")
        async with within(LEASE_SECONDS + 1):
            assert await bob.told() == OutOfSync()
        bob.leave(Departure.DISCONNECTED)
        assert await alice.told() == PeerLeft(bob.member, Departure.DISCONNECTED)
        network.resume_forwarding()
        await until_ready(here, 1)
        again = await here.joined("bob", 1, alice)
        await exchange(alice, again, "goes on")
        assert bob.heard.empty()


async def test_partitioned_member_is_told_when_its_seat_was_lost() -> None:
    async with party() as here:
        bob = here.guest("bob", 0)
        assert await entered(bob) == Joined(None, polite=False)
        network = here.nodes[0].network
        network.stall()
        alice = here.guest("alice", 1, bob.room)
        assert await entered(alice) == Joined(bob.member, polite=True)
        assert await alice.told() == PeerLeft(bob.member, Departure.DISCONNECTED)
        network.resume_forwarding()
        assert await bob.told() == OutOfSync()
        bob.leave(Departure.DISCONNECTED)
        await until_ready(here, 0)
        again = await here.joined("bob", 0, alice, polite=False)
        await exchange(alice, again, "goes on")


async def test_a_pair_on_a_partitioned_node_goes_on_and_keeps_its_room() -> None:
    async with party() as here:
        alice, bob = await here.pair(1, 1)
        network = here.nodes[1].network
        network.stall()
        began = time.monotonic()
        while time.monotonic() - began < LEASE_SECONDS + 1:
            await exchange(alice, bob, "go on")
            await asyncio.sleep(0.1)
        network.resume_forwarding()
        await until_ready(here, 1)
        carol = here.guest("carol", 0, alice.room)
        assert code(await entered(carol)) is Refusal.ROOM_FULL
        await exchange(alice, bob, "still here")


async def test_a_partitioned_pair_is_told_if_others_took_its_room() -> None:
    async with party() as here:
        alice, bob = await here.pair(1, 1)
        network = here.nodes[1].network
        network.stall()
        carol = here.guest("carol", 0, alice.room)
        # Until the lease of their node has run out.
        while not isinstance(await entered(carol), Joined):  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0.5)
        network.resume_forwarding()
        assert isinstance(await alice.told(), OutOfSync)
        assert isinstance(await bob.told(), OutOfSync)
        dave = here.guest("dave", 2, alice.room)
        assert await entered(dave) == Joined(carol.member, polite=True)


async def test_without_redis_a_join_is_refused_within_two_seconds() -> None:
    async with party() as here:
        here.nodes[0].network.stall()
        for _ in range(4):
            # At different moments of a round trip that fails.
            guest = here.guest("alice", 0)
            async with within(2):
                assert await entered(guest) == EngineUnavailable()
            await asyncio.sleep(0.3)
