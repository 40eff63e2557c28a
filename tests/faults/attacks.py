"""An attacker with a few tokens, and everything that it can do to a server, all at once.

This is a program, so that it uses no time of the test's own process:
`python -m tests.faults.attacks SECONDS PORT METRICS_PORT TOKEN TOKEN TOKEN`. Each attack
repeats until the time is over and every attack has been tried. At the end the program
prints how often each was repeated, because an attack that never ran would prove nothing.
"""

import asyncio
import contextlib
import json
import os
import secrets
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import grpc
from dyad.v1 import signaling_pb2 as pb
from grpc_health.v1 import health_pb2
from hpack import Encoder
from hyperframe.frame import HeadersFrame

from tests.support.ends import SignalEnd, candidate, channel, join
from tests.support.http2 import LISTEN, PREFACE, SEND, SIGNAL, connected
from tests.support.seats import meet
from tests.support.services import CHECK, REFLECT, WATCH

EMPTY_FRAMES = b"\x0a\x00" * 262_000
"""A message just below the size limit, of empty frames."""
UNKNOWN = 15 << 3 | 2
"""The key of a field that the contract does not have."""
_PAUSE = 0.01
HOPS = ",".join(["10.1.2.3"] * 1500)
"""What a proxy writes into `x-forwarded-for`, a thousand times over."""
_MANY = 1000
# Longer than any attack takes against a healthy server.
_PATIENCE = 5.0
_LATE_SECONDS = 60.0
"""How much longer than the attacks their end may take."""
# The errors of a refused RPC, or of a write after its end.
_REFUSED = (grpc.RpcError, grpc.aio.BaseError, asyncio.InvalidStateError, EOFError)

Stream = grpc.aio.StreamStreamCall[bytes, bytes]


@dataclass
class Target:
    """A server under attack.

    Attributes:
        port: where it listens.
        metrics_port: where its metrics are.
        tokens: one for most attacks, two more for the attack that needs a pair.
        until: when the attacks may end, in monotonic seconds.
        done: how often each attack was repeated.
    """

    port: int
    metrics_port: int
    tokens: list[str]
    until: float
    done: Counter[str] = field(default_factory=Counter)

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        return (("authorization", f"Bearer {self.tokens[0]}"),)

    def over(self) -> bool:
        return time.monotonic() >= self.until and len(self.done) == len(ATTACKS)


def unknown_field(size: int) -> bytes:
    """A message with one unknown field of this size."""
    length = bytearray()
    rest = size
    while rest > 0x7F:
        length.append(rest & 0x7F | 0x80)
        rest >>= 7
    return bytes([UNKNOWN]) + bytes(length) + bytes([rest]) + b"x" * size


@asynccontextmanager
async def raw_stream(target: Target, path: str = SIGNAL) -> AsyncIterator[Stream]:
    """A stream that sends raw bytes as messages."""
    async with channel(target.port) as own:
        call: Stream = own.stream_stream(path)(metadata=target.metadata)
        with contextlib.suppress(*_REFUSED):
            yield call
        call.cancel()


async def empty_frames(target: Target) -> None:
    """A quarter of a million frames in one message."""
    async with raw_stream(target) as call:
        while True:
            await call.write(EMPTY_FRAMES)


async def empty_messages(target: Target) -> None:
    """Empty messages, as fast as possible."""
    async with raw_stream(target) as call:
        while not target.over():
            await call.write(b"")


async def unknown_fields(target: Target) -> None:
    """Messages of 100 kB without a frame."""
    async with raw_stream(target) as call:
        while not target.over():
            await call.write(unknown_field(100_000))


async def luggage(target: Target) -> None:
    """Small candidates for a disconnected peer, each with 100 kB of an unknown field."""
    async with channel(target.port) as own, channel(target.port) as other:
        alice, bob = SignalEnd(own, target.tokens[1]), SignalEnd(other, target.tokens[2])
        room_id, _, _ = await meet(alice, bob)
        await other.close()
        for number in range(_MANY):
            frame = candidate(room_id, "x" * 50, seq=2 + number)
            body = pb.SignalRequest(frames=[frame]).SerializeToString() + unknown_field(100_000)
            await alice.call.write(pb.SignalRequest.FromString(body))


