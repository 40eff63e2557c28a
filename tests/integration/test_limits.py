"""The limits of a participant. Reaching them affects no other participant."""

import asyncio
import contextlib
from functools import partial
from typing import Any

import grpc
import pytest
from dyad.v1 import signaling_pb2 as pb
from dyad.v1 import signaling_pb2_grpc as pb_grpc

from tests.conftest import ends, serving, token
from tests.support.clock import within
from tests.support.ends import End, SignalEnd, candidate, end_of, join, offer, pair
from tests.support.until import PATIENCE, until


async def told_while_it_floods(end: End, room_id: str, pause: float = 0) -> pb.Frame:
    """The first frame that a participant receives while it sends large offers."""

    async def flood() -> None:
        while True:
            await end.send(offer(room_id, "x" * 60_000))
            await asyncio.sleep(pause)

    flooding = asyncio.create_task(flood())
    try:
        return await end.hear()
    finally:
        flooding.cancel()


async def test_a_client_that_does_not_read_is_ended_and_the_peer_is_told(
    transport: type[End],
) -> None:
    fast = {"max_frames_per_second": 10**6, "max_bytes_per_second": 10**9}
    async with serving(write_timeout=1.0, **fast) as server, ends(server, transport) as connect:
        alice, bob, room_id = await pair(connect)
        carol, dave, other_room = await pair(connect)
        told = await told_while_it_floods(alice, room_id)
        assert told.leave_room.reason == pb.LeaveRoom.REASON_DISCONNECTED
        await carol.send(offer(other_room))
        assert (await dave.hear()).offer.sdp == "v=0"
        # When it reads again, it receives the reason.
        ended = await bob.status()
        assert ended is not None
        assert ended.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_a_client_that_does_not_read_is_ended_in_time_with_any_buffer_size() -> None:
    much = {"max_bytes_per_second": 10**9, "max_waiting_bytes": 10**9}
    async with serving(write_timeout=1.0, **much) as server, ends(server, SignalEnd) as connect:
        alice, _, room_id = await pair(connect)
        told = await told_while_it_floods(alice, room_id, pause=0.02)
        assert told.leave_room.reason == pb.LeaveRoom.REASON_DISCONNECTED


async def test_waiting_frames_are_sent_together() -> None:
    async with serving() as server, ends(server, SignalEnd) as connect:
        alice, bob, room_id = await pair(connect)
        assert isinstance(bob, SignalEnd)
        await alice.send(*(candidate(room_id, str(n)) for n in range(10)))
        async with asyncio.timeout(PATIENCE):
            message = await bob.call.read()
        assert [frame.ice_candidate.candidate for frame in message.frames] == [
            str(n) for n in range(10)
        ]


async def test_a_message_over_the_limit_ends_only_its_sender(transport: type[End]) -> None:
    async with serving() as server, ends(server, transport) as connect:
        alice, bob, room_id = await pair(connect)
        frames = [offer(room_id, "x" * 60_000) for _ in range(9)]
        try:
            await alice.send(*frames)
            ended = await alice.status()
        except grpc.aio.AioRpcError as error:
            # Only this Send is refused: the session continues.
            ended = error
            alice.cut()
        assert ended is not None
        assert ended.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert (await bob.hear()).leave_room.reason == pb.LeaveRoom.REASON_DISCONNECTED


async def test_a_token_at_the_limit_is_accepted_and_a_longer_one_is_refused() -> None:
    claims: dict[str, Any] = {"email": "e" * 200, "room": "r" * 200}
    length = len(token("a", **claims))
    async with serving(max_token_bytes=length) as server, ends(server, SignalEnd) as connect:
        alice = connect("a", **claims)
        await alice.send(pb.Frame(seq=1))
        assert (await alice.hear()).error.code == pb.Error.CODE_INVALID_FRAME
    async with serving(max_token_bytes=length - 1) as server, ends(server, SignalEnd) as connect:
        ended = await end_of(connect("a", **claims))
        assert ended.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_a_flood_ends_only_its_sender(transport: type[End]) -> None:
    async with serving() as server, ends(server, transport) as connect:
        alice, bob, room_id = await pair(connect)
        carol, dave, other_room = await pair(connect)
        await alice.send(*(candidate(room_id, str(n)) for n in range(495)))
        with contextlib.suppress(grpc.aio.AioRpcError):
            await alice.send(*(candidate(room_id, "more") for _ in range(500)))
        heard = 0
        while (told := await bob.hear()).HasField("ice_candidate"):
            heard += 1
        assert told.leave_room.reason == pb.LeaveRoom.REASON_DISCONNECTED
        assert heard == 495, "the frames of five seconds may come at once"
        ended = await alice.status()
        assert ended is not None
        assert ended.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        await carol.send(offer(other_room))
        assert (await dave.hear()).offer.sdp == "v=0"


