"""The Python client in one room after another: nothing of the last one reaches the next."""

import asyncio

import dyad
import pytest

from tests.conftest import serving, token
from tests.integration.clients import ALICE, BOB, connect
from tests.integration.party import pair
from tests.support.python_client import hear
from tests.support.until import PATIENCE, until

ROOM = "6c1f3c3e-9d2c-4b7e-8f53-0d6f3f9f7a10"


async def test_unread_events_of_a_room_do_not_arrive_in_the_next_one() -> None:
    async with serving() as server, pair(server) as (alice, bob), asyncio.timeout(PATIENCE):
        for number in range(20):
            await alice.say(str(number))
        assert await bob.hear_said() == "0"
        old = aiter(bob.connection)
        await bob.connection.leave()
        room = await bob.connection.create()
        assert await alice.hear() == dyad.PeerLeft(BOB, dyad.Departure.LEFT)
        await alice.connection.leave()
        await alice.connection.join(room.room_id)
        event = await anext(aiter(bob.connection))
        assert event == dyad.PeerJoined(ALICE, room.room_id)
        # Even an iteration that nobody has stopped ends with its room.
        assert [event async for event in old] == []


async def test_every_event_names_its_room() -> None:
    async with serving() as server, pair(server) as (alice, bob), asyncio.timeout(PATIENCE):
        room_id = bob.room.room_id
        events = aiter(bob.connection)
        await alice.connection.send_offer("v=0")
        assert await anext(events) == dyad.Offer("v=0", ALICE, room_id)
        await alice.connection.send_answer("v=0")
        assert await anext(events) == dyad.Answer("v=0", ALICE, room_id)
        await alice.say("c")
        assert await anext(events) == dyad.Candidate("c", sender=ALICE, room_id=room_id)
        await bob.network.cut()
        assert await anext(events) == dyad.Reconnecting(room_id)
        assert (await anext(events)).room_id == room_id
        await alice.connection.leave()
        assert await anext(events) == dyad.PeerLeft(ALICE, dyad.Departure.LEFT, room_id)
        await bob.say("to nobody")
        refused = await anext(events)
        assert isinstance(refused, dyad.Refused)
        assert refused.room_id == room_id


async def test_a_second_leave_and_a_leave_without_a_room_are_harmless() -> None:
    async with serving() as server, connect(server.port, ALICE) as alice, asyncio.timeout(PATIENCE):
        await alice.leave()
        await alice.create()
        await asyncio.gather(alice.leave(), alice.leave())
        await alice.leave()
        assert alice.state == dyad.State(dyad.Phase.IDLE)
        await alice.create()


async def test_a_connection_without_a_room_does_not_end_by_itself() -> None:
    async with (
        serving(join_timeout=0.2) as server,
        connect(server.port, ALICE) as alice,
        asyncio.timeout(PATIENCE),
    ):
        await asyncio.sleep(0.5)
        await alice.create()
        await alice.leave()
        await asyncio.sleep(0.5)
        assert alice.state == dyad.State(dyad.Phase.IDLE)
        await alice.create()
        assert await _is_alone(alice)


async def test_connecting_reaches_no_server_before_a_room_is_wanted() -> None:
    connection = dyad.connect("127.0.0.1:1", "token", plaintext=True)
    async with connection:
        assert connection.state == dyad.State(dyad.Phase.IDLE)


@pytest.mark.parametrize(
    "room_id",
    ["", None, b"x", 7, "no such room", f" {ROOM}", f"{ROOM}\n", ROOM.replace("-", "")],
)
async def test_what_is_no_uuid_is_refused_and_makes_no_room(room_id: str) -> None:
    async with serving() as server, connect(server.port, ALICE) as alice, asyncio.timeout(PATIENCE):
        with pytest.raises(dyad.Refused, match="A room id is a UUID") as refused:
            await alice.join(room_id)
        assert refused.value.code is dyad.Refusal.INVALID_FRAME
        assert not len(server.dyad.hub)


async def test_a_second_room_at_the_same_time_is_refused_and_the_call_continues() -> None:
    async with serving() as server, pair(server) as (alice, bob), asyncio.timeout(PATIENCE):
        for enter in (bob.connection.create(), bob.connection.join(bob.room.room_id)):
            with pytest.raises(dyad.Refused, match="leave it first"):
                await enter
        await alice.say("hello")
        assert await bob.hear_said() == "hello"


async def test_a_connection_that_failed_may_enter_a_room_again() -> None:
    async with serving() as server, pair(server) as (_, bob), asyncio.timeout(PATIENCE):
        async with connect(server.port, BOB) as phone:
            await phone.join(bob.room.room_id)
            with pytest.raises(dyad.TakenOver):
                await hear(bob.connection)
            await bob.connection.leave()
        await bob.connection.join(bob.room.room_id)


async def test_a_listener_that_starts_first_hears_the_first_room() -> None:
    async with serving() as server, connect(server.port, ALICE) as alice, asyncio.timeout(PATIENCE):
        listening = asyncio.create_task(hear(alice))
        room = await alice.create()
        async with connect(server.port, BOB) as bob:
            await bob.join(room.room_id)
            assert await listening == dyad.PeerJoined(BOB)
        unheard = asyncio.create_task(_events(connect(server.port, ALICE)))
        assert await unheard == []


async def test_the_seat_is_free_at_once_after_leaving() -> None:
    async with serving() as server, pair(server) as (_, bob), asyncio.timeout(PATIENCE):
        await bob.connection.leave()
        await until(lambda: len(server.dyad.hub) == 1)
        async with dyad.connect(
            f"127.0.0.1:{server.port}", token("carol"), plaintext=True
        ) as carol:
            await carol.join(bob.room.room_id)


async def _events(connection: dyad.Connection) -> list[dyad.Event]:
    async def listen() -> list[dyad.Event]:
        return [event async for event in connection]

    listening = asyncio.create_task(listen())
    await asyncio.sleep(0)
    await connection.close()
    return await listening


async def _is_alone(connection: dyad.Connection) -> bool:
    await connection.send_offer("to nobody")
    refused = await hear(connection)
    return isinstance(refused, dyad.Refused) and refused.code is dyad.Refusal.PEER_ABSENT
