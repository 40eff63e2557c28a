"""How much one sender may cost the server and other participants."""

import contextlib

import grpc
import pytest
from dyad.v1 import signaling_pb2 as pb
from dyad_server.grpc_api import bounds

from tests.conftest import ends, serving, token
from tests.support.ends import (
    End,
    ListenEnd,
    candidate,
    end_of,
    join,
    offer,
    pair,
)
from tests.support.http2 import LISTEN, SEND, SIGNAL, connected, message
from tests.support.until import until

EMPTY_FRAMES = b"\x0a\x00" * 262_000
RESOURCE_EXHAUSTED = str(grpc.StatusCode.RESOURCE_EXHAUSTED.value[0])


@pytest.mark.parametrize("path", [SIGNAL, LISTEN, SEND])
async def test_an_rpc_without_a_token_is_refused_before_its_message(path: str) -> None:
    async with serving() as server, connected(server.port) as mallory:
        # Only headers: the request message never comes.
        for stream in range(1, 201, 2):
            mallory.write(mallory.headers(stream, path=path))
        for stream in range(1, 201, 2):
            assert (await mallory.ended(stream))["grpc-status"] == "16", "UNAUTHENTICATED"


@pytest.mark.parametrize("path", [LISTEN, SEND])
async def test_an_rpc_whose_message_never_arrives_ends(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "FIRST_MESSAGE_SECONDS", 0.2)
    async with serving() as server, connected(server.port) as mallory:
        stream = mallory.call(token(), path)
        assert (await mallory.ended(stream))["grpc-status"] == "4", "DEADLINE_EXCEEDED"
        assert len(server.dyad.hub) == 0


async def test_a_user_has_a_bounded_number_of_requests_under_way() -> None:
    async with serving(max_streams_per_user=4) as server, connected(server.port) as mallory:
        streams = [mallory.call(token(), SEND) for _ in range(100)]
        await until(lambda: len(mallory.trailers) >= 84)
        await mallory.ping()
        refused = [stream for stream in streams if stream in mallory.trailers]
        assert refused == streams[16:]
        assert {mallory.trailers[s]["grpc-status"] for s in refused} == {RESOURCE_EXHAUSTED}
        # Requests that have ended no longer count.
        mallory.say(streams[0], pb.SendRequest(session_id="none"))
        assert (await mallory.ended(streams[0]))["grpc-status"] == "5", "NOT_FOUND"
        again = mallory.call(token(), SEND)
        mallory.say(again, pb.SendRequest(session_id="none"))
        assert (await mallory.ended(again))["grpc-status"] == "5", "NOT_FOUND"


async def test_a_request_counts_until_its_answer_is_read() -> None:
    async with (
        serving(max_streams_per_user=4) as server,
        ends(server, ListenEnd) as connect,
        connected(server.port, window=0) as deaf,
    ):
        alice = connect("alice")
        assert isinstance(alice, ListenEnd)
        await alice.send(join())
        heartbeat = pb.SendRequest(session_id=alice.session_id)
        for _ in range(100):
            stream = deaf.call(token("alice"), SEND)
            deaf.say(stream, heartbeat, end=True)
        await until(lambda: len(deaf.trailers) >= 84)
        await deaf.ping()
        assert len(deaf.trailers) == 84
        statuses = {trailers["grpc-status"] for trailers in deaf.trailers.values()}
        assert statuses == {RESOURCE_EXHAUSTED}


async def test_a_second_message_on_a_unary_rpc_is_ignored() -> None:
    async with serving() as server, ends(server, ListenEnd) as connect:
        alice, bob, room_id = await pair(connect)
        assert isinstance(alice, ListenEnd)
        async with connected(server.port) as second:
            stream = second.call(token("alice"), SEND)
            first, other = (
                pb.SendRequest(session_id=alice.session_id, frames=[offer(room_id, sdp)])
                for sdp in ("first", "second")
            )
            second.say(stream, first, other)
            assert (await second.ended(stream))["grpc-status"] == "0"
        await alice.send(offer(room_id, "third"))
        assert [(await bob.hear()).offer.sdp for _ in range(2)] == ["first", "third"]


async def test_a_message_with_too_many_frames_is_refused_unparsed(
    transport: type[End],
) -> None:
    async with serving() as server, ends(server, transport) as connect:
        alice, bob, room_id = await pair(connect)
        with contextlib.suppress(grpc.aio.AioRpcError):
            await alice.send(*(candidate(room_id, str(n)) for n in range(501)))
        told = await bob.hear()
        assert told.leave_room.reason == pb.LeaveRoom.REASON_DISCONNECTED
        ended = await alice.status()
        assert ended is not None
        assert ended.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.mark.parametrize(
    ("text", "times"),
    [(b"", 1000), (b"\x7a\x80\x80\x01" + b"x" * 16_384, 3)],
    ids=["empty", "large"],
)
async def test_messages_without_frames_count_too(text: bytes, times: int) -> None:
    # Everything fits into the window of the stream, so even a slow server receives it.
    async with serving(max_bytes_per_second=8192) as server, connected(server.port) as mallory:
        stream = mallory.call(token(), SIGNAL)
        mallory.say(stream, *[message(text)] * times)
        assert (await mallory.ended(stream))["grpc-status"] == RESOURCE_EXHAUSTED


async def test_rates_belong_to_the_user_not_to_the_connection(transport: type[End]) -> None:
    async with serving(max_frames_per_second=1) as server, ends(server, transport) as connect:
        first, second, other = connect("alice"), connect("alice"), connect("bob")
        await first.send(*(offer("") for _ in range(5)))
        assert (await first.hear()).HasField("error")
        # She has used her whole burst, so her second connection may send nothing more.
        ended = await end_of(second, *(offer("") for _ in range(5)))
        assert ended.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        await other.send(*(offer("") for _ in range(5)))
        assert (await other.hear()).HasField("error")


async def test_a_user_that_opens_streams_too_fast_is_refused(transport: type[End]) -> None:
    limits = {"max_opens_per_second": 0.001, "max_streams_per_user": 2}
    async with serving(**limits) as server, ends(server, transport) as connect:
        for _ in range(10):
            end = connect("alice")
            await end.send(join())
            await end.hear()
            end.cut()
            await until(lambda: len(server.dyad.hub) == 0)
        ended = await end_of(connect("alice"))
        assert ended.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        bob = connect("bob")
        await bob.send(join())
        assert (await bob.hear()).HasField("join_room")


async def test_all_streams_of_a_user_may_break_and_resume_at_once(
    transport: type[End],
) -> None:
    async with serving() as server, ends(server, transport) as connect:
        for _ in range(2):
            streams = [connect("alice") for _ in range(16)]
            for end in streams:
                await end.send(join())
            for end in streams:
                assert (await end.hear()).HasField("join_room")
            for end in streams:
                end.cut()
            await until(lambda: len(server.dyad.hub) == 0)
