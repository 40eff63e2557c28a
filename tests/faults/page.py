"""A page without a browser: grpc-web over HTTP/1.1, which can fail as no browser lets it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from dyad.v1 import signaling_pb2 as pb
from google.protobuf.message import Message

from tests.support.http2 import LISTEN, SEND, message
from tests.support.until import PATIENCE

_PREFIX = 5


class Answer:
    """A streamed response: its gRPC messages in order."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._come = bytearray()

    async def read(self) -> bytes:
        """The next message.

        Raises:
            asyncio.IncompleteReadError: the connection is gone.
        """
        async with asyncio.timeout(PATIENCE):
            while len(self._come) < _PREFIX or len(self._come) < self._size():
                self._come += await self._piece()
        size = self._size()
        body = bytes(self._come[_PREFIX:size])
        del self._come[:size]
        return body

    def stop_reading(self) -> None:
        """Stop reading, so that data waits at the proxy."""
        transport = self._writer.transport
        assert isinstance(transport, asyncio.Transport)
        transport.pause_reading()

    def leave(self) -> None:
        """Disconnect, as a browser does when its tab is closed."""
        self._writer.transport.abort()

    def _size(self) -> int:
        return _PREFIX + int.from_bytes(self._come[1:_PREFIX])

    async def _piece(self) -> bytes:
        size = int(await self._reader.readuntil(b"\r\n"), 16)
        return (await self._reader.readexactly(size + 2))[:-2]


@asynccontextmanager
async def post(port: int, path: str, token: str, body: Message) -> AsyncIterator[Answer]:
    """Send an RPC through the proxy on `port`, on its own connection."""
    data = message(body)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nauthorization: Bearer {token}\r\n"
        "content-type: application/grpc-web+proto\r\nx-grpc-web: 1\r\n"
        f"content-length: {len(data)}\r\n\r\n".encode()
        + data
    )
    answer = Answer(reader, writer)
    try:
        async with asyncio.timeout(PATIENCE):
            head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 "), head
        yield answer
    finally:
        answer.leave()


@asynccontextmanager
async def joined(port: int, token: str, room_id: str) -> AsyncIterator[Answer]:
    """A page's `Listen` that has joined this room."""
    async with post(port, LISTEN, token, pb.ListenRequest()) as listening:
        session_id = pb.ListenResponse.FromString(await listening.read()).session_id
        frame = pb.Frame(room_id=room_id, seq=1, join_room=pb.JoinRoom())
        sent = pb.SendRequest(session_id=session_id, frames=[frame])
        async with post(port, SEND, token, sent) as sending:
            await sending.read()
        await listening.read()
        yield listening
