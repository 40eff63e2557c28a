"""Network connections without a stream: how long they last, and how many an address may have."""

import asyncio
import contextlib
import os
import resource
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest
from dyad.v1 import signaling_pb2 as pb
from dyad_server.grpc_api.client_address import Origin
from dyad_server.grpc_api.connections import AddressBound
from dyad_server.ops.clock import LoopClock
from hyperframe.frame import SettingsFrame

from tests.conftest import SECRET, serving, token
from tests.support.certificates import certificate
from tests.support.ends import join
from tests.support.http2 import PREFACE, Http2, connected
from tests.support.process import DYAD, Command, command
from tests.support.until import until

SETTINGS = SettingsFrame(0).serialize()
CROWD = 1100
DESCRIPTORS = 1024


class Crowd:
    """Connections that send this and then nothing."""

    def __init__(self) -> None:
        self._connections: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def add(
        self,
        port: int,
        count: int,
        said: bytes = PREFACE + SETTINGS,
        *,
        source: str = "127.0.0.1",
    ) -> None:
        for _ in range(count):
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", port, local_addr=(source, 0)
            )
            writer.write(said)
            self._connections[asyncio.create_task(_read(reader))] = writer

    @property
    def open(self) -> int:
        """How many connections the server has not closed."""
        return sum(not reading.done() for reading in self._connections)

    async def go(self) -> None:
        for writer in self._connections.values():
            writer.transport.abort()
        if self._connections:
            await asyncio.wait(self._connections)


async def _read(reader: asyncio.StreamReader) -> None:
    with contextlib.suppress(ConnectionError):
        while await reader.read(4096):
            pass


@asynccontextmanager
async def crowded() -> AsyncIterator[Crowd]:
    crowd = Crowd()
    try:
        yield crowd
    finally:
        await crowd.go()


@pytest.fixture
def many_descriptors() -> Iterator[None]:
    """Raise the descriptor limit of this process; the server has its own limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = hard if hard != resource.RLIM_INFINITY else 4 * CROWD
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(most, 4 * CROWD)), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@asynccontextmanager
async def limited_serve(soft: int, hard: int, *options: str) -> AsyncIterator[tuple[Command, int]]:
    """`dyad serve` with so many file descriptors; yields the command and its port."""
    limits = f'ulimit -Sn {soft}; ulimit -Hn {hard}; exec "$@"'
    # These connections do not answer pings, unlike those of a capable attacker.
    run = ("sh", "-c", limits, "sh", DYAD, "serve", "--port", "0", "--keepalive-time", "600")
    async with command(*run, *options, env=os.environ | {"DYAD_JWT_SECRET": SECRET}) as started:
        listening = await started.says(r"listening address=\S+:(\d+) ")
        yield started, int(listening[1])


async def begin(client: Http2, sub: str) -> int:
    """A stream that has joined."""
    stream = client.call(token(sub))
    client.say(stream, pb.SignalRequest(frames=[join()]))
    answer = await client.hear(stream, pb.SignalResponse)
    assert answer.frames[0].HasField("join_room")
    return stream


async def test_1100_idle_connections_of_an_address_keep_no_other_address_out(
    many_descriptors: None,
) -> None:
    options = ("--trusted-proxies", "127.0.0.9", "--idle-timeout", "600")
    async with (
        limited_serve(DESCRIPTORS, DESCRIPTORS, *options) as (served, port),
        connected(port, source="127.0.0.2") as before,
        crowded() as crowd,
    ):
        stream = await begin(before, "before")
        await crowd.add(port, CROWD)
        await until(lambda: crowd.open <= DESCRIPTORS // 2)
        async with connected(port, source="127.0.0.2") as after:
            await begin(after, "after")
        before.say(stream, pb.SignalRequest(frames=[pb.Frame(leave_room=pb.LeaveRoom())]))
        left = await before.hear(stream, pb.SignalResponse)
        assert left.frames[0].WhichOneof("event") in ("leave_room", "error")
        assert "Too many open files" not in served.said
        assert psutil.Process(served.process.pid).num_fds() < DESCRIPTORS


async def test_the_newest_connections_beyond_an_addresss_bound_are_closed() -> None:
    async with (
        serving(keepalive_time=600.0) as server,
        crowded() as first,
        crowded() as later,
        connected(server.port, source="127.0.0.2") as other,
    ):
        bound = AddressBound(Origin([]), server.port, 40, LoopClock())
        await first.add(server.port, 30)
        await until(lambda: bound.look() == 0 and bound.connections == 31)
        await later.add(server.port, 200)

        def bounded() -> bool:
            bound.look()
            return first.open + later.open <= 40

        await until(bounded)
        assert first.open == 30
        await begin(other, "other")


async def test_trusted_proxies_may_have_any_number_of_connections() -> None:
    options = ("--trusted-proxies", "127.0.0.1", "--max-connections-per-address", "10")
    async with (
        limited_serve(DESCRIPTORS, DESCRIPTORS, *options) as (served, port),
        crowded() as proxy,
        crowded() as other,
    ):
        await proxy.add(port, 60)
        for _ in range(20):
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", port, local_addr=("127.0.0.2", 0)
            )
            writer.write(PREFACE + SETTINGS)
            other._connections[asyncio.create_task(_read(reader))] = writer  # noqa: SLF001 - a class of this module
        await until(lambda: other.open <= 10)
        assert proxy.open == 60
        await served.says("an address has too many connections")


@pytest.mark.parametrize(
    "said",
    [b"", PREFACE[:10], PREFACE, PREFACE + SETTINGS],
    ids=["nothing", "half a preface", "a preface", "all but a call"],
)
async def test_a_network_connection_without_a_stream_is_closed(said: bytes) -> None:
    async with (
        serving(idle_timeout=1, handshake_timeout=0.5, keepalive_time=600.0) as server,
        crowded() as crowd,
    ):
        await crowd.add(server.port, 5, said)
        await until(lambda: crowd.open == 0)


async def test_an_unfinished_tls_handshake_is_closed(tmp_path: Path) -> None:
    pair = certificate(tmp_path, "server")
    hello = ssl.MemoryBIO()
    half = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), hello, server_hostname="x")
    with contextlib.suppress(ssl.SSLWantReadError):
        half.do_handshake()
    said = hello.read()
    async with (
        serving(
            tls_cert=pair.cert, tls_key=pair.key, handshake_timeout=0.5, keepalive_time=600.0
        ) as server,
        crowded() as crowd,
    ):
        await crowd.add(server.port, 5, said)
        await crowd.add(server.port, 5, said[:50])
        await until(lambda: crowd.open == 0)


async def test_a_silent_stream_lasts() -> None:
    async with (
        serving(idle_timeout=2, keepalive_time=600.0) as server,
        connected(server.port) as client,
        crowded() as crowd,
    ):
        stream = await begin(client, "quiet")
        await crowd.add(server.port, 1)
        # The connections without a stream are closed.
        await until(lambda: crowd.open == 0)
        assert not client.closed
        assert stream not in client.trailers


async def test_the_server_takes_as_many_descriptors_as_it_may_have() -> None:
    async with limited_serve(256, DESCRIPTORS) as (served, _):
        limits = resource.prlimit(served.process.pid, resource.RLIMIT_NOFILE)
        assert limits == (DESCRIPTORS, DESCRIPTORS)
