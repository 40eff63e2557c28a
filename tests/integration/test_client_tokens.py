"""The tokens that an app gives the Python client, and its own errors on the way."""

import asyncio
import traceback
from collections.abc import Callable
from typing import Any

import dyad
import pytest

from tests.conftest import serving, token
from tests.integration.clients import ALICE
from tests.integration.party import connected, pair
from tests.support.clock import advance
from tests.support.python_client import hear
from tests.support.until import PATIENCE, until


class IssuerDownError(Exception):
    pass


@pytest.mark.parametrize(
    ("bad", "kind", "sentence"),
    [
        (None, TypeError, "not None"),
        (b"a.b.c", TypeError, "not bytes"),
        ("", ValueError, "The token is empty"),
    ],
)
def test_what_is_no_token_is_refused(bad: Any, kind: type[Exception], sentence: str) -> None:
    with pytest.raises(kind, match=sentence):
        dyad.connect("127.0.0.1:1", bad)


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        (None, "returned None: it has no token"),
        (b"a.b.c", "returned bytes instead of a str"),
        ("", "returned an empty token"),
        ("two\nlines", "must not have"),
    ],
)
async def test_what_is_no_token_is_refused_when_a_function_returns_it(
    bad: Any, sentence: str
) -> None:
    async with serving() as server, connected(server, ALICE, token=lambda: bad) as alice:
        with pytest.raises(dyad.Unauthenticated, match=sentence):
            await alice.connection.create()
        assert alice.network.accepted == 0


async def test_the_apps_own_error_reaches_it_when_it_enters_a_room() -> None:
    def give() -> str:
        raise IssuerDownError

    async with serving() as server, connected(server, ALICE, token=give) as alice:
        with pytest.raises(IssuerDownError):
            await alice.connection.create()
        assert alice.connection.state == dyad.State(dyad.Phase.IDLE)


@pytest.mark.parametrize("failure", [IssuerDownError, TimeoutError])
async def test_the_apps_own_error_is_the_cause_after_giving_up(
    failure: Callable[[], Exception],
) -> None:
    given = [token("bob", email="b@x")]

    async def give() -> str:
        if given:
            return given.pop()
        raise failure()

    async with serving() as server, pair(server, token=give, give_up_after=20) as (_, bob):
        async with asyncio.timeout(PATIENCE):
            await bob.network.cut()
            assert await hear(bob.connection) == dyad.Reconnecting()
            await until(lambda: bob.connection.state.attempt > 2)
            advance(20)
            with pytest.raises(dyad.Unavailable, match="token function failed") as end:
                await hear(bob.connection)
    assert isinstance(end.value.__cause__, type(failure()))
    assert type(failure()).__name__ in "".join(traceback.format_exception(end.value))


async def test_a_token_function_that_returns_none_ends_the_call() -> None:
    given = [token("bob", email="b@x")]
    asked = 0

    def give() -> str | None:
        nonlocal asked
        asked += 1
        return given.pop() if given else None

    async with serving() as server, pair(server, token=give) as (_, bob):
        async with asyncio.timeout(PATIENCE):
            await bob.network.cut()
            assert await hear(bob.connection) == dyad.Reconnecting()
            with pytest.raises(dyad.Unauthenticated, match="has no token"):
                await hear(bob.connection)
        assert (asked, bob.connection.state.phase) == (3, dyad.Phase.ENDED)


async def test_a_token_function_that_hangs_while_reconnecting_does_not_delay_giving_up() -> None:
    given = [token("bob", email="b@x")]

    async def give() -> str:
        if not given:
            await asyncio.sleep(3600)
        return given.pop()

    async with serving() as server, pair(server, token=give, give_up_after=20) as (_, bob):
        async with asyncio.timeout(PATIENCE):
            await bob.network.cut()
            assert await hear(bob.connection) == dyad.Reconnecting()
            await asyncio.sleep(0.2)
            advance(20)
            with pytest.raises(dyad.Unavailable):
                await hear(bob.connection)
