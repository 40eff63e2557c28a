"""What a client that sends too much costs the server and other clients."""

import asyncio
from typing import Any

import grpc
import pytest
from dyad.v1 import signaling_pb2 as pb
from dyad_server.grpc_api.servicer import SERVICE

from tests.conftest import token
from tests.faults.site import UNBOUND, Watch
from tests.support.ends import ListenEnd, candidate, channel
from tests.support.http2 import SEND, connected
from tests.support.seats import meet
from tests.support.until import PATIENCE, until

MIB = 2**20
EMPTY_FRAMES = 262_000
ROUNDS = 4


async def refused(call: Any) -> grpc.StatusCode:
    """The error of a stream that sent too much."""
    try:
        while await call.read() is not grpc.aio.EOF:
            pass
    except grpc.aio.AioRpcError:
        pass
    code: grpc.StatusCode = await call.code()
    return code


@pytest.mark.parametrize("at_once", [1, 16])
@pytest.mark.parametrize("kind", ["Signal", "Send"])
async def test_a_message_with_262_000_frames_delays_no_other_participant(
    watched: Watch, kind: str, at_once: int
) -> None:
    async with (
        watched("--max-opens-per-second", "1000") as site,
        channel(site.port) as own,
        site.end("mallory", ListenEnd) as mallory,
    ):
        assert isinstance(mallory, ListenEnd)
        metadata = mallory.metadata

        async def signal() -> grpc.StatusCode:
            call: Any = own.stream_stream(f"/{SERVICE}/Signal")(metadata=metadata)
            await call.write(b"\x0a\x00" * EMPTY_FRAMES)
            return await refused(call)

        async def send() -> grpc.StatusCode:
            session = pb.SendRequest(session_id="x" * 32).SerializeToString()
            sending: Any = own.unary_unary(f"/{SERVICE}/Send")
            call = sending(session + b"\x12\x00" * EMPTY_FRAMES, metadata=metadata)
            code: grpc.StatusCode = await call.code()
            return code

        for _ in range(ROUNDS):
            attack = signal if kind == "Signal" else send
            codes = await asyncio.gather(*(attack() for _ in range(at_once)))
            assert set(codes) == {grpc.StatusCode.RESOURCE_EXHAUSTED}


async def test_a_small_frame_does_not_keep_its_large_message_in_memory(watched: Watch) -> None:
    beside = b"\x7a\x80\xa0\x1f" + bytes(500 * 1024)  # field 15, which the contract does not have
    async with (
        watched(*UNBOUND) as site,
        site.end("alice") as alice,
        site.end("bob") as bob,
    ):
        room_id, _, _ = await meet(alice, bob)
        before = site.process.memory_info().rss
        for n in range(200):
            frame = candidate(room_id, "x" * 50, seq=n + 2)
            packed = pb.SignalRequest(frames=[frame]).SerializeToString()
            await alice.call.write(pb.SignalRequest.FromString(packed + beside))
            # Bob reads and acknowledges nothing, so that all of it is kept for him.
            assert (await bob.hear()).HasField("ice_candidate")
        assert site.process.memory_info().rss - before < 24 * MIB


async def test_rpcs_without_a_token_use_no_memory(watched: Watch) -> None:
    async with watched() as site, connected(site.port) as mallory:

        async def calls(first: int) -> int:
            """Begin 2,000 RPCs, wait until all are over, and return the server's memory."""
            streams = range(first, first + 4000, 2)
            for stream in streams:
                mallory.write(mallory.headers(stream, path=SEND))
                await mallory.drain()
            codes = {(await mallory.ended(stream)).get("grpc-status") for stream in streams}
            # gRPC cancels RPCs beyond the 100 that may wait to be served, and resets those
            # beyond the 200 of a connection.
            assert codes <= {"16", "1", None}, "UNAUTHENTICATED or CANCELLED, or reset"
            rss: int = site.process.memory_info().rss
            return rss

        warm = await calls(1)
        assert await calls(4001) - warm < 16 * MIB


async def test_a_user_can_keep_a_bounded_number_of_requests_open(watched: Watch) -> None:
    async with watched() as site, connected(site.port) as mallory:
        mine = token("mallory")

        async def calls(begun: int) -> int:
            """Begin 2,000 more, wait until all but 64 are over, and return the server's memory."""
            for _ in range(2000):
                mallory.call(mine, SEND)
                await mallory.drain()
            await until(lambda: len(mallory.trailers) >= begun + 1936, PATIENCE)
            rss: int = site.process.memory_info().rss
            return rss

        warm = await calls(0)
        assert await calls(2000) - warm < 16 * MIB
