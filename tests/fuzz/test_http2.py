"""For any bytes on a connection, the server keeps running and no other client notices."""

import asyncio
import contextlib
import random

import pytest
from dyad.v1 import signaling_pb2 as pb
from hpack import Encoder
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from tests.conftest import token
from tests.faults.site import site
from tests.fuzz import budget
from tests.fuzz.frames import mutated
from tests.support.ends import SignalEnd, candidate, channel, join, leave
from tests.support.http2 import LISTEN, PREFACE, SEND, SIGNAL, message

AT_ONCE = 5
LINGER = 0.01
"""How long a client waits for an answer before it disconnects, in seconds."""


def opening(rng: random.Random, proof: str) -> bytes:
    """The headers of an RPC."""
    headers = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", rng.choice((SIGNAL, LISTEN, SEND, "/x/y", "\0"))),
        (":authority", "x"),
        ("te", "trailers"),
        ("content-type", "application/grpc"),
        ("authorization", f"Bearer {proof}"),
        ("grpc-timeout", rng.choice(("1S", "1n", "99999999H", "x", "-1S"))),
    ]
    return Encoder().encode(headers[: rng.choice((8, 8, 7, 7, 7, rng.randrange(9)))])


def some_frame(rng: random.Random, proof: str) -> Frame:
    """A frame of any type and on any stream, valid or not."""
    stream = rng.choice((1, 1, 3, 5, 2, 2**31 - 1))
    said = pb.SignalRequest(frames=[join(seq=1), candidate("", "x", seq=2), leave("")])
    body = rng.choice((message(said), message(said, length=rng.randrange(2**32)), b"", b"\x01" * 9))
    ends = rng.choice(([], [], ["END_STREAM"]))
    return rng.choice(
        (
            HeadersFrame(stream, opening(rng, proof), flags=["END_HEADERS", *ends]),
            HeadersFrame(stream, opening(rng, proof), flags=["END_HEADERS", *ends]),
            HeadersFrame(stream, opening(rng, proof), flags=ends),
            ContinuationFrame(stream, opening(rng, proof), flags=["END_HEADERS"]),
            DataFrame(stream, body, flags=ends),
            DataFrame(stream, body, flags=ends),
            RstStreamFrame(stream, error_code=rng.randrange(20)),
            PriorityFrame(stream, depends_on=rng.choice((0, 1, 3))),
            WindowUpdateFrame(rng.choice((0, stream)), rng.choice((1, 2**31 - 1))),
            SettingsFrame(0, {rng.randrange(1, 9): rng.choice((0, 1, 2**14, 2**31, 2**32 - 1))}),
            SettingsFrame(0, flags=["ACK"]),
            PingFrame(0, rng.randbytes(8), flags=rng.choice(([], ["ACK"]))),
            GoAwayFrame(0, last_stream_id=1, error_code=rng.randrange(20)),
        )
    )


def conversation(rng: random.Random, proof: str) -> bytes:
    """A client's bytes: frames in any order, with some bytes changed."""
    frames = [some_frame(rng, proof).serialize() for _ in range(rng.randrange(1, 12))]
    said = SettingsFrame(0).serialize() + b"".join(frames)
    return PREFACE + (mutated(rng, said) if rng.random() < 0.5 else said)


async def new_call(port: int, proof: str) -> None:
    async with channel(port) as own:
        end = SignalEnd(own, proof)
        await end.send(join())
        assert (await end.hear()).HasField("join_room")
        end.cut()


@pytest.mark.long
@pytest.mark.xdist_group("busy")
@pytest.mark.timeout(0)
async def test_no_bytes_stop_the_server() -> None:
    proof = token("fuzz", ttl=3600)
    numbers = iter(range(budget.OF_HTTP2))
    # Other tests cover the limits: here no connection may be refused because of them.
    async with site("--max-streams-per-user", "1000000") as served:

        async def converse() -> None:
            for n in numbers:
                said = conversation(random.Random(f"{budget.SEED} HTTP/2 {n}"), proof)
                reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
                writer.write(said)
                with contextlib.suppress(TimeoutError, ConnectionError):
                    async with asyncio.timeout(LINGER):
                        while await reader.read(65536):
                            pass
                writer.transport.abort()

        # This makes the token known: the server soon refuses unknown tokens from this address.
        await new_call(served.port, proof)
        await asyncio.gather(*(converse() for _ in range(AT_ONCE)))
        await new_call(served.port, proof)
        await served.empties()
        assert "Traceback" not in served.served.command.said
    budget.said(
        budget.OF_HTTP2, f"HTTP/2, p99 of other clients {served.background.p99 * 1000:.1f} ms"
    )
