"""HTTP/2 written by hand, for clients that behave as no gRPC library would."""

import asyncio
import contextlib
import struct
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar

from dyad.v1 import signaling_pb2 as pb
from google.protobuf.message import Message
from hpack import Decoder, Encoder
from hyperframe.frame import (
    DataFrame,
    Frame,
    HeadersFrame,
    PingFrame,
    RstStreamFrame,
    SettingsFrame,
)

from tests.support.until import PATIENCE

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
WINDOW = 65535
"""The bytes that each side may send at first: on a connection, and by default on a stream."""
SIGNAL = "/dyad.v1.Signaling/Signal"
LISTEN = "/dyad.v1.Signaling/Listen"
SEND = "/dyad.v1.Signaling/Send"
M = TypeVar("M", bound=Message)
# A message of one of these types without frames is a heartbeat.
_BEATING: set[type[Message]] = {pb.SignalResponse, pb.ListenResponse}
_FRAME_HEADER = 9
_FRAME = 16_384


def message(body: Message | bytes, *, compressed: bool = False, length: int | None = None) -> bytes:
    """A gRPC message; `length` is the length in its prefix, and may be wrong."""
    data = body if isinstance(body, bytes) else body.SerializeToString()
    return struct.pack(">BI", compressed, len(data) if length is None else length) + data


class Http2:
    """A connection to a server on this host.

    It answers pings and settings, and does nothing else by itself. It never enlarges
    its windows, so the server may send only as much as they allow at first.

    Attributes:
        heard: the bytes received on each stream, by its number.
        trailers: the headers that ended each stream; empty if it was reset.
        closed: whether the server has closed the connection.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heard: defaultdict[int, bytearray] = defaultdict(bytearray)
        self.trailers: dict[int, dict[str, str]] = {}
        self.closed = False
        self._reader = reader
        self._writer = writer
        self._encoder = Encoder()
        self._decoder = Decoder()
        self._next_stream = 1
        self._pongs = 0
        self._news = asyncio.Event()
        self._reading = asyncio.create_task(self._read())

    def write(self, *frames: Frame | bytes) -> None:
        """Send these frames in order, unchecked."""
        self._writer.writelines(
            frame if isinstance(frame, bytes) else frame.serialize() for frame in frames
        )

    async def drain(self) -> None:
        """Wait until everything is sent, or the server has disconnected."""
        with contextlib.suppress(ConnectionError):
            await self._writer.drain()

    def headers(
        self, stream: int, *more: tuple[str | bytes, str | bytes], path: str | bytes = SIGNAL
    ) -> HeadersFrame:
        """The headers of an RPC, without a token."""
        frame = HeadersFrame(stream, flags=["END_HEADERS"])
        frame.data = self._encoder.encode(
            [
                (":method", "POST"),
                (":scheme", "http"),
                (":path", path),
                (":authority", "127.0.0.1"),
                ("content-type", "application/grpc"),
                ("te", "trailers"),
                *more,
            ]
        )
        return frame

    def call(self, token: str, path: str | bytes = SIGNAL) -> int:
        """Begin an RPC, without a token if `token` is empty; returns the number of its stream."""
        stream = self._next_stream
        self._next_stream += 2
        proof = [("authorization", f"Bearer {token}")] if token else []
        self.write(self.headers(stream, *proof, path=path))
        return stream

    def say(self, stream: int, *bodies: Message | bytes, end: bool = False) -> None:
        """Send these gRPC messages on a stream."""
        data = b"".join(body if isinstance(body, bytes) else message(body) for body in bodies)
        while len(data) > _FRAME:
            self.write(DataFrame(stream, data[:_FRAME]))
            data = data[_FRAME:]
        self.write(DataFrame(stream, data, flags=["END_STREAM"] if end else []))

    async def ping(self) -> None:
        """Wait until the server has answered a ping, and so has read everything, or is gone."""
        self._pongs = 0
        self.write(PingFrame(0, b"answered"))
        while not self._pongs and not self.closed:
            await self._more()

    async def hear(self, stream: int, kind: type[M]) -> M:
        """The next message on a stream, of this type, ignoring heartbeats."""
        while not (body := await self._body(stream)) and kind in _BEATING:
            pass
        return kind.FromString(body)

    async def _body(self, stream: int) -> bytes:
        data = self.heard[stream]
        async with asyncio.timeout(PATIENCE):
            while len(data) < 5 or len(data) < 5 + int.from_bytes(data[1:5]):
                assert stream not in self.trailers, f"the stream ended: {self.trailers[stream]}"
                await self._more()
        size = 5 + int.from_bytes(data[1:5])
        body = bytes(data[5:size])
        del data[:size]
        return body

    async def ended(self, stream: int) -> dict[str, str]:
        """Wait for the end of a stream; returns its trailers, or {} if it was reset."""
        async with asyncio.timeout(PATIENCE):
            while stream not in self.trailers and not self.closed:
                await self._more()
        return self.trailers.get(stream, {})

    def stop_reading(self) -> None:
        """Stop reading, so that even pings stay unanswered."""
        self._reading.cancel()

    async def close(self) -> None:
        """Close the connection, and drop everything that was not sent yet."""
        self._writer.transport.abort()
        await asyncio.wait({self._reading})

    async def _more(self) -> None:
        self._news.clear()
        await self._news.wait()

    async def _read(self) -> None:
        try:
            while True:
                head = await self._reader.readexactly(_FRAME_HEADER)
                frame, length = Frame.parse_frame_header(memoryview(head))
                frame.parse_body(memoryview(await self._reader.readexactly(length)))
                self._receive(frame)
                self._news.set()
        except (OSError, asyncio.IncompleteReadError):
            self.closed = True
            self._news.set()

    def _receive(self, frame: Frame) -> None:
        match frame:
            case PingFrame() if "ACK" not in frame.flags:
                self.write(PingFrame(0, frame.opaque_data, flags=["ACK"]))
            case PingFrame():
                self._pongs += 1
            case SettingsFrame() if "ACK" not in frame.flags:
                self.write(SettingsFrame(0, flags=["ACK"]))
            case DataFrame():
                self.heard[frame.stream_id] += frame.data
            case HeadersFrame():
                headers = {
                    name.decode(): value.decode()
                    for name, value in self._decoder.decode(frame.data, raw=True)
                }
                if "END_STREAM" in frame.flags:
                    self.trailers[frame.stream_id] = headers
            case RstStreamFrame():
                self.trailers.setdefault(frame.stream_id, {})
            case _:
                pass


@asynccontextmanager
async def connected(
    port: int, *, window: int = WINDOW, source: str = "127.0.0.1"
) -> AsyncIterator[Http2]:
    """A connection whose streams have a window of `window` bytes and are never read."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))
    connection = Http2(reader, writer)
    connection.write(PREFACE, SettingsFrame(0, {SettingsFrame.INITIAL_WINDOW_SIZE: window}))
    try:
        yield connection
    finally:
        await connection.close()
