"""The Python client keeps the limits of the server, so that no call ends because of them."""

import asyncio

import dyad
import pytest

from tests.conftest import serving, token
from tests.integration.clients import ALICE, BOB, connect
from tests.integration.party import pair
from tests.support.proxy import Way
from tests.support.python_client import hear
from tests.support.until import PATIENCE

LARGE = "x" * 20_000


async def test_a_frame_that_is_too_large_is_refused_and_the_call_continues() -> None:
    async with serving() as server, pair(server) as (alice, bob), asyncio.timeout(PATIENCE):
        for send in (alice.connection.send_offer, alice.connection.send_answer):
            with pytest.raises(dyad.TooLarge, match="again does not help") as refused:
                await send("x" * 70_000)
            assert refused.value.size > refused.value.most == 65_536
        with pytest.raises(dyad.TooLarge):
            await alice.say("x" * 70_000)
        await alice.connection.send_offer("small")
        assert await bob.hear() == dyad.Offer("small", ALICE)


async def test_the_largest_frame_that_the_client_sends_is_accepted() -> None:
    async with serving() as server, pair(server) as (alice, bob), asyncio.timeout(PATIENCE):
        size = 65_536
        while True:
            try:
                await alice.connection.send_offer("x" * size)
            except dyad.TooLarge as refused:
                size -= refused.size - refused.most
            else:
                break
        assert size > 65_000
        assert await bob.hear() == dyad.Offer("x" * size, ALICE)


async def test_800_candidates_at_once_all_arrive() -> None:
    async with serving() as server, pair(server) as (alice, bob):
        sending = asyncio.gather(*(alice.say(str(n)) for n in range(800)))
        assert [await bob.hear_said() for _ in range(800)] == [str(n) for n in range(800)]
        await sending
        assert alice.losses == bob.losses == 0


async def test_a_dozen_large_offers_all_arrive() -> None:
    async with serving() as server, pair(server) as (alice, bob):
        sending = asyncio.gather(*(alice.connection.send_offer(LARGE) for _ in range(12)))
        for _ in range(12):
            assert await bob.hear() == dyad.Offer(LARGE, ALICE)
        await sending
        assert alice.losses == bob.losses == 0


async def test_what_is_sent_again_after_a_disconnect_keeps_the_limits_too() -> None:
    async with serving() as server, pair(server) as (alice, bob):
        # The server counts what arrives, and its acknowledgements do not arrive.
        alice.network.stall(Way.BACK)
        sending = asyncio.gather(*(alice.connection.send_offer(LARGE) for _ in range(14)))
        for _ in range(2):
            assert await bob.hear() == dyad.Offer(LARGE, ALICE)
        await alice.network.cut()
        alice.network.resume_forwarding()
        for _ in range(12):
            assert await bob.hear() == dyad.Offer(LARGE, ALICE)
        await sending


async def test_a_burst_that_a_dead_network_delays_keeps_the_limits() -> None:
    async with serving() as server, pair(server) as (alice, bob):
        alice.network.stall(new=False)
        sending = asyncio.gather(*(alice.connection.send_offer(LARGE) for _ in range(12)))
        await asyncio.sleep(4)
        alice.network.resume_forwarding()
        for _ in range(12):
            assert await bob.hear() == dyad.Offer(LARGE, ALICE)
        await sending


async def test_the_limits_of_another_server_are_an_option() -> None:
    settings = {"max_frame_bytes": 1000, "max_frames_per_second": 20}
    limits = dyad.Limits(frame_bytes=1000, frames_per_second=20)
    async with serving(**settings) as server, pair(server, limits=limits) as (alice, bob):
        with pytest.raises(dyad.TooLarge):
            await bob.connection.send_offer("x" * 1000)
        sending = asyncio.gather(*(bob.say(str(n)) for n in range(150)))
        assert [await alice.hear_said() for _ in range(150)] == [str(n) for n in range(150)]
        await sending


async def test_a_server_with_lower_limits_ends_the_call_as_overloaded() -> None:
    async with serving(max_frame_bytes=1000) as server, connect(server.port, ALICE) as alice:
        await alice.create()
        await alice.send_offer("x" * 2000)
        assert await hear(alice) == dyad.Reconnecting()
        with pytest.raises(dyad.Overloaded):
            await hear(alice)


async def test_a_new_room_does_not_begin_a_new_burst() -> None:
    async with serving() as server, connect(server.port, ALICE) as alice, asyncio.timeout(60):
        for _ in range(3):
            room = await alice.create()
            async with dyad.connect(
                f"127.0.0.1:{server.port}", token("bob", email="b@x"), plaintext=True
            ) as bob:
                await bob.join(room.room_id)
                assert await hear(alice) == dyad.PeerJoined(BOB)
                sending = asyncio.gather(*(alice.send_offer(LARGE) for _ in range(5)))
                for _ in range(5):
                    assert await hear(bob) == dyad.Offer(LARGE, ALICE)
                await sending
            await alice.leave()
