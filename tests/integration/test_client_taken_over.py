"""The Python client when its user joins the room again: the newest client has the seat."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import dyad
import grpc
import pytest
from dyad_server.server import Server

from tests.conftest import serving
from tests.integration.clients import ALICE, BOB, connect
from tests.support.proxy import Proxy
from tests.support.python_client import hear


@asynccontextmanager
async def called(
    server: Server, port: int | None = None
) -> AsyncIterator[tuple[dyad.Connection, dyad.Connection, dyad.Room]]:
    """Alice in a room with Bob, who connects to `port`."""
    async with (
        connect(server.port, ALICE) as alice,
        connect(port or server.port, BOB) as bob,
    ):
        room = await alice.create()
        await bob.join(room.room_id)
        assert await hear(alice) == dyad.PeerJoined(BOB)
        yield alice, bob, room


async def told_of_another_bob(alice: dyad.Connection) -> None:
    assert await hear(alice) == dyad.PeerLeft(BOB, dyad.Departure.REPLACED)
    assert await hear(alice) == dyad.PeerJoined(BOB)


async def test_a_second_device_takes_the_seat_and_the_first_stays_away() -> None:
    async with (
        serving() as server,
        called(server) as (alice, bob, room),
        connect(server.port, BOB) as phone,
    ):
        await phone.join(room.room_id)
        with pytest.raises(dyad.TakenOver) as taken:
            await hear(bob)
        assert taken.value.final
        assert taken.value.message.startswith("The same user")
        await told_of_another_bob(alice)
        # The first device does not take the seat back: the phone receives the frames.
        await alice.send_offer("v=0")
        assert await hear(phone) == dyad.Offer("v=0", ALICE)


async def test_a_client_whose_seat_was_taken_while_disconnected_does_not_take_it_back() -> None:
    async with (
        serving() as server,
        Proxy(server.port) as network,
        called(server, network.port) as (alice, bob, room),
        connect(server.port, BOB) as phone,
    ):
        await network.refuse()
        await network.cut()
        assert await hear(bob) == dyad.Reconnecting()
        await phone.join(room.room_id)
        await network.accept()
        with pytest.raises(dyad.TakenOver) as taken:
            await hear(bob)
        assert taken.value.final
        assert taken.value.code is grpc.StatusCode.ABORTED
        await told_of_another_bob(alice)
        await alice.send_offer("v=0")
        assert await hear(phone) == dyad.Offer("v=0", ALICE)


async def test_a_room_id_in_upper_case_is_answered_in_lower_case() -> None:
    async with (
        serving() as server,
        connect(server.port, ALICE) as alice,
        connect(server.port, BOB) as bob,
    ):
        room = await alice.create()
        joined = await bob.join(room.room_id.upper())
        assert joined.room_id == room.room_id
        await bob.send_offer("v=0")
        assert await hear(alice) == dyad.PeerJoined(BOB)
        assert await hear(alice) == dyad.Offer("v=0", BOB)