@pytest.mark.parametrize("size", [1, 400, 3000, 60_000])
async def test_a_full_burst_ends_neither_participant(transport: type[End], size: int) -> None:
    async with serving() as server, ends(server, transport) as connect:
        alice, bob = connect("alice"), connect("bob")
        resumable = pb.JoinRoom(resumable=True)
        await alice.send(pb.Frame(join_room=resumable))
        room_id = (await alice.hear()).room_id
        await bob.send(pb.Frame(room_id=room_id, join_room=resumable))
        await bob.hear()
        count = min(495, 160_000 // (size + 80))
        # In one message, so that Bob has no time to acknowledge any.
        frames = [offer(room_id, "x" * size, seq=n + 1) for n in range(count)]
        await alice.send(*frames)
        for n in range(count):
            heard = await bob.hear()
            assert heard.HasField("offer"), f"frame {n} of {count}: {heard.WhichOneof('event')}"
            if n % 32 == 31:
                await bob.send(pb.Frame(ack=heard.seq))


@pytest.mark.parametrize(
    ("limit", "who"),
    [
        ("max_streams", ["alice", "bob", "carol"]),
        ("max_streams_per_user", ["alice", "alice", "alice"]),
        ("max_streams_per_address", ["alice", "bob", "carol"]),
    ],
)
async def test_a_stream_beyond_the_limit_is_refused_within_a_second(
    transport: type[End], limit: str, who: list[str]
) -> None:
    async with serving(**{limit: 2}) as server, ends(server, transport) as connect:
        first, second, third = (connect(name) for name in who)
        for end in (first, second):
            await end.send(join())
            await end.hear()
        async with within(1):
            ended = await end_of(third)
        assert ended.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        first.cut()
        await until(lambda: len(server.dyad.hub) == 1)
        again = connect(who[2])
        await again.send(join())
        assert (await again.hear()).HasField("join_room")


async def test_good_tokens_are_accepted_from_an_address_that_sends_bad_ones(
    transport: type[End],
) -> None:
    """Sixty users connect while others behind the same NAT send bad tokens."""
    async with serving() as server, ends(server, transport) as connect:
        refused = 0
        none: list[tuple[str, str]] = []
        bad = [
            none,
            [("authorization", "Bearer bad")],
            [("authorization", f"Bearer {token('mallory')}x")],
            [("authorization", f"Bearer {'x' * 6000}")],
            [("authorization", f"Bearer {token('mallory', ttl=-60)}")],
        ]
        async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
            stub: Any = pb_grpc.SignalingStub(channel)

            async def attack(n: int) -> None:
                nonlocal refused
                while True:
                    metadata = bad[n % len(bad)]
                    for call in (
                        stub.Signal(metadata=metadata),
                        stub.Listen(pb.ListenRequest(), metadata=metadata),
                        stub.Send(pb.SendRequest(session_id="x"), metadata=metadata),
                    ):
                        assert await call.code() is grpc.StatusCode.UNAUTHENTICATED
                        refused += 1

            def were_refused(calls: int) -> bool:
                return refused >= calls

            attacks = [asyncio.create_task(attack(n)) for n in range(len(bad))]
            try:
                # After so many, a lock-out of the address would have begun.
                await until(partial(were_refused, 60), 60)
                for n in range(60):
                    before = refused
                    user = connect(f"user{n}")
                    await user.send(join())
                    assert (await user.hear(60)).HasField("join_room")
                    await until(partial(were_refused, before + 1), 60)
                assert not any(task.done() for task in attacks)
            finally:
                for task in attacks:
                    task.cancel()
                await asyncio.wait(attacks)


@pytest.mark.parametrize(
    "settings", [{}, {"trusted_hops": 1}], ids=["a trusted network", "a trusted hop"]
)
async def test_the_port_in_x_forwarded_for_does_not_matter(
    settings: dict[str, Any],
) -> None:
    async with (
        serving(max_streams_per_address=1, **settings) as server,
        grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel,
    ):

        def behind_a_gateway(forwarded: str) -> SignalEnd:
            end = SignalEnd(channel, token())
            end.metadata = (*end.metadata, ("x-forwarded-for", forwarded))
            return end

        seated = [
            behind_a_gateway(forwarded)
            for forwarded in ("203.0.113.7:51008", "6.6.6.6, 203.0.113.8:1", "[2001:db8::7]:4444")
        ]
        for end in seated:
            await end.send(join())
            assert (await end.hear()).HasField("join_room")
        for forwarded in ("203.0.113.7:51009", "203.0.113.8", "7.7.7.7, [2001:db8::8]:1"):
            ended = await end_of(behind_a_gateway(forwarded))
            assert ended.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        for end in seated:
            end.cut()
