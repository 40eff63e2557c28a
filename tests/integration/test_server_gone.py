"""A server that dies or freezes: what its participants see, and what remains of their rooms."""

import asyncio
import signal
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import dyad
import pytest

from tests.conftest import SECRET, token
from tests.support.clock import within
from tests.support.process import Served, dyad_serve
from tests.support.proxy import Proxy
from tests.support.python_client import hear
from tests.support.until import PATIENCE

BOB = dyad.Participant("bob")


def clock() -> float:
    return asyncio.get_running_loop().time()


@asynccontextmanager
async def pair(
    port: int, *, room: str = "", bobs_port: int = 0, resumable: bool = True
) -> AsyncIterator[tuple[dyad.Connection, dyad.Connection]]:
    """Alice and Bob in a room; the one in their tokens, if there is one."""
    async with (
        dyad.connect(f"127.0.0.1:{port}", token("alice", room=room), plaintext=True) as alice,
        dyad.connect(
            f"127.0.0.1:{bobs_port or port}", token("bob", room=room), plaintext=True
        ) as bob,
    ):
        created = await alice.create(resumable=resumable)
        await bob.join(created.room_id, resumable=resumable)
        assert await hear(alice) == dyad.PeerJoined(BOB)
        yield alice, bob


@asynccontextmanager
async def killed_and_started_again(served: Served) -> AsyncIterator[None]:
    served.process.kill()
    await served.command.ended()
    async with dyad_serve(SECRET, "--port", str(served.port)):
        yield


@pytest.mark.parametrize(
    ("number", "promised"),
    [(signal.SIGKILL, 1.0), (signal.SIGSTOP, 10.0)],
    ids=["killed", "frozen"],
)
async def test_both_ends_are_told_of_a_server_that_is_gone(
    number: signal.Signals, promised: float
) -> None:
    async with dyad_serve(SECRET) as served, pair(served.port, resumable=False) as both:
        served.process.send_signal(number)
        async with within(promised):
            for connection in both:
                with pytest.raises(dyad.Unavailable):
                    await hear(connection)


async def test_a_server_that_died_has_lost_its_rooms_and_both_ends_are_told() -> None:
    async with (
        dyad_serve(SECRET) as served,
        pair(served.port) as both,
        killed_and_started_again(served),
        asyncio.timeout(PATIENCE),
    ):
        for connection in both:
            assert await hear(connection) == dyad.Reconnecting()
            with pytest.raises(dyad.TakenOver, match="ROOM_NOT_FOUND"):
                await hear(connection)


async def test_a_room_named_in_the_tokens_is_created_again_after_the_server_died() -> None:
    room = str(uuid.uuid4())
    async with (
        dyad_serve(SECRET) as served,
        pair(served.port, room=room) as (alice, bob),
        killed_and_started_again(served),
        asyncio.timeout(PATIENCE),
    ):
        for connection in (alice, bob):
            assert await hear(connection) == dyad.Reconnecting()
            back = await hear(connection)
            assert isinstance(back, dyad.Reconnected)
            assert not back.resumed, "frames under way may be lost, and the client says so"
            assert back.room.room_id == room
        await alice.send_offer("again")
        event = await hear(bob)
        while not isinstance(event, dyad.Offer):
            event = await hear(bob)
        assert event.sdp == "again"


async def test_the_time_to_notice_silence_and_the_grace_time_add_up() -> None:
    async with (
        dyad_serve(SECRET, "--resume-grace", "2") as served,
        Proxy(served.port) as network,
        pair(served.port, bobs_port=network.port) as (alice, _),
    ):
        network.stall()
        began = clock()
        await alice.send_offer("to a peer that is gone")
        async with within(12):
            assert await hear(alice) == dyad.PeerLeft(BOB, dyad.Departure.DISCONNECTED)
        assert clock() - began > 2
