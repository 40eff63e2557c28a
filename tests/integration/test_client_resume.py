"""The Python client over a network that breaks: nothing is lost, or the app is told."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import dyad
import pytest
from dyad import link
from dyad_server.core.states import State
from dyad_server.server import Server

from tests.conftest import serving, token
from tests.support.clock import advance, within
from tests.support.proxy import Proxy
from tests.support.until import PATIENCE, until

ALICE = dyad.Participant("alice", "a@x")
BOB = dyad.Participant("bob", "b@x")
# A replay counts as sent: the limit on floods is not what is tested here.
FAST = {"max_frames_per_second": 100_000, "max_bytes_per_second": 100_000_000}


@dataclass
class Party:
    """A participant, the network it has for itself, and what it was told of that."""

    connection: dyad.Connection
    network: Proxy
    room: dyad.Room
    losses: int = 0
    returns: int = 0

    async def hear(self) -> dyad.Event:
        """The next event that is not about the network; one that came back lost nothing."""
        while True:
            match await anext(self.connection):
                case dyad.Reconnecting():
                    self.losses += 1
                case dyad.Reconnected(room, resumed):
                    assert resumed
                    assert room.room_id == self.room.room_id
                    self.returns += 1
                case event:
                    return event

    async def say(self, text: str) -> None:
        await self.connection.send_candidate(dyad.Candidate(text))

    async def hear_said(self) -> str:
        event = await self.hear()
        assert isinstance(event, dyad.Candidate)
        return event.candidate


@asynccontextmanager
async def connected(server: Server, who: dyad.Participant, **terms: Any) -> AsyncIterator[Party]:
    terms.setdefault("token", token(who.user_id, email=who.email))
    async with (
        Proxy(server.port) as network,
        dyad.connect(f"127.0.0.1:{network.port}", **terms) as connection,
    ):
        yield Party(connection, network, dyad.Room("", None, polite=False))


@asynccontextmanager
async def pair(server: Server, **terms: Any) -> AsyncIterator[tuple[Party, Party]]:
    """Alice, who created a room, and Bob, who joined it; `terms` are Bob's."""
    async with connected(server, ALICE) as alice, connected(server, BOB, **terms) as bob:
        alice.room = await alice.connection.create()
        bob.room = await bob.connection.join(alice.room.room_id)
        assert await alice.hear() == dyad.PeerJoined(BOB)
        yield alice, bob


async def test_a_disconnect_right_after_joining_loses_nothing() -> None:
    async with (
        serving() as server,
        connected(server, ALICE) as alice,
        connected(server, BOB) as bob,
        asyncio.timeout(20),
    ):
        alice.room = await alice.connection.create()
        await alice.network.cut()
        bob.room = await bob.connection.join(alice.room.room_id)
        await bob.network.cut()
        assert await anext(alice.connection) == dyad.Reconnecting()
        back = await anext(alice.connection)
        assert isinstance(back, dyad.Reconnected)
        assert back.resumed
        assert await alice.hear() == dyad.PeerJoined(BOB)
        await alice.say("hello")
        assert await anext(bob.connection) == dyad.Reconnecting()
        assert await anext(bob.connection) == dyad.Reconnected(bob.room, resumed=True)
        assert await bob.hear_said() == "hello"


@pytest.mark.parametrize("half_open", [False, True], ids=["reset", "half open"])
async def test_disconnects_during_bursts_of_200_lose_and_duplicate_nothing(
    *, half_open: bool
) -> None:
    async with serving(**FAST) as server, pair(server) as (alice, bob), asyncio.timeout(50):

        async def burst(party: Party) -> None:
            for number in range(200):
                await party.say(str(number))
                # Let it be written, and some of it be lost on the way.
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
    async with serving(**FAST) as server, pair(server) as (alice, bob), asyncio.timeout(50):
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
    async with serving() as server, pair(server) as (alice, bob), asyncio.timeout(40):
        bob.network.stall(new=False)
        for number in range(50):
            await bob.say(str(number))
            await alice.say(str(number))
        async with within(8.5):
            assert await anext(bob.connection) == dyad.Reconnecting()
        assert await anext(bob.connection) == dyad.Reconnected(bob.room, resumed=True)
        bob.network.resume_forwarding()
        for party in (alice, bob):
            assert [await party.hear_said() for _ in range(50)] == [str(n) for n in range(50)]
        await bob.say("the last")
        assert await alice.hear_said() == "the last"