async def headers_only(target: Target, path: str, *more: tuple[str, str]) -> None:
    """The headers of a thousand RPCs, without a token or a message."""
    async with connected(target.port) as client:
        # Encoded once: to compress 15 kB takes longer than to send it.
        pairs = [(":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "x")]
        pairs += [("content-type", "application/grpc"), ("te", "trailers"), *more]
        block = Encoder().encode(pairs, huffman=False)
        for number in range(_MANY):
            client.write(HeadersFrame(2 * number + 1, block, flags=["END_HEADERS"]))
            if number % 50 == 0:
                await client.drain()
        await client.ping()


async def watchers(target: Target) -> None:
    """Health watches with empty windows and long names."""
    async with connected(target.port, window=0) as client:
        name = health_pb2.HealthCheckRequest(service="x" * 10_000)
        for number in range(100):
            stream = 2 * number + 1
            client.write(client.headers(stream, path=WATCH))
            client.say(stream, name if number % 2 else b"\0\0\0\0\0", end=True)
            await client.drain()
        await asyncio.sleep(_PAUSE)


async def bad_paths(target: Target) -> None:
    """Undecodable paths and unknown methods."""
    async with connected(target.port) as client:
        for number in range(100):
            path = b"/\xff\xfe" if number % 2 else f"/{secrets.token_hex(8)}/x".encode()
            client.write(client.headers(2 * number + 1, path=path))
        await client.ping()


async def bad_tokens(target: Target) -> None:
    """Invalid tokens that look valid."""
    async with channel(target.port) as own:
        for _ in range(20):
            header, claims, _ = target.tokens[0].split(".")
            forged = f"{header}.{claims}.{secrets.token_urlsafe(32)}"
            call: Stream = own.stream_stream(LISTEN)(
                metadata=(("authorization", f"Bearer {forged}"),)
            )
            with contextlib.suppress(*_REFUSED):
                await call.read()


async def bogus_resumes(target: Target) -> None:
    """Streams that resume seats that never existed."""
    async with channel(target.port) as own:
        for _ in range(20):
            end = SignalEnd(own, target.tokens[0])
            asked = pb.JoinRoom(resumable=True, resume_token=secrets.token_urlsafe(32))
            with contextlib.suppress(*_REFUSED):
                await end.send(
                    pb.Frame(room_id="00000000-0000-4000-8000-000000000000", join_room=asked)
                )
                await end.hear()
            end.cut()


async def foreign_sends(target: Target) -> None:
    """Sends for sessions of other nodes, and for sessions that do not exist."""
    async with channel(target.port) as own:
        send: grpc.aio.UnaryUnaryMultiCallable[pb.SendRequest, bytes] = own.unary_unary(
            SEND, request_serializer=pb.SendRequest.SerializeToString
        )
        for _ in range(20):
            session = f"{secrets.token_hex(8)}.{secrets.token_urlsafe(24)}"
            request = pb.SendRequest(session_id=session, frames=[join()] * 10)
            with contextlib.suppress(*_REFUSED):
                await send(request, metadata=target.metadata, timeout=1)


async def idle_connections(target: Target) -> None:
    """Connections that send nothing, or an unfinished handshake."""
    async with contextlib.AsyncExitStack() as stack:
        for number in range(200):
            if target.over():
                return
            _, writer = await asyncio.open_connection(
                "127.0.0.1", target.port, local_addr=("127.0.0.2", 0)
            )
            stack.callback(writer.transport.abort)
            writer.write(PREFACE[: number % 3 * 12])
        await asyncio.sleep(1)


async def half_scrapes(target: Target) -> None:
    """Metrics requests that never complete."""
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(100):
            _, writer = await asyncio.open_connection("127.0.0.1", target.metrics_port)
            stack.callback(writer.transport.abort)
            writer.write(b"GET /metrics HTTP/1.1\r\nx: ")
        await asyncio.sleep(1)


Attack = Callable[[Target], Awaitable[None]]
ATTACKS: dict[str, Attack] = {
    "empty frames": empty_frames,
    "empty messages": empty_messages,
    "unknown fields": unknown_fields,
    "luggage": luggage,
    "headers of Send": lambda target: headers_only(target, SEND),
    "headers of Listen": lambda target: headers_only(target, LISTEN),
    "headers of Check": lambda target: headers_only(target, CHECK),
    "headers of reflection": lambda target: headers_only(target, REFLECT),
    "long headers": lambda target: headers_only(target, SIGNAL, ("x-long", "y" * 15_000)),
    "long addresses": lambda target: headers_only(target, SIGNAL, ("x-forwarded-for", HOPS)),
    "watchers": watchers,
    "bad paths": bad_paths,
    "bad tokens": bad_tokens,
    "bogus resumes": bogus_resumes,
    "foreign sends": foreign_sends,
    "idle connections": idle_connections,
    "half scrapes": half_scrapes,
}
COPIES = 4
"""How many copies of each attack run at once."""


async def _repeat(name: str, attack: Attack, target: Target) -> None:
    while not target.over():
        # Whatever the server answers, the attack goes on.
        with contextlib.suppress(*_REFUSED, OSError, AssertionError):
            async with asyncio.timeout(_PATIENCE):
                await attack(target)
        target.done[name] += 1
        await asyncio.sleep(_PAUSE)


async def _main(seconds: float, port: int, metrics_port: int, *tokens: str) -> None:
    target = Target(port, metrics_port, list(tokens), time.monotonic() + seconds)
    attacking = {
        asyncio.create_task(_repeat(name, attack, target), name=name)
        for name, attack in ATTACKS.items()
        for _ in range(COPIES)
    }
    ended, stuck = await asyncio.wait(
        attacking, timeout=seconds + _LATE_SECONDS, return_when=asyncio.FIRST_EXCEPTION
    )
    for task in ended:
        task.result()
    if stuck:
        print("never ended:", *sorted({task.get_name() for task in stuck}))
    print(json.dumps(target.done), flush=True)
    if stuck:
        # They do not end when they are cancelled either: that was seen on a busy machine.
        os._exit(0)


if __name__ == "__main__":
    asyncio.run(_main(float(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:]))
