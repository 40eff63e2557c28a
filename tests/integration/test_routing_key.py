"""The routing key: the id of a new room ends with it, and nothing else depends on it."""

import asyncio
import uuid

import pytest
from dyad_server.server import Server

from tests.conftest import Connect, ends, serving
from tests.integration.clients import ALICE, BOB, connect
from tests.integration.party import connected
from tests.support.ends import End, join
from tests.support.until import PATIENCE, until

KEY = "0f1e2d3c"
ROOM = "6c1f3c3e-9d2c-4b7e-8f53-0d6f3f9f7a10"
HEADER = "dyad-routing-key"


async def created(connect: Connect, *values: str, room: str = "") -> str:
    """The room that a participant creates who connects with these values in the header."""
    alice = connect("alice", room=room)
    alice.metadata += tuple((HEADER, value) for value in values)
    await alice.send(join())
    return (await alice.hear()).room_id


async def test_the_id_of_a_new_room_ends_with_the_key_of_its_creator(
    transport: type[End],
) -> None:
    async with serving() as server, ends(server, transport) as connect:
        rooms = [await created(connect, KEY) for _ in range(3)]
        assert len(set(rooms)) == 3
        for room_id in rooms:
            assert room_id[-8:] == KEY
            assert str(uuid.UUID(room_id)) == room_id
            assert uuid.UUID(room_id).version == 4
        assert len({room_id[:-8] for room_id in rooms}) == 3


@pytest.mark.parametrize(
    "values",
    [
        *([], [""], [KEY.upper()], [KEY[1:]], [f"{KEY}0"], ["0f1e2d3g"]),
        *([KEY, KEY], [f"{KEY},{KEY}"], [ROOM], ["x" * 4000]),
    ],
)
async def test_a_key_that_is_none_is_ignored(values: list[str], transport: type[End]) -> None:
    async with serving() as server, ends(server, transport) as connect:
        room_id = await created(connect, *values)
        assert uuid.UUID(room_id).version == 4
        assert room_id[-8:] != KEY


async def test_a_key_changes_nothing_in_a_room_whose_id_is_known(transport: type[End]) -> None:
    async with serving() as server, ends(server, transport) as connect:
        assert await created(connect, KEY, room=ROOM) == ROOM
        bob = connect("bob")
        bob.metadata += ((HEADER, KEY),)
        await bob.send(join(ROOM))
        ack = await bob.hear()
        assert (ack.room_id, ack.join_room.peer.user_id) == (ROOM, "alice")


def keys(server: Server) -> list[str]:
    """The keys of the open connections, in the order in which they were opened."""
    return [p.connection.routing_key for p in server.dyad.hub if p.connection is not None]


async def test_the_python_client_always_sends_the_key_of_its_room() -> None:
    async with (
        serving() as server,
        connected(server, ALICE) as alice,
        connect(server.port, BOB) as bob,
        asyncio.timeout(PATIENCE),
    ):
        room = await alice.connection.create()
        key = room.room_id[-8:]
        assert keys(server) == [key]
        await bob.join(room.room_id.upper())
        assert keys(server) == [key, key]
        before = {p.connection for p in server.dyad.hub}
        await alice.network.cut()
        await until(lambda: len({p.connection for p in server.dyad.hub} - before - {None}) == 1)
        assert keys(server) == [key, key]


async def test_the_python_client_sends_the_key_of_the_room_that_its_token_names() -> None:
    async with serving() as server, connect(server.port, ALICE, room=ROOM) as alice:
        assert (await alice.create()).room_id == ROOM
        assert keys(server) == [ROOM[-8:]]
