"""Clients that send broken HTTP/2, too much of it, or no protobuf."""

import asyncio
import contextlib
import os
import secrets
import struct
from collections.abc import Callable, Iterator

from dyad.v1 import signaling_pb2 as pb
from hpack import Encoder
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    PushPromiseFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from tests.conftest import token
from tests.faults.site import Site, Watch
from tests.support.ends import join
from tests.support.http2 import LISTEN, PREFACE, SEND, SIGNAL, WINDOW, connected, message
from tests.support.until import PATIENCE

FLOOD = 20_000
HEADER_FLOOD = 1_000


def raw(kind: int, body: bytes, *, flags: int = 0, stream: int = 0, length: int = -1) -> bytes:
    """An HTTP/2 frame, valid or not."""
    size = len(body) if length < 0 else length
    return struct.pack(">I", size)[1:] + struct.pack(">BBI", kind, flags, stream) + body


def opening(more: int = 0) -> bytes:
    """The headers of an RPC, with `more` extra bytes."""
    pairs = [(":method", "POST"), (":scheme", "http"), (":path", SIGNAL), (":authority", "x")]
    pairs += [("te", "trailers"), ("content-type", "application/grpc")]
    pairs += [(f"x-{n}", "y" * 1000) for n in range(more // 1000)]
    return Encoder().encode(pairs, huffman=False)


def continued(block: bytes, stream: int = 1) -> Iterator[Frame]:
    """Headers in as many HTTP/2 frames as they need."""
    yield HeadersFrame(stream, block[:16_000])
    for at in range(16_000, len(block), 16_000):
        last = at + 16_000 >= len(block)
        flags = ["END_HEADERS"] if last else []
        yield ContinuationFrame(stream, block[at : at + 16_000], flags=flags)


# All that a client sends after the preface and its settings.
SAID: dict[str, Callable[[], list[Frame | bytes]]] = {
    "noise": lambda: [os.urandom(4096)],
    "half a frame": lambda: [DataFrame(1, b"x" * 100).serialize()[:50]],
    "a frame of 16 MiB": lambda: [raw(0, b"x" * 1000, stream=1, length=2**24 - 1)],
    "a frame of an unknown type": lambda: [raw(0xEE, b"x" * 100, stream=1)] * 1000,
    "data on stream 0": lambda: [raw(0, b"x")],
    "data on a stream that is not open": lambda: [DataFrame(7, b"x")],
    "headers on an even stream": lambda: [HeadersFrame(2, opening(), flags=["END_HEADERS"])],
    "headers that go back": lambda: [
        HeadersFrame(n, opening(), flags=["END_HEADERS"]) for n in (9, 3)
    ],
    "headers that HPACK does not know": lambda: [
        HeadersFrame(1, b"\xff\xff\xff\xff\xff", flags=["END_HEADERS"])
    ],
    "headers with nothing in them": lambda: [HeadersFrame(1, b"", flags=["END_HEADERS"])],
    "padding longer than its frame": lambda: [raw(1, b"\xff" + opening(), flags=0xC, stream=1)],
    "settings of half a setting": lambda: [raw(4, b"\x00\x03\x00")],
    "settings on a stream": lambda: [raw(4, b"", stream=1)],
    "a window of 2 GiB and more": lambda: [SettingsFrame(0, {4: 2**32 - 1})],
    "a window opened by nothing": lambda: [raw(8, struct.pack(">I", 0))],
    "a window opened too far": lambda: [WindowUpdateFrame(0, 2**31 - 1)] * 2,
    "a ping of 7 bytes": lambda: [raw(6, b"x" * 7)],
    "a reset of a stream that is not open": lambda: [RstStreamFrame(11)],
    "a push from a client": lambda: [PushPromiseFrame(1, 2, opening(), flags=["END_HEADERS"])],
    "a stream that depends on itself": lambda: [PriorityFrame(1, depends_on=1)],
    "a continuation of nothing": lambda: [ContinuationFrame(1, b"x", flags=["END_HEADERS"])],
    "something between headers and their end": lambda: [
        HeadersFrame(1, opening()),
        PingFrame(0, b"x" * 8),
    ],
    "headers of a megabyte": lambda: list(continued(opening(1_000_000))),
    "headers that never end": lambda: [
        HeadersFrame(1, opening()),
        *[ContinuationFrame(1, b"\x00\x01x" + b"\x7f\x81\x07" + b"y" * 1000)] * HEADER_FLOOD,
    ],
    "continuations of nothing, without end": lambda: [
        HeadersFrame(1, opening()),
        *[ContinuationFrame(1, b"")] * FLOOD,
    ],
    "a flood of settings": lambda: [SettingsFrame(0, {3: n}) for n in range(FLOOD)],
    "a flood of pings": lambda: [PingFrame(0, n.to_bytes(8)) for n in range(FLOOD)],
    "a flood of empty data": lambda: [
        HeadersFrame(1, opening(), flags=["END_HEADERS"]),
        *[DataFrame(1, b"")] * FLOOD,
    ],
    "a flood of priorities": lambda: [PriorityFrame(n * 2 + 1) for n in range(FLOOD)],
    "a flood of windows": lambda: [WindowUpdateFrame(0, 1)] * FLOOD,
}


GROWTH = 32 * 1024 * 1024


# What a client sends in place of the HTTP/2 preface.
BEGUN = {
    "HTTP/1.1": b"GET / HTTP/1.1\r\nhost: x\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01" + b"x" * 512,
    "half a preface": PREFACE[:10],
    "nothing": b"",
}
# Bytes in gRPC messages that are no message of the contract.
NO_MESSAGE = {
    "what protobuf does not know": message(b"\xff" * 100),
    "a field cut short": message(b"\x0a\x05ab"),
    "a field of 4 GiB": message(b"\x0a\xff\xff\xff\xff\x0f"),
    "groups in groups, unknown ones": message(b"\x7b" * 10_000 + b"\x7c" * 10_000),
    "groups that never end": message(b"\x7b" * 10_000),
    "text that is no UTF-8": message(b"\x0a\x04\x0a\x02\xff\xff"),
    "a number of 20 bytes": message(b"\x0a\x15\x18" + b"\xff" * 20),
}
# Bytes that are no gRPC message, or an empty one.
NO_GRPC = {
    "unknown fields": message(b"\x08\x01\x09" + b"x" * 8),
    "a message of 2 GiB": message(b"x", length=2**31),
    "a message over the limit": message(b"x" * 100, length=524_289),
    "a message that never ends": message(b"x" * 100, length=1000),
    "a message that says it is compressed": message(b"x" * 100, compressed=True),
    "half a prefix": b"\x00\x00",
}
GROWTH = 32 * 1024 * 1024
"""How much the server may grow: by its own buffers, and not by the size of a flood."""


async def test_broken_http2_harms_no_other_client(watched: Watch) -> None:
    async with watched() as site:
        before = site.process.memory_info().rss
        for what, frames in SAID.items():
            async with connected(site.port) as client:
                for n, frame in enumerate(frames()):
                    if client.closed:
                        break
                    client.write(frame)
                    if n % 100 == 0:
                        await client.drain()
                # The server may close it, keep it, or wait for the rest of a frame.
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(1):
                        await client.ping()
            assert await served(site), f"no new client is served after {what}"
        await site.empties()
        assert site.process.memory_info().rss - before < GROWTH


async def test_a_connection_that_is_not_http2_is_closed(watched: Watch) -> None:
    async with watched() as site:

        async def until_hung_up(said: bytes) -> None:
            reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
            writer.write(said)
            async with asyncio.timeout(PATIENCE):
                with contextlib.suppress(ConnectionError):
                    while await reader.read(WINDOW):
                        pass
            writer.close()

        await asyncio.gather(*(until_hung_up(said) for said in BEGUN.values()))
        await site.empties()


async def test_an_undecodable_path_is_refused_and_the_server_goes_on(watched: Watch) -> None:
    async with watched() as site:
        async with connected(site.port) as client:
            for stream in (1, 3, 5):
                client.write(client.headers(stream, path=b"/dyad.v1.Signaling/\xff"))
                assert (await client.ended(stream))["grpc-status"] == "12", "UNIMPLEMENTED"
        assert await served(site)


async def test_an_undecodable_header_is_refused_and_not_logged(watched: Watch) -> None:
    async with watched() as site, connected(site.port) as client:
        good = token().encode()
        client.write(client.headers(1, ("authorization", b"Bearer " + good + b"\xff")))
        assert (await client.ended(1))["grpc-status"] == "16", "UNAUTHENTICATED"
        client.write(client.headers(3, ("x-anything", b"\xff")))
        assert (await client.ended(3))["grpc-status"] == "16", "UNAUTHENTICATED"
        said = site.served.command.said
        assert good.decode() not in said
        assert "Traceback" not in said


async def test_an_undecodable_message_harms_no_other_client_and_is_not_logged(
    watched: Watch,
) -> None:
    async with watched() as site:
        for path in (SIGNAL, LISTEN, SEND):
            for what, body in (NO_MESSAGE | NO_GRPC).items():
                async with connected(site.port) as client:
                    client.say(client.call(token(), path), body, end=True)
                    async with asyncio.timeout(PATIENCE):
                        await client.ping()
                assert await served(site), f"no new client is served after {what}"
        await site.empties()
        assert "Traceback" not in site.served.command.said


async def test_a_stream_goes_on_after_an_undecodable_message(watched: Watch) -> None:
    async with watched() as site, connected(site.port) as client:
        for what, body in NO_MESSAGE.items():
            stream = client.call(token())
            client.say(stream, body)
            refused = (await client.hear(stream, pb.SignalResponse)).frames
            assert [f.error.code for f in refused] == [pb.Error.CODE_INVALID_FRAME], what
            client.say(stream, pb.SignalRequest(frames=[join()]))
            joined = (await client.hear(stream, pb.SignalResponse)).frames
            assert [f.WhichOneof("event") for f in joined] == ["join_room"], what


async def served(site: Site) -> bool:
    """Whether a new client is served."""
    async with connected(site.port) as client:
        # A new user each time: one user may not open so many streams.
        stream = client.call(token(f"new-{secrets.token_hex(8)}"))
        client.say(stream, pb.SignalRequest(frames=[join()]))
        answer = await client.hear(stream, pb.SignalResponse)
    return answer.frames[0].HasField("join_room")
