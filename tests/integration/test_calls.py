"""The tables of the contract, over both transports."""

import uuid

import grpc
import pytest
from dyad.v1 import signaling_pb2 as pb

from tests.conftest import ends, serving
from tests.support.clock import advance, within
from tests.support.ends import (
    End,
    ListenEnd,
    SignalEnd,
    candidate,
    end_of,
    join,
    leave,
    offer,
    pair,
)
from tests.support.until import until


async def test_creating_a_room_is_acknowledged_with_its_uuid(transport: type[End]) -> None:
    async with serving() as server, ends(server, transport) as connect:
        alice = connect("alice")
        await alice.send(join(seq=1))
        ack = await alice.hear()
        assert uuid.UUID(ack.room_id).version == 4
        assert (ack.WhichOneof("event"), ack.seq, ack.ack, ack.reply_to) == ("join_room", 1, 1, 1)
        assert not ack.join_room.polite
        assert not ack.join_room.HasField("peer")
        assert ack.join_room.resume_token == ""


async def test_a_join_tells_each_participant_who_the_other_is(transport: type[End]) -> None:
    async with serving() as server, ends(server, transport) as connect:
        alice, bob = connect("alice", email="a@x"), connect("bob", email="b@x")
        await alice.send(join(seq=1))
        room_id = (await alice.hear()).room_id
        await bob.send(join(room_id, seq=1))
        ack, notice = await bob.hear(), await alice.hear()
        assert (ack.join_room.peer.user_id, ack.join_room.peer.email) == ("alice", "a@x")
        assert ack.join_room.polite
        assert ack.reply_to == 1
        assert notice.WhichOneof("event") == "join_room"
        assert (notice.sender.user_id, notice.sender.email) == ("bob", "b@x")
        assert notice.reply_to == 0


async def test_frames_reach_the_peer_in_order_with_the_true_sender(transport: type[End]) -> None:
    async with serving() as server, ends(server, transport) as connect:
        alice, bob, room_id = await pair(connect)
        spoofed = offer(room_id, "the offer")
        spoofed.sender.user_id = "mallory"
        spoofed.seq = 0
        await alice.send(spoofed, *(candidate(room_id, str(n)) for n in range(100)))
        first = await bob.hear()
        assert first.offer.sdp == "the offer"
        assert (first.sender.user_id, first.sender.email) == ("alice", "a@x")
        heard = [(await bob.hear()).ice_candidate.candidate for _ in range(100)]
        assert heard == [str(n) for n in range(100)]


async def test_absent_and_empty_candidate_fields_stay_different(transport: type[End]) -> None:
    async with serving() as server, ends(server, transport) as connect:
        alice, bob, room_id = await pair(connect)
        sent = pb.IceCandidate(candidate="", sdp_mid="", sdp_m_line_index=0)
        await alice.send(pb.Frame(room_id=room_id, ice_candidate=sent))
        heard = (await bob.hear()).ice_candidate
        assert heard == sent
        assert heard.HasField("sdp_m_line_index")
        assert not heard.HasField("username_fragment")


async def test_fields_of_a_newer_client_are_forwarded(transport: type[End]) -> None:
    async with serving() as server, ends(server, transport) as connect:
        alice, bob, room_id = await pair(connect)
        unknown = b"\xc2\x3e\x03new"  # field 1000, of length 3
        await alice.send(pb.Frame.FromString(offer(room_id).SerializeToString() + unknown))
        assert unknown in (await bob.hear()).SerializeToString()


async def test_leaving_is_acknowledged_and_announced_to_the_peer(transport: type[End]) -> None:
    async with serving() as server, ends(server, transport) as connect:
        alice, bob, room_id = await pair(connect)
        await bob.send(leave(room_id, seq=1))
        ack, notice = await bob.hear(), await alice.hear()
        assert (ack.WhichOneof("event"), ack.reply_to) == ("leave_room", 1)
        assert notice.leave_room.reason == pb.LeaveRoom.REASON_LEFT
        assert notice.sender.user_id == "bob"


async def test_a_broken_stream_frees_its_seat_within_a_second(transport: type[End]) -> None:
    async with serving() as server, ends(server, transport) as connect:
        alice, bob, room_id = await pair(connect)
        async with within(1):
            bob.cut()
            notice = await alice.hear()
        assert notice.leave_room.reason == pb.LeaveRoom.REASON_DISCONNECTED
        carol = connect("carol")
        await carol.send(join(room_id))
        ack = await carol.hear()
        assert ack.join_room.peer.user_id == "alice"
        assert ack.join_room.polite


async def test_politeness_stays_with_the_seat(transport: type[End]) -> None:
    async with serving() as server, ends(server, transport) as connect:
        alice, bob, room_id = await pair(connect)
        await alice.send(leave(room_id))
        await bob.hear()
        carol = connect("carol")
        await carol.send(join(room_id))
        assert not (await carol.hear()).join_room.polite


async def test_every_error_answers_its_frame_and_the_stream_continues(transport: type[End]) -> None:
    async with serving() as server, ends(server, transport) as connect:
        _alice, bob, room_id = await pair(connect)
        dave = connect("dave")
        rows = [
            (pb.Frame(), pb.Error.CODE_INVALID_FRAME),
            (pb.Frame(error=pb.Error()), pb.Error.CODE_INVALID_FRAME),
            (join(str(uuid.uuid4())), pb.Error.CODE_ROOM_NOT_FOUND),
            (join("no such room"), pb.Error.CODE_ROOM_NOT_FOUND),
            (join(room_id), pb.Error.CODE_ROOM_FULL),
            (offer(room_id), pb.Error.CODE_NOT_IN_ROOM),
            (leave(room_id), pb.Error.CODE_NOT_IN_ROOM),
        ]
        for seq, (frame, code) in enumerate(rows, 1):
            frame.seq = seq
            await dave.send(frame)
            answer = await dave.hear()
            assert (answer.error.code, answer.reply_to) == (code, seq), frame
            assert answer.error.message
        await dave.send(join(seq=len(rows) + 1))
        own = (await dave.hear()).room_id
        assert own
        await dave.send(offer(own))
        assert (await dave.hear()).error.code == pb.Error.CODE_PEER_ABSENT
        await bob.send(join())
        assert (await bob.hear()).error.code == pb.Error.CODE_INVALID_FRAME


