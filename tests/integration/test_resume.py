"""Resuming a seat as docs/protocol.md promises, over both transports."""

import asyncio
import contextlib
import uuid

import grpc
import pytest
from dyad.v1 import signaling_pb2 as pb
from dyad_server.core.states import State

from tests.conftest import ends, serving
from tests.support.clock import within
from tests.support.ends import End, candidate, end_of, join, leave, offer
from tests.support.seats import resumable, resumable_pair, resumes
from tests.support.until import until


async def test_frames_sent_during_a_disconnect_arrive_after_the_resume(
    transport: type[End],
) -> None:
    async with serving() as server, ends(server, transport) as connect:
        alice, bob, room_id, token = await resumable_pair(connect)
        await alice.send(candidate(room_id, "one", seq=2), candidate(room_id, "two", seq=3))
        assert (await bob.hear()).seq == 2
        bob.cut()
        await alice.send(candidate(room_id, "three", seq=4))
        back = connect("bob")
        answer = await resumes(back, room_id, token, ack=2)
        assert (answer.seq, answer.ack, answer.room_id) == (0, 1, room_id)
        assert answer.join_room.peer.user_id == "alice"
        assert answer.join_room.polite
        assert answer.join_room.resume_token not in ("", token)
        heard = [await back.hear() for _ in range(2)]
        assert [(frame.seq, frame.ice_candidate.candidate) for frame in heard] == [
            (3, "two"),
            (4, "three"),
        ]
        await back.send(offer(room_id, "again", seq=1), offer(room_id, "new", seq=2))
        assert (await alice.hear()).offer.sdp == "new", "a frame that was received came again"


async def test_a_seat_can_be_resumed_before_any_frame_and_repeatedly(
    transport: type[End],
) -> None:
    async with serving() as server, ends(server, transport) as connect:
        alice, bob, room_id, token = await resumable_pair(connect)
        for n in range(1, 11):
            bob.cut()
            bob = connect("bob")
            answer = await resumes(bob, room_id, token, ack=n)
            token = answer.join_room.resume_token
            await alice.send(candidate(room_id, str(n), seq=n + 1))
            assert (await bob.hear()).ice_candidate.candidate == str(n)


async def test_a_user_at_its_stream_limit_may_resume_but_not_join(
    transport: type[End],
) -> None:
    async with serving(max_streams_per_user=1) as server, ends(server, transport) as connect:
        alice, bob, room_id, token = await resumable_pair(connect)
        bob.cut()
        await until(lambda: any(each.state is State.RESERVED for each in server.dyad.hub))
        more = await end_of(connect("bob"), resumable())
        assert more.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        back = connect("bob")
        await resumes(back, room_id, token)
        one_more = await end_of(connect("bob"))
        assert one_more.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        await alice.send(candidate(room_id, "still there", seq=2))
        assert (await back.hear()).ice_candidate.candidate == "still there"


async def test_a_half_open_old_stream_is_ended_and_its_frames_are_ignored(
    transport: type[End],
) -> None:
    async with serving() as server, ends(server, transport) as connect:
        alice, bob, room_id, token = await resumable_pair(connect)
        back = connect("bob")
        await resumes(back, room_id, token)
        ended = await bob.status()
        assert ended is not None
        assert ended.code() is grpc.StatusCode.ABORTED
        await back.send(offer(room_id, "from the new one", seq=2))
        assert (await alice.hear()).offer.sdp == "from the new one"


async def test_a_resume_token_is_good_for_one_use(transport: type[End]) -> None:
    async with serving() as server, ends(server, transport) as connect:
        _, bob, room_id, token = await resumable_pair(connect)
        bob.cut()
        back = connect("bob")
        await back.send(resumable(room_id, token, ack=1))
        await back.hear()
        await back.send(pb.Frame(ack=1))
        # An answer shows that the frame has arrived.
        await back.send(pb.Frame(seq=9))
        assert (await back.hear()).error.code == pb.Error.CODE_INVALID_FRAME
        thief = connect("bob")
        assert await _end_of(thief, resumable(room_id, token, ack=1)) is grpc.StatusCode.ABORTED
        await back.send(pb.Frame(seq=9))
        assert (await back.hear()).error.code == pb.Error.CODE_INVALID_FRAME


async def test_one_of_two_concurrent_resumes_with_a_token_has_the_seat(
    transport: type[End],
) -> None:
    async with serving() as server, ends(server, transport) as connect:
        alice, bob, room_id, token = await resumable_pair(connect)
        bob.cut()
        both = [connect("bob"), connect("bob")]
        await asyncio.gather(*(_try(end, resumable(room_id, token, ack=1)) for end in both))
        hearing = [asyncio.create_task(_frame_after_resuming(end)) for end in both]
        (loser,), (winner,) = await asyncio.wait(hearing, return_when=asyncio.FIRST_COMPLETED)
        with pytest.raises(grpc.aio.AioRpcError) as ended:
            await loser
        assert ended.value.code() is grpc.StatusCode.ABORTED
        await alice.send(candidate(room_id, "to the one", seq=2))
        assert (await winner).ice_candidate.candidate == "to the one"
        assert len(server.dyad.hub) == 2


async def test_the_old_resume_token_works_until_the_answer_arrives(transport: type[End]) -> None:
    async with serving() as server, ends(server, transport) as connect:
        _, bob, room_id, token = await resumable_pair(connect)
        for _ in range(3):
            bob.cut()
            bob = connect("bob")
            await resumes(bob, room_id, token)