async def test_frames_sent_while_disconnected_wait() -> None:
    async with serving() as server, pair(server) as (alice, bob), asyncio.timeout(20):
        await bob.network.refuse()
        await bob.network.cut()
        assert await anext(bob.connection) == dyad.Reconnecting()
        for number in range(10):
            await bob.say(str(number))
            await alice.say(str(number))
        await bob.network.accept()
        for party in (alice, bob):
            assert [await party.hear_said() for _ in range(10)] == [str(n) for n in range(10)]


async def test_a_client_that_reconnects_too_late_starts_a_new_session_in_the_room() -> None:
    async with serving(resume_grace=20) as server, pair(server) as (alice, bob):
        async with asyncio.timeout(PATIENCE):
            await bob.network.refuse()
            await bob.network.cut()
            assert await anext(bob.connection) == dyad.Reconnecting()
            await bob.say("lost")
            await until(lambda: any(each.state is State.RESERVED for each in server.dyad.hub))
            advance(20)
            assert await alice.hear() == dyad.PeerLeft(BOB, dyad.Departure.DISCONNECTED)
            await bob.network.accept()
            assert await alice.hear() == dyad.PeerJoined(BOB)
            room = dyad.Room(alice.room.room_id, ALICE, polite=True)
            assert await anext(bob.connection) == dyad.Reconnected(room, resumed=False)
            await bob.say("new")
            assert await alice.hear_said() == "new"
            # The new session is as resumable as the one before.
            await alice.say("hello")
            assert await bob.hear_said() == "hello"
            await bob.network.cut()
            await alice.say("again")
            assert await bob.hear_said() == "again"
            assert bob.returns == 1


async def test_a_client_whose_room_is_gone_is_told() -> None:
    async with serving(resume_grace=0.1) as server, connected(server, ALICE) as alice:
        async with asyncio.timeout(20):
            await alice.connection.create()
            await alice.network.refuse()
            await alice.network.cut()
            await until(lambda: len(server.dyad.hub) == 0)
            await alice.network.accept()
            assert await anext(alice.connection) == dyad.Reconnecting()
            with pytest.raises(dyad.TakenOver, match="ROOM_NOT_FOUND"):
                await anext(alice.connection)


async def test_a_leave_during_a_disconnect_is_delivered() -> None:
    async with serving() as server, pair(server) as (alice, bob), asyncio.timeout(20):
        bob.network.stall()
        leaving = asyncio.create_task(bob.connection.leave())
        await asyncio.sleep(0.05)  # It is under way, and goes nowhere.
        await bob.network.cut()
        bob.network.resume_forwarding()
        await leaving
        assert await alice.hear() == dyad.PeerLeft(BOB, dyad.Departure.LEFT)
        assert dyad.Reconnecting() in [event async for event in bob.connection]


async def test_a_leave_succeeds_if_the_seat_is_already_gone() -> None:
    async with serving(resume_grace=0.1) as server, pair(server) as (alice, bob):
        async with asyncio.timeout(20):
            await bob.network.refuse()
            await bob.network.cut()
            leaving = asyncio.create_task(bob.connection.leave())
            assert await alice.hear() == dyad.PeerLeft(BOB, dyad.Departure.DISCONNECTED)
            await bob.network.accept()
            await leaving
            assert [event async for event in bob.connection] == [dyad.Reconnecting()]
            # And nobody takes the seat again in its name.
            assert len(server.dyad.hub) == 1
            # It may enter another room.
            room = await bob.connection.create()
            async with dyad.connect(f"127.0.0.1:{server.port}", token("carol")) as carol:
                await carol.join(room.room_id)
            assert isinstance(await anext(bob.connection), dyad.PeerJoined)


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
        async with asyncio.timeout(20):
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


