"""What participants on different nodes see where nothing fails but a connection."""

import asyncio
import contextlib

import grpc
import pytest
from dyad.v1 import signaling_pb2 as pb

from tests.conftest import serving
from tests.integration.test_nodes import nodes, resumable
from tests.support.ends import End, SignalEnd, candidate, join, leave


async def hear(end: End, event: str) -> pb.Frame:
    """The next frame with this event, past what only acknowledges."""
    while (frame := await end.hear()).WhichOneof("event") is None:
        pass
    assert frame.WhichOneof("event") == event, frame
    return frame


async def test_one_who_leaves_and_joins_again_is_heard_again(transport: type[End]) -> None:
    async with nodes(transport) as here:
        alice, bob = here.connect("alice", 0), here.connect("bob", 1)
        await alice.send(join())
        room_id = (await hear(alice, "join_room")).room_id
        for turn in range(4):
            await bob.send(join(room_id))
            assert (await hear(bob, "join_room")).join_room.peer.user_id == "alice"
            assert (await hear(alice, "join_room")).sender.user_id == "bob"
            for speaker, listener in ((alice, bob), (bob, alice)):
                for number in range(5):
                    await speaker.send(candidate(room_id, f"{turn} {number}"))
                for number in range(5):
                    frame = await hear(listener, "ice_candidate")
                    assert frame.ice_candidate.candidate == f"{turn} {number}"
            await bob.send(leave(room_id))
            await hear(bob, "leave_room")
            assert (await hear(alice, "leave_room")).leave_room.reason == pb.LeaveRoom.REASON_LEFT


@pytest.mark.parametrize("milliseconds", range(8))
async def test_one_who_comes_to_a_node_as_it_is_drained_goes_on_to_the_next(
    milliseconds: int,
) -> None:
    async with nodes(SignalEnd, 2) as here:
        alice, bob, room_id, resume_token = await here.pair(0, 1)
        async with serving(redis=here.redis.url) as third:
            channel = grpc.aio.insecure_channel(f"127.0.0.1:{third.port}")
            here.channels.append(channel)
            await channel.channel_ready()
            bob.cut()
            between = here.connect("bob", 2)
            await between.send(resumable(room_id, resume_token, ack=1))
            await asyncio.sleep(milliseconds / 1000)
            await third.stop()
        with contextlib.suppress(grpc.aio.AioRpcError, EOFError):
            # What came after this is its newest token.
            resume_token = (await between.hear()).join_room.resume_token
        await channel.close()
        await alice.send(candidate(room_id, "still here", seq=2))
        back = here.connect("bob", 0)
        await back.send(resumable(room_id, resume_token, ack=1))
        assert (await back.hear()).join_room.resumed
        assert (await hear(back, "ice_candidate")).ice_candidate.candidate == "still here"


async def test_one_who_is_alone_is_so_no_longer_on_another_node_than_on_one() -> None:
    async with nodes(SignalEnd, lone_timeout=1.0) as here:
        alice = here.connect("alice", 0)
        await alice.send(resumable())
        created = await alice.hear()
        alice.cut()
        back = here.connect("alice", 1)
        await back.send(resumable(created.room_id, created.join_room.resume_token, ack=1))
        assert (await back.hear()).join_room.resumed
        ended = await back.status()
        assert ended is not None
        assert ended.code() is grpc.StatusCode.DEADLINE_EXCEEDED
