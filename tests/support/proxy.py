"""A TCP proxy between a client and the server that fails as networks fail."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Sequence
from enum import Enum
from types import TracebackType
from typing import Self

from tests.support.ports import free_port

_CHUNK = 65536
_BACKLOG = 16
# SO_LINGER with 0 seconds: closing resets the connection.
_RESET = struct.pack("ii", 1, 0)


class Way(Enum):
    """One direction of a connection."""

    OUT = "from the client"
    BACK = "to the client"


class Proxy:
    """Forwards connections to `127.0.0.1:target`. It starts with `async with`.

    Attributes:
        target: the port to which new connections are forwarded.
        port: its own port on 127.0.0.1; `refuse` and `accept` keep it.
        accepted: the number of connections so far.
    """

    def __init__(self, target: int, *, delay: float = 0.0) -> None:
        """Forward to a port, and hold everything back for `delay` seconds each way."""
        self.target = target
        self._delay = delay
        self.port = 0
        self.accepted = 0
        self._stalled: tuple[Way, ...] = ()
        self._links: set[_Link] = set()
        self._listener: socket.socket | None = None
        self._accepting: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self.accept()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.refuse()
        await self.cut()

    async def cut(self, *, half_open: bool = False) -> None:
        """Reset every connection; both sides notice at once.

        Args:
            half_open: reset the client's side only. The server's side stays open and
                silent until the next `cut`, as if a network had lost the client.
        """
        for link in tuple(self._links):
            await link.cut(half_open=half_open)
            if not half_open:
                self._links.discard(link)

    def stall(self, *ways: Way, new: bool = True) -> None:
        """Forward nothing; all connections stay open.

        Args:
            ways: the directions to stall; by default both.
            new: whether to stall later connections too.
        """
        ways = ways or tuple(Way)
        self._stalled = ways if new else ()
        for link in self._links:
            link.stall(ways)

    def resume_forwarding(self) -> None:
        """End `stall`: the delayed bytes are forwarded without loss."""
        self._stalled = ()
        for link in self._links:
            link.resume()

    async def refuse(self) -> None:
        """Refuse new connections (ECONNREFUSED); existing ones stay."""
        if self._accepting is not None and self._listener is not None:
            await _stopped(self._accepting)
            self._listener.close()
            self._accepting = self._listener = None

    async def accept(self) -> None:
        """End `refuse`."""
        if self._listener is None:
            self.port = self.port or free_port()
            self._listener = socket.create_server(("127.0.0.1", self.port), backlog=_BACKLOG)
            self._listener.settimeout(0)
            self._accepting = asyncio.create_task(self._accept(self._listener))

    def lead(self) -> Sequence[int]:
        """The ports to which the next connection may go: the first that accepts gets it."""
        return [self.target]

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            client, _ = await loop.sock_accept(listener)
            self.accepted += 1
            link = _Link(client, self.lead(), self._delay)
            link.stall(self._stalled)
            self._links.add(link)


class _Link:
    """A connection of a client, and the connection to the server that continues it."""

    def __init__(self, client: socket.socket, targets: Sequence[int], delay: float) -> None:
        self._delay = delay
        self._flowing = {way: asyncio.Event() for way in Way}
        self.resume()
        self._client = _prompt(client)
        self._server = _prompt(socket.socket())
        self._forwarding = asyncio.create_task(self._forward(targets))

    def stall(self, ways: tuple[Way, ...]) -> None:
        for way in ways:
            self._flowing[way].clear()

    def resume(self) -> None:
        for flowing in self._flowing.values():
            flowing.set()

    async def cut(self, *, half_open: bool) -> None:
        await _stopped(self._forwarding)
        for end in (self._client,) if half_open else (self._client, self._server):
            if end.fileno() >= 0:
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                end.close()

    async def _connect(self, targets: Sequence[int]) -> None:
        loop = asyncio.get_running_loop()
        *others, last = targets
        for target in others:
            with contextlib.suppress(ConnectionRefusedError):
                await loop.sock_connect(self._server, ("127.0.0.1", target))
                return
            self._server.close()
            self._server = _prompt(socket.socket())
        await loop.sock_connect(self._server, ("127.0.0.1", last))

    async def _forward(self, targets: Sequence[int]) -> None:
        try:
            await self._connect(targets)
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pump(self._client, self._server, Way.OUT))
                both.create_task(self._pump(self._server, self._client, Way.BACK))
        except* OSError:
            pass  # One side reset its connection: closing resets the other.
        self._client.close()
        self._server.close()

    async def _pump(self, source: socket.socket, sink: socket.socket, way: Way) -> None:
        loop = asyncio.get_running_loop()
        while chunk := await loop.sock_recv(source, _CHUNK):
            await self._flowing[way].wait()
            await asyncio.sleep(self._delay)
            await loop.sock_sendall(sink, chunk)
        sink.shutdown(socket.SHUT_WR)


def _prompt(end: socket.socket) -> socket.socket:
    end.settimeout(0)
    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return end


async def _stopped(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait({task})
