"""What one participant may cost, and that nobody else pays for it."""

import asyncio

import grpc
from dyad.v1 import signaling_pb2 as pb

from tests.conftest import ends, serving, token
from tests.support.ends import End, SignalEnd, candidate, offer, pair


async def test_one_who_does_not_read_is_ended_and_the_peer_is_told(transport: type[End]) -> None:
    async with serving(write_timeout=1.0) as server, ends(server, transport) as connect:
        alice, bob, room_id = await pair(connect)
        carol, dave, other_room = await pair(connect)
        big = "x" * 60_000

        async def flood() -> None:
            while True:
                await alice.send(offer(room_id, big))

        flooding = asyncio.create_task(flood())
        try:
            told = await alice.hear()
        finally:
            flooding.cancel()
        assert told.leave_room.reason == pb.LeaveRoom.REASON_DISCONNECTED
        await carol.send(offer(other_room))
        assert (await dave.hear()).offer.sdp == "v=0"
        # Once it reads again it learns why.
        ended = await bob.status()
        assert ended is not None
        assert ended.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_what_waits_goes_out_together() -> None:
    async with serving() as server, ends(server, SignalEnd) as connect:
        alice, bob, room_id = await pair(connect)
        assert isinstance(bob, SignalEnd)
        await alice.send(*(candidate(room_id, str(n)) for n in range(10)))
        async with asyncio.timeout(5):
            message = await bob.call.read()
        assert [frame.ice_candidate.candidate for frame in message.frames] == [
            str(n) for n in range(10)
        ]


async def test_a_message_over_the_limit_ends_its_sender_only(transport: type[End]) -> None:
    async with serving() as server, ends(server, transport) as connect:
        alice, bob, room_id = await pair(connect)
        frames = [offer(room_id, "x" * 60_000) for _ in range(5)]
        try:
            await alice.send(*frames)
            ended = await alice.status()
        except grpc.aio.AioRpcError as error:
            # Send alone is refused: the session goes on.
            ended = error
            alice.cut()
        assert ended is not None
        assert ended.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert (await bob.hear()).leave_room.reason == pb.LeaveRoom.REASON_DISCONNECTED


async def test_a_token_at_the_limit_gets_in_and_one_over_it_is_refused() -> None:
    claims = {"email": "e" * 200, "room": "r" * 200}
    length = len(token("a", **claims))
    async with serving(max_token_bytes=length) as server, ends(server, SignalEnd) as connect:
        alice = connect("a", **claims)
        await alice.send(pb.Frame(seq=1))
        assert (await alice.hear()).error.code == pb.Error.CODE_INVALID_FRAME
    async with serving(max_token_bytes=length - 1) as server, ends(server, SignalEnd) as connect:
        alice = connect("a", **claims)
        ended = None
        try:
            await alice.send(pb.Frame(seq=1))
            ended = await alice.status()
        except grpc.aio.AioRpcError as error:
            ended = error
        assert ended is not None
        assert ended.code() is grpc.StatusCode.UNAUTHENTICATED
