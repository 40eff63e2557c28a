"""Connections to Redis that stall or break: frames arrive once and in order."""

import asyncio

import pytest
from dyad_server.core.events import (
    Forwarded,
    Joined,
    Left,
)

from tests.nodes.brokers import (
    enter_when_ready,
    entered,
    exchange,
    party,
    said,
)
from tests.support.clock import within
from tests.support.proxy import Way
from tests.support.until import until

SERVED_SECONDS = 5.0
_ON_ITS_WAY_SECONDS = 0.2


async def test_a_late_command_on_an_abandoned_redis_connection_has_no_effect() -> None:
    async with party() as here:
        network = here.nodes[0].network
        network.stall(new=False)
        alice = here.guest("alice", 0)
        assert await enter_when_ready(alice) == Joined(None, polite=False)
        alice.leave()
        assert await alice.told() == Left()
        await asyncio.sleep(_ON_ITS_WAY_SECONDS)
        network.resume_forwarding()
        await asyncio.sleep(_ON_ITS_WAY_SECONDS)
        bob = here.guest("bob", 1, alice.room)
        assert await entered(bob) == Joined(None, polite=False)


@pytest.mark.parametrize("ways", [(), (Way.OUT,), (Way.BACK,)], ids=["both ways", "out", "back"])
async def test_a_stalled_connection_is_replaced_and_nothing_is_lost(ways: tuple[Way, ...]) -> None:
    async with party() as here:
        alice, bob = await here.pair(0, 1)
        await exchange(alice, bob, "before")
        here.nodes[0].network.stall(*ways, new=False)
        for number in range(20):
            alice.say(f"a{number}")
            bob.say(f"b{number}")
        async with within(SERVED_SECONDS):
            for number in range(20):
                assert await bob.told() == said(alice, f"a{number}")
                assert await alice.told() == said(bob, f"b{number}")
        here.nodes[0].network.resume_forwarding()
        await exchange(alice, bob, "after")


async def test_frames_arrive_once_and_in_order_over_an_unreliable_network() -> None:
    async with party() as here:
        alice, bob = await here.pair(0, 1)

        async def break_it() -> None:
            for number in range(12):
                network = here.nodes[number % 2].network
                await asyncio.sleep(0.25)
                match number % 3:
                    case 0:
                        # Wait until frames arrive, or a lease may run out on a busy machine.
                        heard = [(guest, guest.heard.qsize()) for guest in (alice, bob)]
                        await until(lambda: all(g.heard.qsize() > n for g, n in heard))  # noqa: B023 - awaited
                        await network.cut()
                    case 1:
                        network.stall(new=False)
                    case 2:
                        network.resume_forwarding()
                        await network.cut(half_open=True)

        breaking = asyncio.create_task(break_it())
        count = 0
        while not breaking.done():
            alice.say(f"a{count}")
            bob.say(f"b{count}")
            count += 1
            await asyncio.sleep(0.01)
        for who, peer, mark in ((alice, bob, "b"), (bob, alice, "a")):
            for number in range(count):
                told = await who.told()
                assert isinstance(told, Forwarded), (told, number, count)
                assert told == said(peer, f"{mark}{number}")
