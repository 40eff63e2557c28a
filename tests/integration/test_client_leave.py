"""The Python client leaves while its network is broken."""

import asyncio

import dyad

from tests.conftest import serving, token
from tests.integration.clients import BOB
from tests.integration.party import pair
from tests.support.python_client import hear
from tests.support.until import PATIENCE


async def test_a_leave_during_a_disconnect_is_delivered() -> None:
    async with serving() as server, pair(server) as (alice, bob), asyncio.timeout(PATIENCE):
        bob.network.stall()
        leaving = asyncio.create_task(bob.connection.leave())
        await asyncio.sleep(0.05)  # Now it is under way and does not arrive.
        await bob.network.cut()
        bob.network.resume_forwarding()
        await leaving
        assert await alice.hear() == dyad.PeerLeft(BOB, dyad.Departure.LEFT)
        assert [event async for event in bob.connection] == []


async def test_a_leave_succeeds_if_the_seat_is_already_gone() -> None:
    async with serving(resume_grace=0.1) as server, pair(server) as (alice, bob):
        async with asyncio.timeout(PATIENCE):
            await bob.network.refuse()
            await bob.network.cut()
            leaving = asyncio.create_task(bob.connection.leave())
            assert await alice.hear() == dyad.PeerLeft(BOB, dyad.Departure.DISCONNECTED)
            await bob.network.accept()
            await leaving
            assert [event async for event in bob.connection] == []
            # The client has not joined again.
            assert len(server.dyad.hub) == 1
            # The client may enter another room.
            room = await bob.connection.create()
            async with dyad.connect(
                f"127.0.0.1:{server.port}", token("carol"), plaintext=True
            ) as carol:
                await carol.join(room.room_id)
            assert isinstance(await hear(bob.connection), dyad.PeerJoined)


async def test_a_leave_during_a_new_join_is_sent_in_the_new_session() -> None:
    too_late, entering, go_on = asyncio.Event(), asyncio.Event(), asyncio.Event()
    asked = 0

    async def give() -> str:
        nonlocal asked
        asked += 1
        if asked == 2:  # To resume.
            await too_late.wait()
        elif asked == 3:  # To join again.
            entering.set()
            await go_on.wait()
        return token("bob", email="b@x")

    async with serving(resume_grace=0.1) as server, pair(server, token=give) as (alice, bob):
        async with asyncio.timeout(PATIENCE):
            await bob.network.cut()
            assert await alice.hear() == dyad.PeerLeft(BOB, dyad.Departure.DISCONNECTED)
            too_late.set()
            await entering.wait()
            leaving = asyncio.create_task(bob.connection.leave())
            await asyncio.sleep(0)
            go_on.set()
            await leaving
            assert await alice.hear() == dyad.PeerJoined(BOB)
            assert await alice.hear() == dyad.PeerLeft(BOB, dyad.Departure.LEFT)
