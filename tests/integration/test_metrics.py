"""The metrics port, and clients that misuse it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from http import HTTPStatus

import psutil
import pytest
from dyad_server.composition import Dyad
from dyad_server.config import Config
from dyad_server.ops import bounds
from dyad_server.ops.metrics_http import MetricsServer, pages_of_a_server

from tests.conftest import SECRET
from tests.support.ports import free_port
from tests.support.process import dyad_serve
from tests.support.until import PATIENCE, until

HALF_SENT = 500
HOST = "127.0.0.1"


async def ask(port: int, request: str) -> str:
    """Send this; returns everything that the server sends until it closes the connection."""
    reader, writer = await asyncio.open_connection(HOST, port)
    writer.write(request.encode())
    async with asyncio.timeout(PATIENCE):
        answer = await reader.read()
    writer.close()
    return answer.decode()


@contextlib.asynccontextmanager
async def metrics() -> AsyncIterator[int]:
    dyad = Dyad(Config(jwt_secret=SECRET))
    server = MetricsServer(pages_of_a_server(dyad.metrics.registry, list))
    port = await server.start(HOST, 0)
    try:
        yield port
    finally:
        await server.stop()


@contextlib.asynccontextmanager
async def half_sent(port: int, count: int) -> AsyncIterator[list[asyncio.StreamReader]]:
    """Open this many connections whose request never ends."""
    pairs = []
    for _ in range(count):
        reader, writer = await asyncio.open_connection(HOST, port)
        writer.write(b"GET /metrics HTTP/1.1\r\nHost: x\r\n")
        pairs.append((reader, writer))
    try:
        yield [reader for reader, _ in pairs]
    finally:
        for _, writer in pairs:
            writer.transport.abort()


async def test_500_unfinished_requests_block_no_scrape() -> None:
    port = free_port()
    async with dyad_serve(SECRET, "--metrics-port", str(port)) as served:
        process = psutil.Process(served.process.pid)
        await ask(port, "GET /metrics HTTP/1.1\r\n\r\n")
        threads, memory = process.num_threads(), process.memory_info().rss
        files = process.num_fds()
        async with half_sent(port, HALF_SENT):
            answer = await ask(port, "GET /metrics HTTP/1.1\r\n\r\n")
            assert "dyad_participants 0.0" in answer
            assert process.num_threads() == threads
            assert process.memory_info().rss < memory + 8_000_000
            # The loop removes closed connections in its next turn.
            await until(lambda: process.num_fds() < files + 32)


async def test_a_request_that_does_not_end_in_time_is_disconnected(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bounds, "METRICS_SECONDS", 0.1)
    async with metrics() as port, half_sent(port, 1) as (reader,):
        async with asyncio.timeout(PATIENCE):
            with contextlib.suppress(ConnectionResetError):
                assert await reader.read() == b""


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        ("GET /metrics HTTP/1.1", HTTPStatus.OK),
        ("GET /metrics?name=x HTTP/1.0", HTTPStatus.OK),
        ("HEAD /metrics HTTP/1.1", HTTPStatus.OK),
        ("GET / HTTP/1.1", HTTPStatus.NOT_FOUND),
        ("GET /metrics/ HTTP/1.1", HTTPStatus.NOT_FOUND),
        ("GET /favicon.ico HTTP/1.1", HTTPStatus.NOT_FOUND),
        ("POST /metrics HTTP/1.1", HTTPStatus.METHOD_NOT_ALLOWED),
        ("DELETE /metrics HTTP/1.1", HTTPStatus.METHOD_NOT_ALLOWED),
        ("GET /metrics", HTTPStatus.BAD_REQUEST),
        ("\x16\x03\x01", HTTPStatus.BAD_REQUEST),
    ],
)
async def test_each_request_is_answered_with_its_status(
    request_line: str, status: HTTPStatus
) -> None:
    async with metrics() as port:
        answer = await ask(port, f"{request_line}\r\nHost: x\r\n\r\n")
    head, _, body = answer.partition("\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status.value} ")
    assert ("Allow: GET, HEAD" in head) == (status is HTTPStatus.METHOD_NOT_ALLOWED)
    assert ("dyad_participants" in body) == (
        status is HTTPStatus.OK and request_line.startswith("GET")
    )


async def test_a_request_without_an_end_is_disconnected_at_8_kib() -> None:
    async with metrics() as port:
        reader, writer = await asyncio.open_connection(HOST, port)
        writer.write(b"GET /metrics HTTP/1.1\r\nX: " + b"x" * 100_000)
        with contextlib.suppress(ConnectionResetError):
            async with asyncio.timeout(PATIENCE):
                assert await reader.read() == b""
        writer.close()


async def test_by_default_metrics_are_served_only_on_loopback() -> None:
    port = free_port()
    public = ("--host", "127.0.0.2", "--metrics-port", str(port))
    async with dyad_serve(SECRET, *public):
        assert "200 OK" in await ask(port, "GET /metrics HTTP/1.1\r\n\r\n")
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.2", port)
    async with dyad_serve(SECRET, *public, "--metrics-host", "127.0.0.2"):
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(HOST, port)
        _, writer = await asyncio.open_connection("127.0.0.2", port)
        writer.close()
