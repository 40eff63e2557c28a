"""How a connection of the Python client ends: each status of the server is an error."""

import asyncio
import uuid

import dyad
import pytest
from dyad.stream import Stream, open_stream
from dyad.v1 import signaling_pb2 as pb

from tests.conftest import serving, token
from tests.integration.clients import ALICE, connect
from tests.support.proxy import Proxy
from tests.support.python_client import hear
from tests.support.until import PATIENCE

KEY = "0f1e2d3c"


async def test_a_bad_token_ends_as_unauthenticated() -> None:
    async with serving() as server, asyncio.timeout(PATIENCE):
        for bad in ("nonsense", "n\u00f6nsense", "two\nlines"):
            with pytest.raises(dyad.Unauthenticated):
                async with dyad.connect(f"127.0.0.1:{server.port}", bad, plaintext=True) as alice:
                    await alice.create()


async def test_a_token_for_another_room_ends_as_forbidden() -> None:
    async with (
        serving() as server,
        connect(server.port, ALICE, room=str(uuid.uuid4())) as alice,
        asyncio.timeout(PATIENCE),
    ):
        with pytest.raises(dyad.Forbidden):
            await alice.join(str(uuid.uuid4()))


async def test_waiting_too_long_ends_as_timed_out() -> None:
    async with (
        serving(lone_timeout=0.1) as server,
        connect(server.port, ALICE) as alice,
        asyncio.timeout(PATIENCE),
    ):
        await alice.create(resumable=False)
        with pytest.raises(dyad.TimedOut):
            await hear(alice)


async def test_a_draining_server_ends_as_unavailable_and_says_when_to_reconnect() -> None:
    async with serving() as server, connect(server.port, ALICE) as alice, asyncio.timeout(PATIENCE):
        await alice.create(resumable=False)
        await server.dyad.drain()
        with pytest.raises(dyad.Unavailable) as end:
            await _last(alice)
        assert end.value.retry_after is not None
        assert 0.2 <= end.value.retry_after <= 2
        with pytest.raises(dyad.Unavailable):
            await alice.send_offer("too late")
        await alice.leave()


async def test_joining_without_a_server_ends_as_unavailable() -> None:
    async with serving() as server, Proxy(server.port) as proxy, asyncio.timeout(PATIENCE):
        await proxy.refuse()
        async with connect(proxy.port, ALICE) as alice:
            with pytest.raises(dyad.Unavailable):
                await alice.create()


async def test_a_write_that_meets_the_end_does_not_hide_the_status() -> None:
    async def flood(stream: Stream) -> None:
        frame = pb.Frame(join_room=pb.JoinRoom())
        while await stream.write(pb.SignalRequest(frames=[frame])):
            pass

    async def end_of_flood(port: int) -> str:
        async with open_stream(f"127.0.0.1:{port}", None, token(), KEY) as stream:
            flooding = asyncio.create_task(flood(stream))
            try:
                while await stream.read() is not None:
                    pass
            except dyad.Ended as end:
                return str(end)
            finally:
                await flooding
        return "no end"

    # A limit so low that even a slow machine exceeds it.
    async with serving(max_frames_per_second=1) as server, asyncio.timeout(PATIENCE):
        ends = await asyncio.gather(*(end_of_flood(server.port) for _ in range(15)))
    assert set(ends) == {"RESOURCE_EXHAUSTED: Too much was sent in too short a time."}


async def _last(connection: dyad.Connection) -> None:
    async for _ in connection:
        pass
