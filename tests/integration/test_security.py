"""Attacks with sessions, rooms and bytes."""

import base64
import secrets
import uuid
from typing import Any

import pytest
from dyad.v1 import signaling_pb2 as pb
from dyad_server.grpc_api.servicer import SERVICE
from grpc import StatusCode

from tests.conftest import ends, serving, token
from tests.integration.intruder import Error, bearer, channel_to, says
from tests.support.ends import End, ListenEnd, SignalEnd, end_of, join, leave, offer, pair
from tests.support.seats import meet, resumable, resumes


async def test_a_session_that_was_resumed_elsewhere_receives_nothing() -> None:
    async with serving() as server, ends(server, ListenEnd) as connect:
        alice, bob, back = connect("alice"), connect("bob"), connect("bob")
        room_id, _, ticket = await meet(alice, bob)
        await resumes(back, room_id, ticket)
        for frame in (offer(room_id, "late"), leave(room_id), resumable(room_id, ticket, ack=1)):
            with pytest.raises(Error) as refused:
                await bob.send(frame)
            assert refused.value.code() is StatusCode.NOT_FOUND
        await back.send(offer(room_id, "from the resumed session", seq=2))
        assert (await alice.hear()).offer.sdp == "from the resumed session"


async def test_session_ids_and_resume_tokens_are_128_random_bits_and_never_repeat() -> None:
    names: dict[str, list[bytes]] = {"session": [], "resume": []}
    limits = {"max_streams_per_user": 1000}
    async with serving(**limits) as server, channel_to(server) as channel:
        for _ in range(100):
            alice = ListenEnd(channel, token())
            await alice.send(resumable())
            created = await alice.hear()
            names["session"].append(base64.urlsafe_b64decode(alice.session_id + "=="))
            names["resume"].append(base64.urlsafe_b64decode(created.join_room.resume_token + "=="))
            alice.cut()
            back = SignalEnd(channel, token())
            ticket = created.join_room.resume_token
            await back.send(resumable(created.room_id, ticket, ack=1))
            next_ticket = (await back.hear()).join_room.resume_token
            names["resume"].append(base64.urlsafe_b64decode(next_ticket + "=="))
            await back.send(leave(created.room_id, seq=2))
            await back.hear()
            back.cut()
    for kind, found in names.items():
        assert len(set(found)) == len(found), f"a {kind} came again"
        # Each bit must take both values. With 100 ids, the chance that one does not is 2^-99.
        (length,) = {len(name) for name in found}
        numbers = [int.from_bytes(name, "big") for name in found]
        moving = [
            bit for bit in range(length * 8) if len({number >> bit & 1 for number in numbers}) == 2
        ]
        assert len(moving) == length * 8 >= 128, f"a {kind} has bits that never change"


async def test_fields_that_only_the_server_sets_are_ignored_from_a_client(
    transport: type[End],
) -> None:
    false = pb.Participant(user_id="mallory", email="m@x")
    false.MergeFrom(pb.Participant.FromString(b"\xc2\x3e\x03new"))
    async with serving() as server, ends(server, transport) as connect:
        alice, bob = connect("alice", email="a@x"), connect("bob", email="b@x")
        lie = pb.JoinRoom(peer=false, polite=True, resumed=True)
        lie.MergeFrom(pb.JoinRoom.FromString(b"\xc2\x3e\x03new"))
        await alice.send(pb.Frame(sender=false, reply_to=99, seq=1, join_room=lie))
        created = await alice.hear()
        assert created == pb.Frame(
            room_id=created.room_id, seq=1, ack=1, reply_to=1, join_room=pb.JoinRoom()
        )
        room_id = created.room_id
        await bob.send(pb.Frame(room_id=room_id, sender=false, reply_to=99, seq=1, join_room=lie))
        joined, came = await bob.hear(), await alice.hear()
        alices = pb.Participant(user_id="alice", email="a@x")
        bobs = pb.Participant(user_id="bob", email="b@x")
        assert joined == pb.Frame(
            room_id=room_id,
            seq=1,
            ack=1,
            reply_to=1,
            join_room=pb.JoinRoom(peer=alices, polite=True),
        )
        assert came == pb.Frame(room_id=room_id, sender=bobs, seq=2, ack=1, join_room=pb.JoinRoom())
        said = offer(room_id, "an offer", seq=2)
        said.sender.CopyFrom(false)
        said.reply_to, said.ack = 99, 1
        await bob.send(said)
        heard = await alice.hear()
        assert heard == pb.Frame(
            room_id=room_id, sender=bobs, seq=3, ack=1, offer=pb.SessionDescription(sdp="an offer")
        )
        reason = pb.LeaveRoom(reason=pb.LeaveRoom.REASON_REPLACED)
        reason.MergeFrom(pb.LeaveRoom.FromString(b"\xc2\x3e\x03new"))
        await bob.send(
            pb.Frame(room_id=room_id, sender=false, reply_to=99, seq=3, leave_room=reason)
        )
        assert (await bob.hear()).leave_room == pb.LeaveRoom()
        told = pb.LeaveRoom(reason=pb.LeaveRoom.REASON_LEFT)
        assert await alice.hear() == pb.Frame(
            room_id=room_id, sender=bobs, seq=4, ack=1, leave_room=told
        )


