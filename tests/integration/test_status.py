"""Every status of the contract, caused over each transport that can end with it."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest
from dyad.v1 import signaling_pb2 as pb
from dyad_server.errors import SeatLost
from dyad_server.grpc_api import codec
from dyad_server.grpc_api.status import STATUS
from dyad_server.server import Server
from grpc import StatusCode
from hyperframe.frame import WindowUpdateFrame

from tests.conftest import ends, serving, token
from tests.support.ends import End, ListenEnd, SignalEnd, end_of, join, offer, pair
from tests.support.http2 import LISTEN, SIGNAL, WINDOW, connected
from tests.support.until import until

BOTH = (SignalEnd, ListenEnd)
Error = grpc.aio.AioRpcError
Connect = Callable[..., End]


async def an_expired_token(server: Server, connect: Connect) -> Error:
    return await end_of(connect("alice", ttl=-60))


async def a_room_other_than_that_of_the_token(server: Server, connect: Connect) -> Error:
    return await end_of(connect("alice", room=str(uuid.uuid4())), join(str(uuid.uuid4())))


async def a_token_with_a_room_that_is_not_a_uuid(server: Server, connect: Connect) -> Error:
    return await end_of(connect("alice", room="the kitchen"), join())


async def send(end: ListenEnd, session_id: str) -> Error:
    with pytest.raises(Error) as refused:
        await end.stub.Send(pb.SendRequest(session_id=session_id), metadata=end.metadata)
    return refused.value


async def an_unknown_session(server: Server, connect: Connect) -> Error:
    mallory = connect("mallory")
    assert isinstance(mallory, ListenEnd)
    return await send(mallory, "no-such-session")


async def the_session_of_another_user(server: Server, connect: Connect) -> Error:
    alice, mallory = connect("alice"), connect("mallory")
    assert isinstance(alice, ListenEnd)
    assert isinstance(mallory, ListenEnd)
    await alice.send(join())
    refused = await send(mallory, alice.session_id)
    assert refused.details() == (await send(mallory, "no-such-session")).details(), (
        "The answer reveals that the session exists."
    )
    assert (await alice.hear()).HasField("join_room"), "the session of Alice continues"
    return refused


async def too_large_a_frame(server: Server, connect: Connect) -> Error:
    alice, _, room_id = await pair(connect)
    return await end_of(alice, offer(room_id, "x" * 1000))


async def no_join_in_time(server: Server, connect: Connect) -> Error:
    return await end_of(connect("alice"), pb.Frame(ack=1))


async def no_peer_in_time(server: Server, connect: Connect) -> Error:
    return await end_of(connect("alice"), join())


async def nothing_sent_for_the_lease(server: Server, connect: Connect) -> Error:
    return await end_of(connect("alice"), join(seq=1))


async def an_invalid_resume_token(server: Server, connect: Connect) -> Error:
    asked = pb.JoinRoom(resumable=True, resume_token="none")
    return await end_of(connect("alice"), pb.Frame(room_id=str(uuid.uuid4()), join_room=asked))


async def the_same_user_elsewhere(server: Server, connect: Connect) -> Error:
    _, bob, room_id = await pair(connect)
    again = connect("bob")
    await again.send(join(room_id))
    return await end_of(bob)


async def a_server_that_drains(server: Server, connect: Connect) -> Error:
    _, bob, _ = await pair(connect)
    await server.dyad.drain()
    return await end_of(bob)


async def a_server_that_drains_already(server: Server, connect: Connect) -> Error:
    await server.dyad.drain()
    return await end_of(connect("alice"))


@dataclass(frozen=True)
class Row:
    status: StatusCode
    provoke: Callable[[Server, Connect], Awaitable[Error]]
    transports: tuple[type[End], ...] = BOTH
    settings: dict[str, Any] = field(default_factory=dict)
    retry_after_ms: str | None = None


SHORT_LEASE = {"heartbeat": 0.1, "lease": 0.3}
ROWS = [
    Row(StatusCode.UNAUTHENTICATED, an_expired_token),
    Row(StatusCode.PERMISSION_DENIED, a_room_other_than_that_of_the_token),
    Row(StatusCode.PERMISSION_DENIED, a_token_with_a_room_that_is_not_a_uuid),
    Row(StatusCode.NOT_FOUND, an_unknown_session, (ListenEnd,)),
    Row(StatusCode.NOT_FOUND, the_session_of_another_user, (ListenEnd,)),
    Row(StatusCode.RESOURCE_EXHAUSTED, too_large_a_frame, BOTH, {"max_frame_bytes": 1000}),
    Row(StatusCode.DEADLINE_EXCEEDED, no_join_in_time, BOTH, {"join_timeout": 0.2}),
    Row(StatusCode.DEADLINE_EXCEEDED, no_peer_in_time, BOTH, {"lone_timeout": 0.2}),
    Row(StatusCode.ABORTED, an_invalid_resume_token),
    Row(StatusCode.ABORTED, the_same_user_elsewhere, retry_after_ms="-1"),
    Row(StatusCode.UNAVAILABLE, a_server_that_drains),
    Row(StatusCode.UNAVAILABLE, a_server_that_drains_already),
    Row(StatusCode.UNAVAILABLE, nothing_sent_for_the_lease, BOTH, SHORT_LEASE),
]


@pytest.mark.parametrize(
    ("row", "transport"),
    [(row, transport) for row in ROWS for transport in row.transports],
    ids=lambda value: value.provoke.__name__ if isinstance(value, Row) else value.__name__,
)
async def test_each_failure_ends_with_its_status_and_a_sentence(
    row: Row, transport: type[End]
) -> None:
    async with serving(**row.settings) as server, ends(server, transport) as connect:
        ended = await row.provoke(server, connect)
    assert ended.code() is row.status, ended.details()
    assert (ended.details() or "").endswith("."), "the status has no sentence"
    trailers = dict(ended.trailing_metadata() or ())
    assert trailers["dyad-status"] == str(row.status.value[0])
    told = trailers.get("retry-after-ms")
    if row.status is StatusCode.UNAVAILABLE:
        assert 200 <= int(str(told)) <= 2000
    else:
        assert told == row.retry_after_ms, "only UNAVAILABLE says when to reconnect"


def test_this_file_causes_every_status_of_the_server() -> None:
    assert {row.status for row in ROWS} == set(STATUS.values())


@pytest.mark.parametrize(
    "metadata",
    [
        (),
        (("authorization", ""),),
        (("authorization", "Bearer nonsense"),),
        (("authorization", "Basic YTpi"),),
        (("authorization", f"Bearer {'x' * 6145}"),),
        (("authorization", f"Bearer {token()}"), ("authorization", f"Bearer {token()}")),
    ],
    ids=["none", "empty", "nonsense", "Basic", "too long", "two"],
)
async def test_without_exactly_one_valid_token_every_rpc_is_unauthenticated(
    metadata: tuple[tuple[str, str], ...],
) -> None:
    async with serving() as server, ends(server, SignalEnd) as connect:
        alice = connect("alice")
        assert isinstance(alice, SignalEnd)
        stub = alice.stub
        for call in (
            stub.Signal(metadata=metadata),
            stub.Listen(pb.ListenRequest(), metadata=metadata),
        ):
            with pytest.raises(Error) as refused:
                await call.read()
            assert refused.value.code() is StatusCode.UNAUTHENTICATED
        with pytest.raises(Error) as refused:
            await stub.Send(pb.SendRequest(), metadata=metadata)
        assert refused.value.code() is StatusCode.UNAUTHENTICATED


async def test_a_stream_that_ends_as_it_begins_has_a_status(transport: type[End]) -> None:
    # gRPC sends no status if a stream ends while its first message is being written.
    async with serving(max_streams_per_user=1000) as server, ends(server, transport) as connect:
        for _ in range(200):
            alice = connect("alice")
            alice.open()
            await until(lambda: len(server.dyad.hub) == 1)
            (participant,) = server.dyad.hub
            server.dyad.hub.end(participant, SeatLost("At once."))
            assert (await end_of(alice)).code() is grpc.StatusCode.ABORTED


@pytest.mark.parametrize("grpc_api", ["auto", "aio"])
@pytest.mark.parametrize("path", [SIGNAL, LISTEN])
async def test_a_client_that_reads_its_first_message_too_late_gets_its_status(
    path: str, grpc_api: str
) -> None:
    async with (
        serving(write_timeout=0.2, grpc_api=grpc_api) as server,
        connected(server.port, window=0) as slow,
    ):
        stream = slow.call(token(), path)
        first = pb.SignalRequest(frames=[join()]) if path == SIGNAL else pb.ListenRequest()
        slow.say(stream, first, end=path == LISTEN)
        await until(lambda: not server.dyad.hub.registry.empty.is_set())
        await until(lambda: len(server.dyad.hub) == 0)
        slow.write(WindowUpdateFrame(stream, window_increment=WINDOW))
        ended = await slow.ended(stream)
        assert ended.get("grpc-status") == "8", "RESOURCE_EXHAUSTED"
        assert slow.heard[stream], "the message that was being written"


async def test_a_stream_whose_message_cannot_be_made_ends_and_frees_its_seat(
    transport: type[End], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        monkeypatch.undo()
        raise RuntimeError

    failures: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, what: failures.append(what))
    async with serving() as server, ends(server, transport) as connect:
        alice, bob, room_id = await pair(connect)
        monkeypatch.setattr(codec, "write", fail)
        await alice.send(offer(room_id))
        assert (await end_of(bob)).code() is grpc.StatusCode.UNKNOWN
        assert (await alice.hear()).leave_room.reason == pb.LeaveRoom.REASON_DISCONNECTED
        assert [type(failure["exception"]) for failure in failures] == [RuntimeError]
