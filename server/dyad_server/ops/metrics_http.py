"""Serves the metrics over HTTP, with bounds on connections and time."""

import asyncio
from collections.abc import Callable
from http import HTTPStatus

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from dyad_server.ops import bounds

PATH = "/metrics"

_METHODS = ("GET", "HEAD")


class MetricsServer:
    """An HTTP/1.1 server in the running loop that answers `GET /metrics`.

    A connection carries one request and lasts at most five seconds. With more than 16
    connections the oldest is closed, so that unfinished requests cannot block a scrape.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._server: asyncio.Server | None = None
        # Oldest first.
        self._connections: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def start(self, host: str, port: int) -> int:
        """Listen, and return the port; the system picks one if `port` is 0.

        Raises:
            OSError: the port is in use, or the address is not this host's.
        """
        self._server = await asyncio.start_server(
            self._accept, host.strip("[]"), port, limit=bounds.METRICS_REQUEST_BYTES
        )
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
                writer.write(_answer(head, lambda: generate_latest(self._registry)))
                await writer.drain()
                writer.close()
                await writer.wait_closed()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            # Too slow, disconnected, or not a request: no answer is possible.
            pass
        finally:
            writer.transport.abort()


def _answer(head: bytes, metrics: Callable[[], bytes]) -> bytes:
    method, path = _request(head)
    if not method:
        return _response(HTTPStatus.BAD_REQUEST)
    if path != PATH:
        return _response(HTTPStatus.NOT_FOUND)
    if method not in _METHODS:
        return _response(HTTPStatus.METHOD_NOT_ALLOWED, f"Allow: {', '.join(_METHODS)}")
    body = metrics()
    found = _response(HTTPStatus.OK, f"Content-Type: {CONTENT_TYPE_LATEST}", length=len(body))
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
