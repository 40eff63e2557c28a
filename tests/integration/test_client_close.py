"""Closing the Python client hangs up; only `detach` keeps the seat."""

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable

import dyad
import pytest
from dyad.connection import Connection

from tests.conftest import serving, token
from tests.integration.clients import ALICE, BOB, connect
from tests.integration.party import connected, pair
from tests.support.clock import advance, within
from tests.support.needs import ROOT
from tests.support.python_client import hear
from tests.support.until import PATIENCE, until

HUNG_UP = dyad.PeerLeft(BOB, dyad.Departure.LEFT)


class OopsError(Exception):
    pass


async def ends(bob: Connection) -> None:
    async with bob:
        pass


async def fails(bob: Connection) -> None:
    with pytest.raises(OopsError):
        async with bob:
            raise OopsError


async def is_cancelled(bob: Connection) -> None:
    async def stay() -> None:
        async with bob:
            await asyncio.sleep(60)

    staying = asyncio.create_task(stay())
    await asyncio.sleep(0)
    staying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await staying


async def closes_twice(bob: Connection) -> None:
    await asyncio.gather(bob.close(), bob.close())
    await bob.close()


@pytest.mark.parametrize("end", [ends, fails, is_cancelled, closes_twice])
async def test_closing_hangs_up_at_once(end: Callable[[Connection], Awaitable[None]]) -> None:
    async with serving() as server, pair(server) as (alice, bob), asyncio.timeout(PATIENCE):
        await bob.say("the last word")
        await end(bob.connection)
        assert await alice.hear_said() == "the last word"
        async with within(1):
            assert await alice.hear() == HUNG_UP
        assert [event async for event in bob.connection] == []
        with pytest.raises(dyad.Ended, match="closed"):
            await bob.connection.create()
        with pytest.raises(dyad.Ended, match="closed"):
            await bob.say("more")
        await bob.connection.leave()


async def test_closing_while_disconnected_delivers_the_hang_up_before_it_returns() -> None:
    async with serving() as server, pair(server) as (alice, bob), asyncio.timeout(PATIENCE):
        await bob.network.refuse()
        await bob.network.cut()
        assert await hear(bob.connection) == dyad.Reconnecting()
        closing = asyncio.create_task(bob.connection.close())
        await until(lambda: bob.connection.state.attempt > 1)
        assert not closing.done()
        await bob.network.accept()
        await closing
        assert await alice.hear() == HUNG_UP
        await until(lambda: len(server.dyad.hub) == 1)


async def test_closing_without_a_network_returns_after_5_s() -> None:
    async with serving() as server, pair(server) as (_, bob), asyncio.timeout(60):
        await bob.network.refuse()
        await bob.network.cut()
        assert await hear(bob.connection) == dyad.Reconnecting()
        closing = asyncio.create_task(bob.connection.close())
        await until(lambda: bob.connection.state.attempt > 1)
        advance(5)
        async with within(1):
            await closing
        assert bob.connection.state == dyad.State(dyad.Phase.ENDED)


async def test_a_frozen_network_does_not_hold_up_close_for_more_than_5_s() -> None:
    async with serving() as server, pair(server) as (_, bob), asyncio.timeout(60):
        bob.network.stall()
        closing = asyncio.create_task(bob.connection.close())
        await asyncio.sleep(0.1)
        assert not closing.done()
        advance(5)
        async with within(1):
            await closing


async def test_a_token_function_that_hangs_does_not_hold_up_close() -> None:
    asked = asyncio.Event()

    async def give() -> str:
        asked.set()
        await asyncio.sleep(600)
        return ""

    async with serving() as server, connected(server, ALICE, token=give) as alice:
        creating = asyncio.create_task(alice.connection.create())
        await asked.wait()
        async with within(1):
            await alice.connection.close()
        with pytest.raises(dyad.Ended, match="before it was let in"):
            await creating


