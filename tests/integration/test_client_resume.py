"""The Python client over a network that fails: a resume loses and repeats nothing."""

import asyncio

import dyad
import pytest

from tests.conftest import serving
from tests.integration.clients import ALICE, BOB
from tests.integration.party import Party, connected, pair
from tests.support.clock import advance, within
from tests.support.python_client import UNBOUND, hear
from tests.support.until import PATIENCE

# Replayed frames count against the limits, which are not what is tested here.
FAST = {"max_frames_per_second": 100_000, "max_bytes_per_second": 100_000_000}


async def test_a_disconnect_right_after_joining_loses_nothing() -> None:
    async with (
        serving() as server,
        connected(server, ALICE) as alice,
        connected(server, BOB) as bob,
        asyncio.timeout(PATIENCE),
    ):
        alice.room = await alice.connection.create()
        await alice.network.cut()
        bob.room = await bob.connection.join(alice.room.room_id)
        await bob.network.cut()
        assert await hear(alice.connection) == dyad.Reconnecting()
        back = await hear(alice.connection)
        assert isinstance(back, dyad.Reconnected)
        assert back.resumed
        assert await alice.hear() == dyad.PeerJoined(BOB)
        await alice.say("hello")
        assert await hear(bob.connection) == dyad.Reconnecting()
        assert await hear(bob.connection) == dyad.Reconnected(bob.room, resumed=True)
        assert await bob.hear_said() == "hello"


@pytest.mark.parametrize("half_open", [False, True], ids=["reset", "half open"])
async def test_disconnects_during_bursts_of_200_lose_and_duplicate_nothing(
    *, half_open: bool
) -> None:
    async with (
        serving(**FAST) as server,
        pair(server, limits=UNBOUND) as (alice, bob),
        asyncio.timeout(PATIENCE),
    ):

        async def burst(party: Party) -> None:
            for number in range(200):
                await party.say(str(number))
                # Let frames be written, so that some of them are lost on the way.
                await asyncio.sleep(0)
                if number % 50 == 20:
                    party.network.stall(new=False)
                if number % 50 == 40:
                    await party.network.cut(half_open=half_open)

        async def hear_burst(party: Party) -> list[str]:
            return [await party.hear_said() for _ in range(200)]

        async with asyncio.TaskGroup() as both:
            hearing = [both.create_task(hear_burst(party)) for party in (alice, bob)]
            for party in (alice, bob):
                both.create_task(burst(party))
        for heard in hearing:
            assert heard.result() == [str(number) for number in range(200)]
        assert alice.returns
        assert bob.returns


async def test_a_call_survives_repeated_disconnects() -> None:
    async with (
        serving(**FAST) as server,
        pair(server, limits=UNBOUND) as (alice, bob),
        asyncio.timeout(PATIENCE),
    ):
        for number in range(100):
            await alice.say(f"ping {number}")
            if number % 10 == 3:
                await alice.network.cut(half_open=number % 20 == 3)
            if number % 10 == 7:
                await bob.network.cut(half_open=number % 20 == 7)
            assert await bob.hear_said() == f"ping {number}"
            await bob.say(f"pong {number}")
            if number % 10 == 5:
                await alice.network.cut()
                await bob.network.cut()
            assert await alice.hear_said() == f"pong {number}"
        assert alice.losses == alice.returns == 20
        assert bob.losses == bob.returns == 20


async def test_a_stalled_connection_is_noticed_in_8_s_and_its_late_frames_count_once() -> None:
    async with serving() as server, pair(server) as (alice, bob), asyncio.timeout(PATIENCE):
        bob.network.stall(new=False)
        for number in range(50):
            await bob.say(str(number))
            await alice.say(str(number))
        async with within(8.5):
            assert await hear(bob.connection) == dyad.Reconnecting()
        assert await hear(bob.connection) == dyad.Reconnected(bob.room, resumed=True)
        bob.network.resume_forwarding()
        for party in (alice, bob):
            assert [await party.hear_said() for _ in range(50)] == [str(n) for n in range(50)]
        await bob.say("the last")
        assert await alice.hear_said() == "the last"


async def test_frames_sent_while_disconnected_wait() -> None:
    async with serving() as server, pair(server) as (alice, bob), asyncio.timeout(PATIENCE):
        await bob.network.refuse()
        await bob.network.cut()
        assert await hear(bob.connection) == dyad.Reconnecting()
        for number in range(10):
            await bob.say(str(number))
            await alice.say(str(number))
        await bob.network.accept()
        for party in (alice, bob):
            assert [await party.hear_said() for _ in range(10)] == [str(n) for n in range(10)]


async def test_after_a_resume_the_client_stays_connected() -> None:
    async with serving() as server, pair(server, give_up_after=20) as (alice, bob):
        async with asyncio.timeout(PATIENCE):
            await bob.network.cut()
            await alice.say("one")
            assert await bob.hear_said() == "one"
            advance(20)  # Nothing may happen: the time limits of the reconnect no longer apply.
            await alice.say("two")
            assert await bob.hear_said() == "two"
            assert bob.losses == 1
