"""How the Python client reconnects: its attempts, a seat that is gone, and when it gives up."""

import asyncio

import dyad
import pytest
from dyad import link
from dyad_server.core.states import State

from tests.conftest import serving, token
from tests.integration.clients import ALICE, BOB
from tests.integration.party import connected, pair
from tests.support.clock import advance, within
from tests.support.python_client import hear
from tests.support.until import PATIENCE, until


async def test_a_client_that_reconnects_too_late_starts_a_new_session_in_the_room() -> None:
    async with serving(resume_grace=20) as server, pair(server) as (alice, bob):
        async with asyncio.timeout(PATIENCE):
            await bob.network.refuse()
            await bob.network.cut()
            assert await hear(bob.connection) == dyad.Reconnecting()
            await bob.say("lost")
            await until(lambda: any(each.state is State.RESERVED for each in server.dyad.hub))
            advance(20)
            assert await alice.hear() == dyad.PeerLeft(BOB, dyad.Departure.DISCONNECTED)
            await bob.network.accept()
            assert await alice.hear() == dyad.PeerJoined(BOB)
            room = dyad.Room(alice.room.room_id, ALICE, polite=True)
            assert await hear(bob.connection) == dyad.Reconnected(room, resumed=False)
            await bob.say("new")
            assert await alice.hear_said() == "new"
            # The new session can be resumed like the one before.
            await alice.say("hello")
            assert await bob.hear_said() == "hello"
            await bob.network.cut()
            await alice.say("again")
            assert await bob.hear_said() == "again"
            assert bob.returns == 1


async def test_a_client_whose_room_is_gone_is_told() -> None:
    async with serving(resume_grace=0.1) as server, connected(server, ALICE) as alice:
        async with asyncio.timeout(PATIENCE):
            await alice.connection.create()
            await alice.network.refuse()
            await alice.network.cut()
            await until(lambda: len(server.dyad.hub) == 0)
            await alice.network.accept()
            assert await hear(alice.connection) == dyad.Reconnecting()
            with pytest.raises(dyad.TakenOver, match="ROOM_NOT_FOUND"):
                await hear(alice.connection)


async def test_a_client_gives_up_after_a_while_and_says_why() -> None:
    async with serving() as server, pair(server, give_up_after=0.5) as (_alice, bob):
        async with asyncio.timeout(PATIENCE):
            await bob.network.refuse()
            await bob.network.cut()
            assert await hear(bob.connection) == dyad.Reconnecting()
            with pytest.raises(dyad.Unavailable):
                await hear(bob.connection)
            with pytest.raises(dyad.Unavailable):
                await bob.say("too late")


async def test_a_leave_that_could_not_be_delivered_says_why() -> None:
    async with serving() as server, pair(server, give_up_after=0.5) as (_alice, bob):
        async with asyncio.timeout(PATIENCE):
            await bob.network.refuse()
            await bob.network.cut()
            with pytest.raises(dyad.Unavailable):
                await bob.connection.leave()


async def test_a_silent_server_does_not_delay_giving_up() -> None:
    async with serving() as server, pair(server, give_up_after=20) as (_alice, bob):
        async with asyncio.timeout(PATIENCE):
            bob.network.stall()
            await bob.network.cut()
            assert await hear(bob.connection) == dyad.Reconnecting()
            await until(lambda: bob.network.accepted > 1)
            advance(20)
            async with within(1):
                with pytest.raises(dyad.Unavailable):
                    await hear(bob.connection)


async def test_an_attempt_without_an_answer_is_followed_by_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(link, "_TRY_SECONDS", 0.2)
    async with serving() as server, pair(server) as (alice, bob), asyncio.timeout(PATIENCE):
        bob.network.stall()
        await bob.network.cut()
        await until(lambda: bob.network.accepted > 3)
        bob.network.resume_forwarding()
        await alice.say("hello")
        assert await bob.hear_said() == "hello"


async def test_a_disconnect_before_joining_is_final() -> None:
    async with serving() as server, connected(server, ALICE) as alice, asyncio.timeout(PATIENCE):
        alice.network.stall()
        creating = asyncio.create_task(alice.connection.create())
        await until(lambda: alice.network.accepted == 1)
        await alice.network.cut()
        with pytest.raises(dyad.Unavailable):
            await creating


async def test_a_room_that_is_not_resumable_ends_with_its_connection() -> None:
    async with serving() as server, connected(server, ALICE) as alice, asyncio.timeout(PATIENCE):
        await alice.connection.create(resumable=False)
        await alice.network.cut()
        with pytest.raises(dyad.Unavailable):
            await hear(alice.connection)


async def test_each_attempt_asks_for_a_token_and_a_failed_attempt_is_repeated() -> None:
    good = token("bob", email="b@x")
    to_give = [good, None, "expired", good]

    def give() -> str:
        given = to_give.pop(0)
        if given is None:
            raise ConnectionError("The app's own server is out of reach.")
        return given

    async with (
        serving() as server,
        pair(server, token=give) as (alice, bob),
        asyncio.timeout(PATIENCE),
    ):
        await bob.network.cut()
        await alice.say("hello")
        assert await bob.hear_said() == "hello"
        assert bob.losses == bob.returns == 1
        assert not to_give
