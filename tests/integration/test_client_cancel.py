"""Cancelling a method of the Python client leaves nothing behind."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import dyad
import pytest
from dyad.stream import open_stream
from dyad.v1 import signaling_pb2 as pb

from tests.conftest import serving, token
from tests.integration.clients import ALICE, BOB, connect
from tests.integration.party import pair
from tests.integration.test_client_close import turn
from tests.support.clock import advance, within
from tests.support.proxy import Proxy, Way
from tests.support.python_client import hear
from tests.support.scripted import Context, scripted
from tests.support.until import PATIENCE, until

KEY = "0f1e2d3c"


@pytest.mark.parametrize("turns", [*range(30), *range(30, 300, 15)])
async def test_a_create_that_is_cancelled_at_any_time_leaves_nothing_on_the_server(
    turns: int,
) -> None:
    async with serving() as server, asyncio.timeout(PATIENCE):
        alice = connect(server.port, ALICE)
        creating = asyncio.create_task(alice.create())
        await turn(turns)
        cancelled = creating.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await creating
        assert creating.cancelled() == cancelled
        if not cancelled:
            await alice.leave()
        await until(lambda: not len(server.dyad.hub))
        # It can be tried again at once.
        await alice.create()
        await alice.close()
        await until(lambda: not len(server.dyad.hub))


async def test_a_join_that_is_cancelled_after_the_server_let_it_in_hangs_up() -> None:
    async with (
        serving() as server,
        Proxy(server.port) as network,
        connect(server.port, ALICE) as alice,
        connect(network.port, BOB) as bob,
        asyncio.timeout(PATIENCE),
    ):
        room = await alice.create()
        joining = asyncio.create_task(bob.join(room.room_id))
        # The proxy is in this loop, so it has not forwarded the answer yet.
        await until(lambda: len(server.dyad.hub) == 2, turn=0)
        network.stall(Way.BACK)
        assert await hear(alice) == dyad.PeerJoined(BOB)
        joining.cancel()
        with pytest.raises(asyncio.CancelledError):
            await joining
        network.resume_forwarding()
        assert await hear(alice) == dyad.PeerLeft(BOB, dyad.Departure.LEFT)
        assert [event async for event in bob] == []


async def test_a_create_is_cancelled_at_once_while_the_server_is_out_of_reach() -> None:
    async with serving() as server, Proxy(server.port) as network, asyncio.timeout(PATIENCE):
        network.stall()
        async with connect(network.port, ALICE) as alice:
            with pytest.raises(TimeoutError):
                async with within(1), asyncio.timeout(0.1):
                    await alice.create()
            assert alice.state.phase in (dyad.Phase.CONNECTING, dyad.Phase.IDLE)


async def test_a_create_is_cancelled_while_the_apps_token_is_awaited() -> None:
    asked, given_up = asyncio.Event(), asyncio.Event()

    async def give() -> str:
        asked.set()
        try:
            await asyncio.sleep(600)
        finally:
            given_up.set()
        return ""

    async with serving() as server, asyncio.timeout(PATIENCE):
        alice = dyad.connect(f"127.0.0.1:{server.port}", give, plaintext=True)
        creating = asyncio.create_task(alice.create())
        await asked.wait()
        creating.cancel()
        await given_up.wait()
        await asyncio.wait({creating})
        assert creating.cancelled()
        await until(lambda: alice.state == dyad.State(dyad.Phase.IDLE))


async def test_a_leave_that_is_cancelled_goes_on_in_the_background() -> None:
    async with serving() as server, pair(server) as (alice, bob), asyncio.timeout(PATIENCE):
        await bob.network.refuse()
        await bob.network.cut()
        assert await hear(bob.connection) == dyad.Reconnecting()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await bob.connection.leave()
        await bob.network.accept()
        assert await alice.hear() == dyad.PeerLeft(BOB, dyad.Departure.LEFT)
        await bob.connection.leave()


async def test_waiting_for_an_event_can_be_cancelled_and_loses_none() -> None:
    async with serving() as server, pair(server) as (alice, bob), asyncio.timeout(PATIENCE):
        events = aiter(bob.connection)
        for number in range(20):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0):
                    await anext(events)
            await alice.say(str(number))
            assert await bob.hear_said() == str(number)


async def test_the_reader_of_a_stream_is_cancelled_while_its_rpc_is_prepared() -> None:
    # grpc.aio catches this cancellation.
    async with serving() as server, asyncio.timeout(PATIENCE):
        for turns in range(10):
            async with open_stream(f"127.0.0.1:{server.port}", None, token(), KEY) as stream:
                reading = asyncio.create_task(stream.read())
                await turn(turns)
                reading.cancel()
                await asyncio.wait({reading})
                assert reading.cancelled()


async def _never(requests: AsyncIterator[pb.SignalRequest], _context: Context) -> None:
    async for _ in requests:
        pass


async def test_a_cancelled_create_gives_up_on_a_server_that_never_answers() -> None:
    async with scripted(_never) as port, asyncio.timeout(PATIENCE):
        alice = connect(port, ALICE)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await alice.create()
        advance(5)
        await until(lambda: alice.state == dyad.State(dyad.Phase.IDLE))