async def test_after_the_grace_time_the_peer_is_told_and_the_seat_is_free(
    transport: type[End],
) -> None:
    async with serving(resume_grace=0.3) as server, ends(server, transport) as connect:
        alice, bob, room_id, token = await resumable_pair(connect)
        bob.cut()
        told = await alice.hear()
        assert told.leave_room.reason == pb.LeaveRoom.REASON_DISCONNECTED
        back = connect("bob")
        assert await _end_of(back, resumable(room_id, token, ack=1)) is grpc.StatusCode.ABORTED
        carol = connect("carol")
        await carol.send(join(room_id))
        assert (await carol.hear()).join_room.peer.user_id == "alice"


async def test_a_seat_is_reserved_only_if_asked_for_and_enabled(
    transport: type[End],
) -> None:
    async with serving(resume_grace=0) as server, ends(server, transport) as connect:
        alice, bob = connect("alice"), connect("bob")
        await alice.send(resumable())
        created = await alice.hear()
        assert created.join_room.resume_token == ""
        await bob.send(resumable(created.room_id))
        await alice.hear()
        async with within(1):
            bob.cut()
            assert (await alice.hear()).leave_room.reason == pb.LeaveRoom.REASON_DISCONNECTED


async def test_leaving_frees_the_seat_at_once(transport: type[End]) -> None:
    async with serving() as server, ends(server, transport) as connect:
        alice, bob, room_id, token = await resumable_pair(connect)
        await bob.send(leave(room_id, seq=2))
        assert (await alice.hear()).leave_room.reason == pb.LeaveRoom.REASON_LEFT
        back = connect("bob")
        assert await _end_of(back, resumable(room_id, token, ack=1)) is grpc.StatusCode.ABORTED


async def test_a_user_without_its_resume_token_takes_over_its_reserved_seat(
    transport: type[End],
) -> None:
    async with serving() as server, ends(server, transport) as connect:
        alice, bob, room_id, token = await resumable_pair(connect)
        bob.cut()
        await until(lambda: not all(p.connection for p in server.dyad.hub))
        stranger = connect("carol")
        await stranger.send(join(room_id))
        assert (await stranger.hear()).error.code == pb.Error.CODE_ROOM_FULL
        back = connect("bob")
        await back.send(resumable(room_id))
        answer = await back.hear()
        assert not answer.join_room.resumed
        assert answer.join_room.polite
        left, came = await alice.hear(), await alice.hear()
        assert left.leave_room.reason == pb.LeaveRoom.REASON_REPLACED
        assert came.join_room is not None
        assert came.sender.user_id == "bob"
        thief = connect("bob")
        assert await _end_of(thief, resumable(room_id, token, ack=1)) is grpc.StatusCode.ABORTED


@pytest.mark.parametrize("fault", ["user", "room", "token", "ack"])
async def test_a_wrong_resume_is_refused_and_the_seat_stays_reserved(
    transport: type[End], fault: str
) -> None:
    async with serving() as server, ends(server, transport) as connect:
        alice, bob, room_id, token = await resumable_pair(connect)
        who = "mallory" if fault == "user" else "bob"
        where = str(uuid.uuid4()) if fault == "room" else room_id
        what = "x" * len(token) if fault == "token" else token
        ack = 99 if fault == "ack" else 1
        thief = connect(who)
        assert await _end_of(thief, resumable(where, what, ack=ack)) is grpc.StatusCode.ABORTED
        if fault == "ack":
            # Its token is right, but the ack is not: they are out of sync, and both ends are told.
            ended = await bob.status()
            assert ended is not None
            assert ended.code() is grpc.StatusCode.ABORTED
            assert (await alice.hear()).leave_room.reason == pb.LeaveRoom.REASON_DISCONNECTED
        else:
            await alice.send(candidate(room_id, "still here", seq=2))
            assert (await bob.hear()).ice_candidate.candidate == "still here"


async def test_a_reserved_seat_with_too_many_kept_frames_ends_and_both_are_told(
    transport: type[End],
) -> None:
    # Long enough that the grace time does not end the session.
    settings = {"max_frames_per_second": 10_000, "resume_grace": 600}
    async with serving(**settings) as server, ends(server, transport) as connect:
        alice, bob, room_id, token = await resumable_pair(connect)
        bob.cut()
        for n in range(257):
            await alice.send(candidate(room_id, str(n), seq=n + 2))
        told = await alice.hear()
        while told.WhichOneof("event") is None:
            told = await alice.hear()
        assert told.leave_room.reason == pb.LeaveRoom.REASON_DISCONNECTED
        back = connect("bob")
        assert await _end_of(back, resumable(room_id, token, ack=1)) is grpc.StatusCode.ABORTED


async def test_the_server_acknowledges_by_itself_after_32_frames_or_32_kib(
    transport: type[End],
) -> None:
    async with serving() as server, ends(server, transport) as connect:
        alice, _, room_id, _ = await resumable_pair(connect)
        await alice.send(*(candidate(room_id, str(n), seq=n + 2) for n in range(40)))
        told = await alice.hear()
        assert told.WhichOneof("event") is None
        assert told.seq == 0
        assert told.ack >= 32


async def _frame_after_resuming(end: End) -> pb.Frame:
    assert (await end.hear()).join_room.resumed
    return await end.hear()


async def _try(end: End, frame: pb.Frame) -> None:
    with contextlib.suppress(grpc.aio.AioRpcError):
        await end.send(frame)


async def _end_of(end: End, frame: pb.Frame) -> grpc.StatusCode | None:
    await _try(end, frame)
    ended = await end.status()
    return ended.code() if ended else None
