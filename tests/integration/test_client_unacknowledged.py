"""How the Python client treats frames that are not acknowledged yet."""

import asyncio
from collections.abc import AsyncIterator

import dyad
import pytest
from dyad.v1 import signaling_pb2 as pb

from tests.conftest import serving, token
from tests.integration.clients import ALICE, BOB, connect
from tests.support.proxy import Proxy
from tests.support.python_client import UNBOUND, hear
from tests.support.scripted import Context, scripted
from tests.support.until import PATIENCE


async def test_sending_waits_while_too_much_is_unacknowledged() -> None:
    async with (
        serving(max_frames_per_second=1000) as server,
        Proxy(server.port) as proxy,
        connect(proxy.port, ALICE) as alice,
        connect(server.port, BOB) as bob,
        asyncio.timeout(PATIENCE),
    ):
        room = await alice.create()
        await bob.join(room.room_id, resumable=False)
        assert await hear(alice) == dyad.PeerJoined(BOB)
        proxy.stall()
        sending = asyncio.create_task(_send_candidates(alice, 300))
        _, waiting = await asyncio.wait({sending}, timeout=0.5)
        assert waiting
        proxy.resume_forwarding()
        assert await _hear_candidates(bob, 300) == [str(n) for n in range(300)]
        await sending


async def test_the_end_of_a_connection_frees_a_waiting_send() -> None:
    async with (
        serving() as server,
        Proxy(server.port) as proxy,
        connect(proxy.port, ALICE) as alice,
        asyncio.timeout(PATIENCE),
    ):
        await alice.create(resumable=False)
        proxy.stall()

        async def send_all() -> None:
            while True:
                await alice.send_offer("x" * 60_000)

        sending = asyncio.create_task(send_all())
        _, waiting = await asyncio.wait({sending}, timeout=0.5)
        assert waiting
        await proxy.cut()
        with pytest.raises(dyad.Unavailable):
            await sending


async def test_a_client_that_does_not_iterate_learns_of_the_end_by_sending() -> None:
    async with (
        # On a busy machine, thousands of refusals wait for the client to read them.
        serving(
            max_frames_per_second=100_000,
            max_bytes_per_second=10_000_000,
            max_waiting_bytes=10_000_000,
        ) as server,
        Proxy(server.port) as proxy,
        dyad.connect(f"127.0.0.1:{proxy.port}", token(), plaintext=True, limits=UNBOUND) as alice,
        asyncio.timeout(PATIENCE),
    ):
        await alice.create(resumable=False)
        # Without a peer each of them is refused. The client does not keep so many events.
        await _send_candidates(alice, 3000)
        await proxy.cut()
        with pytest.raises(dyad.Unavailable):
            await _send_candidates(alice, 100_000)


async def test_received_frames_are_acknowledged() -> None:
    acks: asyncio.Queue[int] = asyncio.Queue()

    async def script(requests: AsyncIterator[pb.SignalRequest], context: Context) -> None:
        await context.write(pb.SignalResponse(frames=[_joined()]))
        told = pb.Frame(room_id="r", join_room=pb.JoinRoom())
        await context.write(pb.SignalResponse(frames=[_numbered(told, n) for n in range(2, 102)]))
        async for request in requests:
            acks.put_nowait(request.frames[-1].ack)

    async with scripted(script) as port, connect(port, ALICE) as alice, asyncio.timeout(PATIENCE):
        await alice.create()
        for _ in range(100):
            await hear(alice)
        await alice.send_offer("any")
        while await acks.get() != 101:
            pass


async def test_a_gap_in_the_numbers_ends_the_connection() -> None:
    over = asyncio.Event()

    async def script(requests: AsyncIterator[pb.SignalRequest], context: Context) -> None:
        try:
            told = pb.Frame(room_id="r", join_room=pb.JoinRoom())
            frames = [_joined(), _numbered(told, 2), _numbered(told, 4)]
            await context.write(pb.SignalResponse(frames=frames))
            async for _ in requests:
                pass
        finally:
            over.set()

    async with scripted(script) as port, connect(port, ALICE) as alice, asyncio.timeout(PATIENCE):
        await alice.create()
        assert isinstance(await hear(alice), dyad.PeerJoined)
        with pytest.raises(dyad.TakenOver):
            await hear(alice)
        await over.wait()


def _joined() -> pb.Frame:
    return pb.Frame(room_id="r", seq=1, reply_to=1, join_room=pb.JoinRoom())


def _numbered(frame: pb.Frame, seq: int) -> pb.Frame:
    numbered = pb.Frame()
    numbered.CopyFrom(frame)
    numbered.seq = seq
    return numbered


async def _send_candidates(connection: dyad.Connection, count: int) -> None:
    for number in range(count):
        await connection.send_candidate(dyad.Candidate(str(number)))


async def _hear_candidates(connection: dyad.Connection, count: int) -> list[str]:
    heard: list[str] = []
    while len(heard) < count:
        event = await hear(connection)
        if isinstance(event, dyad.Candidate):
            heard.append(event.candidate)
    return heard
