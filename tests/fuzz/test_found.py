"""Bugs that fuzzing has found, as plain examples."""

import grpc
import pytest
from dyad.v1 import signaling_pb2 as pb

from tests.conftest import ends, serving
from tests.support.ends import End, candidate, end_of, offer, pair


async def test_a_frame_with_a_false_ack_is_refused_once_and_not_forwarded(
    transport: type[End],
) -> None:
    async with serving() as server, ends(server, transport) as connect:
        alice, bob, room_id = await pair(connect)
        wrong = offer(room_id, "refused", seq=1)
        wrong.ack = 99
        await alice.send(wrong, candidate(room_id, "next", seq=2))
        refused = await alice.hear()
        assert (refused.error.code, refused.reply_to) == (pb.Error.CODE_INVALID_FRAME, 1)
        assert (await bob.hear()).ice_candidate.candidate == "next"
        await alice.send(pb.Frame(seq=3))
        assert (await alice.hear()).reply_to == 3, "it was refused twice"


async def test_a_failed_resume_sends_no_frame_twice_on_the_old_stream(
    transport: type[End],
) -> None:
    async with serving() as server, ends(server, transport) as connect:
        asked = pb.JoinRoom(resumable=True)
        alice = connect("alice")
        await alice.send(pb.Frame(seq=1, join_room=asked))
        created = await alice.hear()
        # The answer has number 2 and is kept. Frame 1 is acknowledged and no longer kept.
        await alice.send(pb.Frame(seq=2, ack=1))
        assert (await alice.hear()).seq == 2
        asked.resume_token = created.join_room.resume_token
        back = connect("alice")
        ended = await end_of(back, pb.Frame(room_id=created.room_id, ack=0, join_room=asked))
        assert ended.code() is grpc.StatusCode.ABORTED
        with pytest.raises(grpc.aio.AioRpcError) as taken_over:
            await alice.hear()
        assert taken_over.value.code() is grpc.StatusCode.ABORTED