async def test_a_token_with_a_room_reveals_nothing_about_other_rooms(transport: type[End]) -> None:
    own = str(uuid.uuid4())
    async with serving() as server, ends(server, transport) as connect:
        _, _, full = await pair(connect)
        carol = connect("carol")
        await carol.send(join())
        with_one = (await carol.hear()).room_id
        places = (full, with_one, str(uuid.uuid4()), "no uuid")
        found = {
            (ended.code(), ended.details())
            for room_id in places
            for frame in (join(room_id), resumable(room_id))
            for ended in [await end_of(connect("mallory", room=own), frame)]
        }
        assert found == {(StatusCode.PERMISSION_DENIED, "The token is for another room.")}
        mallory = connect("mallory", room=own)
        answers = []
        for room_id in places:
            for frame in (offer(room_id), leave(room_id)):
                await mallory.send(frame)
                answer = (await mallory.hear()).error
                answers.append((answer.code, answer.message))
        assert set(answers) == {(pb.Error.CODE_NOT_IN_ROOM, "You are not in that room.")}
        tried = resumable(full, "x" * 43)
        absent = await end_of(connect("mallory", room=own), tried)
        assert absent.code() is StatusCode.ABORTED


async def test_a_resume_token_is_useless_with_a_jwt_for_another_room(
    transport: type[End],
) -> None:
    async with serving() as server, ends(server, transport) as connect:
        alice = connect("alice")
        await alice.send(resumable())
        created = await alice.hear()
        other = connect("alice", room=str(uuid.uuid4()))
        ended = await end_of(other, resumable(created.room_id, created.join_room.resume_token, 1))
        assert ended.code() is StatusCode.PERMISSION_DENIED
        await alice.send(offer(created.room_id, seq=2))
        assert (await alice.hear()).error.code == pb.Error.CODE_PEER_ABSENT, "she lost her seat"


def invalid_rooms() -> dict[str, str]:
    return {
        "control letters": "\x00\x01\x1b[31m\r\n\x7f",
        "other scripts": "комната\u202e",
        "a path": "../../../etc/passwd",
        "a query": "' OR '1'='1",
        "capitals": str(uuid.uuid4()).upper(),
        "a UUID in other digits": str(uuid.UUID(int=0)).replace("0", "\uff10"),
        "spaces": " " * 36,
        "40 KiB": "r" * 40_000,
        "a resume token": secrets.token_urlsafe(32),
    }


@pytest.mark.parametrize("kind", invalid_rooms())
async def test_an_invalid_room_id_is_refused_and_not_quoted(
    transport: type[End], kind: str
) -> None:
    room_id = invalid_rooms()[kind]
    too_long = len(room_id) > 36
    async with serving() as server, ends(server, transport) as connect:
        alice = connect("alice")
        for frame, code in (
            (join(room_id), pb.Error.CODE_ROOM_NOT_FOUND),
            (offer(room_id), pb.Error.CODE_NOT_IN_ROOM),
            (leave(room_id), pb.Error.CODE_NOT_IN_ROOM),
        ):
            await alice.send(frame)
            answer = await alice.hear()
            assert answer.error.code == (pb.Error.CODE_INVALID_FRAME if too_long else code)
            assert room_id not in answer.error.message
            assert answer.room_id == ("" if too_long else room_id.lower())
        ended = await end_of(connect("alice"), resumable("" if too_long else room_id, "x" * 43))
        assert ended.code() is StatusCode.ABORTED
        await alice.send(join())
        assert (await alice.hear()).HasField("join_room")


