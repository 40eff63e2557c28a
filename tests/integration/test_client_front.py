"""The Python client behind a proxy that answers for a server which is away."""

import asyncio
from functools import partial

import dyad
import grpc
import pytest

from tests.conftest import serving, token
from tests.integration.clients import ALICE, connect
from tests.integration.party import pair
from tests.support.html_front import html_front
from tests.support.python_client import hear
from tests.support.until import PATIENCE, until


async def test_pages_in_html_with_404_403_401_and_405_are_a_pause_once_seated() -> None:
    async with (
        serving(resume_grace=PATIENCE) as server,
        html_front() as front,
        pair(server) as (alice, bob),
        asyncio.timeout(PATIENCE),
    ):
        bob.network.target = front.port
        await bob.network.cut()
        await front.has_refused_all_ways()
        bob.network.target = server.port
        await bob.network.cut()
        await alice.say("hello")
        assert await bob.hear_said() == "hello"
        assert (bob.losses, bob.returns) == (1, 1)


async def test_the_state_says_what_such_a_proxy_answered() -> None:
    async with (
        serving() as server,
        html_front() as front,
        pair(server) as (_, bob),
        asyncio.timeout(PATIENCE),
    ):
        bob.network.target = front.port
        await bob.network.cut()
        for status in ("404", "403", "401", "405"):
            await until(partial(_tells_of, bob.connection, status))
            assert isinstance(bob.connection.state.error, dyad.Unavailable)
            assert bob.connection.state.error.foreign


async def test_entering_a_room_through_such_a_proxy_fails_at_once() -> None:
    async with html_front() as front, connect(front.port, ALICE) as alice:
        async with asyncio.timeout(PATIENCE):
            with pytest.raises(dyad.Ended) as end:
                await alice.create()
        assert end.value.foreign


async def test_a_refusal_by_dyad_itself_is_still_final() -> None:
    given = [token("bob", email="b@x"), "a.b.c", "a.b.c"]
    async with serving() as server, pair(server, token=lambda: given.pop(0)) as (_, bob):
        async with asyncio.timeout(PATIENCE):
            await bob.network.cut()
            assert await hear(bob.connection) == dyad.Reconnecting()
            with pytest.raises(dyad.Unauthenticated) as end:
                await hear(bob.connection)
    assert end.value.code is grpc.StatusCode.UNAUTHENTICATED
    assert not end.value.foreign


def _tells_of(connection: dyad.Connection, status: str) -> bool:
    return status in str(connection.state.error)