@pytest.mark.parametrize("turns", [*range(1, 30), *range(30, 300, 15)])
@pytest.mark.parametrize("end", [Connection.close, Connection.leave])
async def test_whenever_the_app_hangs_up_while_it_connects_nobody_is_left_behind(
    end: Callable[[Connection], Awaitable[None]], turns: int
) -> None:
    async with serving() as server, connect(server.port, ALICE) as alice, asyncio.timeout(PATIENCE):
        creating = asyncio.create_task(alice.create())
        await turn(turns)
        await end(alice)
        await asyncio.wait({creating})
        if (failure := creating.exception()) is not None:
            assert isinstance(failure, dyad.Ended)
        await until(lambda: not len(server.dyad.hub))


@pytest.mark.parametrize("turns", [*range(0, 60, 3), *range(60, 300, 15)])
@pytest.mark.parametrize("end", [Connection.close, Connection.leave])
async def test_whenever_the_app_hangs_up_while_it_reconnects_the_peer_hears_it_once(
    end: Callable[[Connection], Awaitable[None]], turns: int
) -> None:
    async with serving() as server, pair(server) as (alice, bob), asyncio.timeout(PATIENCE):
        await bob.network.cut()
        await turn(turns)
        await end(bob.connection)
        assert await alice.hear() == HUNG_UP
        await until(lambda: len(server.dyad.hub) == 1)


@pytest.mark.parametrize("end", [Connection.close, Connection.leave])
async def test_hanging_up_when_told_of_the_reconnect_leaves_no_ghost(
    end: Callable[[Connection], Awaitable[None]],
) -> None:
    async with serving() as server, pair(server) as (alice, bob), asyncio.timeout(PATIENCE):
        await bob.network.cut()
        async for event in bob.connection:
            if isinstance(event, dyad.Reconnected):
                await end(bob.connection)
        assert await alice.hear() == HUNG_UP
        await until(lambda: len(server.dyad.hub) == 1)


async def test_a_program_that_is_interrupted_hangs_up() -> None:
    async with serving() as server, connect(server.port, ALICE) as alice, asyncio.timeout(60):
        room = await alice.create()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, str(ROOT / "tests" / "integration" / "participant.py")),
            *(f"127.0.0.1:{server.port}", token("bob", email="b@x"), room.room_id),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        assert await hear(alice) == dyad.PeerJoined(BOB)
        assert process.stdout is not None
        assert await process.stdout.readline() == b"joined\n"
        process.send_signal(signal.SIGINT)
        assert await hear(alice) == HUNG_UP
        await process.communicate()


async def test_detaching_keeps_the_seat_and_another_process_takes_it() -> None:
    async with serving() as server, pair(server) as (alice, bob), asyncio.timeout(PATIENCE):
        await bob.say("the last word")
        await bob.connection.detach()
        assert [event async for event in bob.connection] == []
        assert bob.connection.state == dyad.State(dyad.Phase.ENDED)
        assert await alice.hear_said() == "the last word"
        async with connect(server.port, BOB) as restarted:
            await restarted.join(alice.room.room_id)
            assert await alice.hear() == dyad.PeerLeft(BOB, dyad.Departure.REPLACED)
            assert await alice.hear() == dyad.PeerJoined(BOB)


async def test_a_seat_kept_by_detaching_is_released_after_the_grace_time() -> None:
    async with serving(resume_grace=0.5) as server, pair(server) as (alice, bob):
        async with asyncio.timeout(PATIENCE):
            began = asyncio.get_running_loop().time()
            await bob.connection.detach()
            await bob.connection.close()
            assert await alice.hear() == dyad.PeerLeft(BOB, dyad.Departure.DISCONNECTED)
            assert asyncio.get_running_loop().time() - began >= 0.5


async def test_detaching_while_disconnected_does_not_wait() -> None:
    async with serving() as server, pair(server) as (_, bob), asyncio.timeout(PATIENCE):
        await bob.network.refuse()
        await bob.network.cut()
        assert await hear(bob.connection) == dyad.Reconnecting()
        async with within(0.5):
            await bob.connection.detach()


async def test_detaching_without_a_room_does_nothing() -> None:
    async with serving() as server, connect(server.port, ALICE) as alice:
        await alice.detach()
        await alice.detach()


async def turn(turns: int) -> None:
    """Let so many turns of the event loop pass."""
    for _ in range(turns):
        await asyncio.sleep(0)