async def test_a_refusal_does_not_repeat_what_was_sent(transport: type[End]) -> None:
    async with serving() as server, ends(server, transport) as connect:
        alice = connect("alice")
        await alice.send(*(offer("r" * 60_000) for _ in range(2)))
        for _ in range(2):
            assert (await alice.hear()).ByteSize() < 100


@pytest.mark.parametrize(
    "unknown",
    [
        b"\x82\x01\x02\x0a\x00",  # field 16: an event that the contract does not have
        b"\xc2\x3e\x03new",  # field 1000
        b"\x10\x07",  # sender as a number
        b"\x50\x07",  # join_room as a number
    ],
)
async def test_an_event_of_another_contract_is_refused(
    transport: type[End], unknown: bytes
) -> None:
    async with serving() as server, ends(server, transport) as connect:
        alice, bob, room_id = await pair(connect)
        frame = pb.Frame(room_id=room_id, seq=1)
        frame.MergeFromString(unknown)
        await alice.send(frame)
        answer = await alice.hear()
        assert (answer.error.code, answer.reply_to) == (pb.Error.CODE_INVALID_FRAME, 1)
        await alice.send(offer(room_id, "next", seq=2))
        assert (await bob.hear()).offer.sdp == "next", "the peer received it"


async def test_of_two_events_in_one_frame_the_last_counts(transport: type[End]) -> None:
    async with serving() as server, ends(server, transport) as connect:
        alice, bob, room_id = await pair(connect)
        both = leave(room_id).SerializeToString() + offer(room_id, "last").SerializeToString()
        await alice.send(pb.Frame.FromString(both))
        heard = await bob.hear()
        assert heard.offer.sdp == "last"
        assert heard.sender.user_id == "alice"


NO_MESSAGES = {
    "no UTF-8": b"\x0a\x04\x0a\x02\xff\xfe",
    "an offer that is not UTF-8": b"\x0a\x06\x62\x04\x0a\x02\xc3\x28",
    "half a surrogate pair": b"\x0a\x05\x0a\x03\xed\xa0\x80",
    "no message": b"\xff\xff\xff\xff\xff\xff",
    "cut off": b"\x0a\x7fabc",
    "a length past the end": b"\x0a\xff\xff\xff\xff\x0f",
    "a group without an end": b"\x0b" * 200,
}


@pytest.mark.parametrize("nonsense", NO_MESSAGES.values(), ids=NO_MESSAGES.keys())
async def test_bytes_that_are_not_a_message_do_not_affect_other_streams(
    nonsense: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving() as server, channel_to(server) as channel:
        signal: Any = channel.stream_stream(f"/{SERVICE}/Signal")(metadata=bearer(token()))
        await signal.write(pb.SignalRequest(frames=[join(seq=1)]).SerializeToString())
        (created,) = pb.SignalResponse.FromString(await signal.read()).frames
        await signal.write(nonsense)
        (answer,) = pb.SignalResponse.FromString(await signal.read()).frames
        assert answer.error.code == pb.Error.CODE_INVALID_FRAME
        bob = ListenEnd(channel, token("bob"))
        await bob.send(join(created.room_id))
        assert (await bob.hear()).join_room.peer.user_id == "alice", "the call continues"

        send: Any = channel.unary_unary(f"/{SERVICE}/Send")
        for metadata, code in (
            (bearer(token("bob")), StatusCode.NOT_FOUND),
            ((), StatusCode.UNAUTHENTICATED),
        ):
            with pytest.raises(Error) as refused:
                await send(nonsense, metadata=metadata)
            assert refused.value.code() is code
            assert "Exception" not in says(refused.value)
        listen: Any = channel.unary_stream(f"/{SERVICE}/Listen")
        with pytest.raises(Error) as refused:
            await listen(nonsense).read()
        assert refused.value.code() is StatusCode.UNAUTHENTICATED
        await bob.send(offer(created.room_id, "still here"))
        heard = [
            frame
            for _ in range(2)
            for frame in pb.SignalResponse.FromString(await signal.read()).frames
        ]
        assert [frame.WhichOneof("event") for frame in heard] == ["join_room", "offer"]
        signal.cancel()
        bob.cut()
    assert "Traceback" not in caplog.text
