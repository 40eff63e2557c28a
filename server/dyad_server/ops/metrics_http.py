"""Serves metrics and probes over HTTP, with bounds on connections and time."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus
from typing import NamedTuple

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from dyad_server.errors import ConfigError
from dyad_server.ops import bounds

METRICS, LIVE, READY = "/metrics", "/livez", "/readyz"

_METHODS = ("GET", "HEAD")


class Page(NamedTuple):
    """What a path shows."""

    status: HTTPStatus
    body: bytes
    content_type: str = "text/plain; charset=utf-8"


Pages = Mapping[str, Callable[[], Awaitable[Page]]]
"""What each path shows when it is asked for."""


def pages_of_a_server(registry: CollectorRegistry, not_ready: Callable[[], Sequence[str]]) -> Pages:
    """The metrics of one server, and its probes; `not_ready` says why it is not ready."""

    async def metrics() -> Page:
        return metrics_page(registry)

    async def live() -> Page:
        # That this code runs is the answer.
        return probe_page("alive", ())

    async def ready() -> Page:
        return probe_page("ready", not_ready())

    return {METRICS: metrics, LIVE: live, READY: ready}


def metrics_page(registry: CollectorRegistry) -> Page:
    """The metrics of a registry."""
    return Page(HTTPStatus.OK, generate_latest(registry), CONTENT_TYPE_LATEST)


def probe_page(good: str, reasons: Sequence[str]) -> Page:
    """The answer to a probe: `good`, or why not, one reason on each line."""
    if not reasons:
        return Page(HTTPStatus.OK, f"{good}\n".encode())
    text = "".join(f"not {good}: {reason}\n" for reason in reasons)
    return Page(HTTPStatus.SERVICE_UNAVAILABLE, text.encode())


class MetricsServer:
    """An HTTP/1.1 server in the running loop that answers `GET` for its pages.

    A connection carries one request and lasts at most five seconds. With more than 16
    connections the oldest is closed, so that unfinished requests cannot block a scrape.
    """

    def __init__(self, pages: Pages) -> None:
        self._pages = pages
        self._server: asyncio.Server | None = None
        # Oldest first.
        self._connections: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def start(self, host: str, port: int, *, shared: bool = False) -> int:
        """Listen, and return the port.

        Args:
            host: the address.
            port: the port; 0: the system picks one.
            shared: whether another process has reserved the port for this one.

        Raises:
            ConfigError: the port is in use, or the address is not this host's.
        """
        try:
            self._server = await asyncio.start_server(
                self._accept,
                host.strip("[]"),
                port,
                limit=bounds.METRICS_REQUEST_BYTES,
                reuse_port=shared,
            )
        except OSError:
            raise ConfigError(
                f"Cannot serve metrics on {host}:{port}: the port is taken or the address is not "
                "this host's."
            ) from None
        listening: int = self._server.sockets[0].getsockname()[1]
        return listening

    async def stop(self) -> None:
        """Close the port and every connection."""
        if self._server is not None:
            self._server.close()
        for writer in self._connections.values():
            writer.transport.abort()
        if self._connections:
            await asyncio.wait(self._connections)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._connections) >= bounds.METRICS_CONNECTIONS:
            oldest = next(iter(self._connections))
            self._connections.pop(oldest).transport.abort()
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._connections[task] = writer
        task.add_done_callback(lambda done: self._connections.pop(done, None))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(bounds.METRICS_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(await self._answer(head))
                await writer.drain()
                writer.close()
                await writer.wait_closed()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            # Too slow, disconnected, or not a request: no answer is possible.
            pass
        finally:
            writer.transport.abort()

    async def _answer(self, head: bytes) -> bytes:
        method, path = _request(head)
        if not method:
            return _response(HTTPStatus.BAD_REQUEST)
        make = self._pages.get(path)
        if make is None:
            return _response(HTTPStatus.NOT_FOUND)
        if method not in _METHODS:
            return _response(HTTPStatus.METHOD_NOT_ALLOWED, f"Allow: {', '.join(_METHODS)}")
        status, body, content_type = await make()
        found = _response(status, f"Content-Type: {content_type}", length=len(body))
        return found + body if method == "GET" else found


def _request(head: bytes) -> tuple[str, str]:
    """The method and the path of a request; empty strings if it is not HTTP."""
    words = head.partition(b"\r\n")[0].decode("latin-1").split(" ")
    match words:
        case [method, target, version] if version.startswith("HTTP/1."):
            return method, target.partition("?")[0]
        case _:
            return "", ""


def _response(status: HTTPStatus, *headers: str, length: int = 0) -> bytes:
    lines = [
        f"HTTP/1.1 {status.value} {status.phrase}",
        *headers,
        f"Content-Length: {length}",
        "Connection: close",
        "",
        "",
    ]
    return "\r\n".join(lines).encode()