async def test_a_number_counts_once_and_a_gap_is_refused(transport: type[End]) -> None:
    async with serving() as server, ends(server, transport) as connect:
        alice, bob, room_id = await pair(connect)
        await alice.send(offer(room_id, "one", seq=1), offer(room_id, "again", seq=1))
        await alice.send(offer(room_id, "three", seq=3), offer(room_id, "two", seq=2))
        assert [(await bob.hear()).offer.sdp for _ in range(2)] == ["one", "two"]
        refused = await alice.hear()
        assert (refused.error.code, refused.reply_to) == (pb.Error.CODE_INVALID_FRAME, 3)


async def test_an_empty_room_leaves_nothing_behind(transport: type[End]) -> None:
    async with serving() as server, ends(server, transport) as connect:
        alice, bob, room_id = await pair(connect)
        await alice.send(leave(room_id))
        await bob.send(leave(room_id))
        await alice.hear()
        await bob.hear()
        await bob.hear()
        await bob.send(join(room_id))
        assert (await bob.hear()).error.code == pb.Error.CODE_ROOM_NOT_FOUND


async def test_a_room_claim_creates_that_room_and_enters_it(transport: type[End]) -> None:
    room = str(uuid.uuid4())
    async with serving() as server, ends(server, transport) as connect:
        alice, bob = connect("alice", room=room), connect("bob", room=room)
        await alice.send(join())
        await bob.send(join())
        assert (await alice.hear()).room_id == (await bob.hear()).room_id == room


async def test_a_frame_over_the_limit_ends_only_its_sender(transport: type[End]) -> None:
    async with serving(max_frame_bytes=1000) as server, ends(server, transport) as connect:
        alice, bob, room_id = await pair(connect)
        room = 1000 - offer(room_id, "").ByteSize()
        fits = next(
            frame
            for size in range(room, 0, -1)
            if (frame := offer(room_id, "x" * size)).ByteSize() <= 1000
        )
        await alice.send(fits)
        assert (await bob.hear()).offer.sdp == fits.offer.sdp
        fits.offer.sdp += "x" * (1001 - fits.ByteSize())
        ended = await end_of(alice, fits)
        assert ended.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert (await bob.hear()).leave_room.reason == pb.LeaveRoom.REASON_DISCONNECTED


async def test_a_participant_that_stays_alone_is_ended_and_a_pair_is_not(
    transport: type[End],
) -> None:
    async with serving(lone_timeout=100) as server, ends(server, transport) as connect:
        alice, bob, room_id = await pair(connect)
        carol = connect("carol")
        await carol.send(join())
        await carol.hear()
        advance(100)
        ended = await carol.status()
        assert ended is not None
        assert ended.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        await alice.send(offer(room_id))
        assert (await bob.hear()).offer.sdp == "v=0"


async def test_half_closing_frees_the_seat_and_ends_with_ok() -> None:
    async with serving() as server, ends(server, SignalEnd) as connect:
        alice, bob, room_id = await pair(connect)
        assert isinstance(bob, SignalEnd)
        await bob.send(leave(room_id))
        await bob.call.done_writing()
        assert (await bob.hear()).WhichOneof("event") == "leave_room"
        assert await bob.status() is None
        assert (await alice.hear()).leave_room.reason == pb.LeaveRoom.REASON_LEFT


async def test_a_token_with_a_room_may_create_that_room_by_naming_it(transport: type[End]) -> None:
    room = str(uuid.uuid4())
    async with serving() as server, ends(server, transport) as connect:
        alice, bob = connect("alice", room=room), connect("bob", room=room)
        await alice.send(join(room))
        assert (await alice.hear()).room_id == room
        await bob.send(join(room))
        assert (await bob.hear()).join_room.peer.user_id == "alice"


async def test_a_send_after_listen_broke_still_counts() -> None:
    async with serving() as server, ends(server, ListenEnd) as connect:
        alice, bob = connect("alice"), connect("bob")
        assert isinstance(bob, ListenEnd)
        asked = pb.JoinRoom(resumable=True)
        await alice.send(pb.Frame(join_room=asked))
        room_id = (await alice.hear()).room_id
        await bob.send(pb.Frame(room_id=room_id, join_room=asked))
        await bob.hear()
        await alice.hear()
        bob.cut()
        await until(lambda: not all(p.connection for p in server.dyad.hub))
        await bob.send(offer(room_id, "under way", seq=1), leave(room_id, seq=2))
        assert (await alice.hear()).offer.sdp == "under way"
        assert (await alice.hear()).leave_room.reason == pb.LeaveRoom.REASON_LEFT
        assert len(server.dyad.hub) == 1


async def test_a_drain_announces_no_leave_to_a_drained_peer(transport: type[End]) -> None:
    async with serving() as server, ends(server, transport) as connect:
        alice, bob, _ = await pair(connect)
        await server.stop()
        for end in (alice, bob):
            with pytest.raises(grpc.aio.AioRpcError) as ended:
                await end.hear()
            assert ended.value.code() is grpc.StatusCode.UNAVAILABLE