async def test_a_client_gives_up_after_a_while_and_says_why() -> None:
    async with serving() as server, pair(server, give_up_after=0.5) as (_alice, bob):
        async with asyncio.timeout(20):
            await bob.network.refuse()
            await bob.network.cut()
            leaving = asyncio.create_task(bob.connection.leave())
            assert await anext(bob.connection) == dyad.Reconnecting()
            with pytest.raises(dyad.Unavailable):
                await anext(bob.connection)
            with pytest.raises(dyad.Unavailable):
                await leaving
            with pytest.raises(dyad.Unavailable):
                await bob.say("too late")


async def test_a_silent_server_does_not_delay_giving_up() -> None:
    async with serving() as server, pair(server, give_up_after=20) as (_alice, bob):
        async with asyncio.timeout(PATIENCE):
            bob.network.stall()
            await bob.network.cut()
            assert await anext(bob.connection) == dyad.Reconnecting()
            await until(lambda: bob.network.accepted > 1)
            advance(20)
            async with within(1):
                with pytest.raises(dyad.Unavailable):
                    await anext(bob.connection)


async def test_an_attempt_without_an_answer_is_followed_by_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(link, "_TRY_SECONDS", 0.2)
    async with serving() as server, pair(server) as (alice, bob), asyncio.timeout(20):
        bob.network.stall()
        await bob.network.cut()
        await until(lambda: bob.network.accepted > 3)
        bob.network.resume_forwarding()
        await alice.say("hello")
        assert await bob.hear_said() == "hello"


async def test_after_a_resume_the_client_stays_connected() -> None:
    async with serving() as server, pair(server, give_up_after=20) as (alice, bob):
        async with asyncio.timeout(PATIENCE):
            await bob.network.cut()
            await alice.say("one")
            assert await bob.hear_said() == "one"
            advance(20)  # Nothing shall happen: no limit of the try holds now.
            await alice.say("two")
            assert await bob.hear_said() == "two"
            assert bob.losses == 1


async def test_a_disconnect_before_joining_is_final() -> None:
    async with serving() as server, connected(server, ALICE) as alice, asyncio.timeout(20):
        alice.network.stall()
        creating = asyncio.create_task(alice.connection.create())
        await until(lambda: alice.network.accepted == 1)
        await alice.network.cut()
        with pytest.raises(dyad.Unavailable):
            await creating


async def test_a_room_that_is_not_resumable_ends_with_its_connection() -> None:
    async with serving() as server, connected(server, ALICE) as alice, asyncio.timeout(20):
        await alice.connection.create(resumable=False)
        await alice.network.cut()
        with pytest.raises(dyad.Unavailable):
            await anext(alice.connection)


async def test_each_attempt_asks_for_a_token_and_a_failed_attempt_is_repeated() -> None:
    good = token("bob", email="b@x")
    to_give = [good, None, "expired", good]

    def give() -> str:
        given = to_give.pop(0)
        if given is None:
            raise ConnectionError("The app's own server is out of reach.")
        return given

    async with serving() as server, pair(server, token=give) as (alice, bob), asyncio.timeout(20):
        await bob.network.cut()
        await alice.say("hello")
        assert await bob.hear_said() == "hello"
        assert bob.losses == bob.returns == 1
        assert not to_give


async def test_closing_without_leaving_keeps_the_seat_reserved_for_the_grace_time() -> None:
    async with serving(resume_grace=0.5) as server, connected(server, ALICE) as alice:
        async with asyncio.timeout(20):
            alice.room = await alice.connection.create()
            async with connected(server, BOB) as bob:
                await bob.connection.join(alice.room.room_id)
                await bob.say("the last word")
                closing = asyncio.get_running_loop().time()
            assert await alice.hear() == dyad.PeerJoined(BOB)
            assert await alice.hear_said() == "the last word"
            assert await alice.hear() == dyad.PeerLeft(BOB, dyad.Departure.DISCONNECTED)
            assert asyncio.get_running_loop().time() - closing >= 0.5


async def test_closing_while_disconnected_does_not_wait() -> None:
    async with serving() as server, connected(server, ALICE) as alice, asyncio.timeout(20):
        await alice.connection.create()
        await alice.network.refuse()
        await alice.network.cut()
        assert await anext(alice.connection) == dyad.Reconnecting()
        async with within(0.5):
            await alice.connection.__aexit__(None, None, None)
