"""Attacks with tokens, sessions, rooms and bytes."""

import asyncio
import base64
import secrets
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import grpc
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from dyad.v1 import signaling_pb2 as pb
from dyad.v1 import signaling_pb2_grpc as pb_grpc
from dyad_server.app import Server
from dyad_server.auth import jwks
from dyad_server.grpc_api.servicer import SERVICE
from grpc import StatusCode
from grpc_health.v1 import health_pb2

from tests.conftest import SECRET, ends, serving, token
from tests.support.clock import within
from tests.support.ends import End, ListenEnd, SignalEnd, end_of, join, leave, offer, pair
from tests.support.issuer import es256, issuing, rs256, spelled
from tests.support.seats import meet, resumable, resumes
from tests.support.services import HealthStub
from tests.support.until import PATIENCE

Error = grpc.aio.AioRpcError
Metadata = tuple[tuple[str, str | bytes], ...]
KEY = rs256()
PEM = KEY.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
HS256 = {"alg": "HS256", "typ": "JWT"}
LATER = 10**10


def bearer(text: str) -> Metadata:
    return (("authorization", f"Bearer {text}"),)


def hs256(claims: dict[str, Any], **headers: Any) -> str:
    return spelled(HS256 | headers, claims, SECRET.encode())


@asynccontextmanager
async def channel_to(server: Server) -> AsyncIterator[grpc.aio.Channel]:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        yield channel


async def refusals(channel: grpc.aio.Channel, metadata: Metadata, session: str = "") -> list[Error]:
    """What each of the three calls ends with."""
    stub: Any = pb_grpc.SignalingStub(channel)
    found = []
    for call in (
        stub.Signal(metadata=metadata).read(),
        stub.Listen(pb.ListenRequest(), metadata=metadata).read(),
        stub.Send(pb.SendRequest(session_id=session), metadata=metadata),
    ):
        async with asyncio.timeout(PATIENCE):
            with pytest.raises(Error) as refused:
                await call
        found.append(refused.value)
    return found


def says(error: Error) -> str:
    """All that a client is told."""
    return f"{error.details()} {error.initial_metadata()} {error.trailing_metadata()}"


BAD_TOKENS: dict[str, str] = {
    "alg nOnE": hs256({"sub": "alice", "exp": LATER}, alg="nOnE"),
    "of another family": KEY.token(),
    "without exp": hs256({"sub": "alice"}),
    "without sub": hs256({"exp": LATER}),
    "expired": hs256({"sub": "alice", "exp": 1}),
    "not yet": hs256({"sub": "alice", "exp": LATER, "nbf": LATER - 1}),
    "exp as text": hs256({"sub": "alice", "exp": str(LATER)}),
    "room as list": hs256({"sub": "alice", "exp": LATER, "room": ["a"]}),
    "half a letter": hs256({"sub": "alice\ud800", "exp": LATER}),
    "crit": hs256({"sub": "alice", "exp": LATER}, crit=["x"]),
    "kid as list": hs256({"sub": "alice", "exp": LATER}, kid=["x"]),
    "nested": spelled(HS256, b"[" * 4000, SECRET.encode()),
    "encrypted": "eyJhbGciOiJkaXIifQ..AAAAAAAA.AAAA.AAAAAAAA",
    "with more after it": f"{token()}.AAAA",
}


@pytest.mark.parametrize("bad", BAD_TOKENS.values(), ids=BAD_TOKENS.keys())
async def test_a_bad_token_is_refused_and_not_quoted(bad: str) -> None:
    async with serving() as server, ends(server, ListenEnd) as connect, channel_to(server) as other:
        alice = connect("alice")
        assert isinstance(alice, ListenEnd)
        await alice.send(join())
        await alice.hear()
        for error in await refusals(other, bearer(bad), alice.session_id):
            assert error.code() is StatusCode.UNAUTHENTICATED
            assert (error.details() or "").endswith(".")
            assert not any(part in says(error) for part in bad.split(".") if part)
            assert "alice" not in says(error)
        await alice.send(pb.Frame())
        assert (await alice.hear()).HasField("error"), "and whose session it is goes on"


@pytest.mark.parametrize("secret", [PEM, PEM.strip(), b""], ids=["PEM", "PEM stripped", "nothing"])
async def test_a_public_key_as_an_hmac_secret_is_refused(secret: bytes) -> None:
    forged = spelled(HS256, {"sub": "alice", "exp": LATER}, secret)
    settings = {"jwt_secret": "", "jwt_public_key": PEM.decode()}
    async with serving(**settings) as server, channel_to(server) as channel:
        for error in await refusals(channel, bearer(forged)):
            assert error.code() is StatusCode.UNAUTHENTICATED
        alice = SignalEnd(channel, KEY.token())
        await alice.send(join())
        assert (await alice.hear()).HasField("join_room")
        alice.cut()


@pytest.mark.parametrize(
    "metadata",
    [
        (("authorization-bin", f"Bearer {token(ttl=3600)}".encode()),),
        (("x-authorization", f"Bearer {token(ttl=3600)}"),),
        (("cookie", f"authorization=Bearer {token(ttl=3600)}"),),
        (("authorization", token(ttl=3600)),),
        (("authorization", f"Bearer {token(ttl=3600)}"), ("authorization", "")),
        (("authorization", "Bearer "), ("authorization-bin", token(ttl=3600).encode())),
    ],
    ids=["binary", "another name", "cookie", "no scheme", "two", "half and half"],
)
async def test_a_token_outside_the_authorization_header_is_ignored(metadata: Metadata) -> None:
    async with serving() as server, channel_to(server) as channel:
        for error in await refusals(channel, metadata):
            assert error.code() is StatusCode.UNAUTHENTICATED
            assert "ey" not in says(error)


async def test_a_token_in_a_query_or_in_a_frame_is_ignored() -> None:
    good = token()
    async with serving() as server, channel_to(server) as channel:
        query: Any = channel.unary_stream(f"/{SERVICE}/Listen?access_token={good}")
        with pytest.raises(Error) as refused:
            await query(b"").read()
        assert refused.value.code() is StatusCode.UNIMPLEMENTED
        assert good not in says(refused.value)
        stub: Any = pb_grpc.SignalingStub(channel)
        sender = pb.Participant(user_id=good, email=good)
        frame = pb.Frame(room_id=good, sender=sender, join_room=pb.JoinRoom(resume_token=good))
        with pytest.raises(Error) as refused:
            await stub.Send(pb.SendRequest(session_id=good, frames=[frame]))
        assert refused.value.code() is StatusCode.UNAUTHENTICATED
        assert good not in says(refused.value)


async def test_the_longest_token_is_accepted_and_a_longer_one_is_refused() -> None:
    claims = {"sub": "alice", "exp": LATER, "pad": ""}
    missing = (6144 - len(hs256(claims))) * 3 // 4
    tokens = [hs256(claims | {"pad": "p" * (missing + n)}) for n in range(-3, 4)]
    longest = max((text for text in tokens if len(text) <= 6144), key=len)
    too_long = min((text for text in tokens if len(text) > 6144), key=len)
    assert len(too_long) - len(longest) <= 2, "base64 has no token of each length"
    async with serving() as server, channel_to(server) as channel:
        alice = SignalEnd(channel, longest)
        await alice.send(join())
        assert (await alice.hear()).HasField("join_room")
        alice.cut()
        for error in await refusals(channel, bearer(too_long)):
            assert error.code() is StatusCode.UNAUTHENTICATED
            assert "longer" in (error.details() or "")


async def test_an_expiry_past_any_number_gets_in() -> None:
    async with serving() as server, channel_to(server) as channel:
        alice = SignalEnd(channel, hs256({"sub": "alice", "exp": 10**400}))
        await alice.send(join())
        assert (await alice.hear()).HasField("join_room")
        alice.cut()


async def test_keys_come_from_the_url_and_change_without_a_restart(
    transport: type[End],
) -> None:
    old, new = es256("old"), es256("new")
    with issuing(old) as issuer:
        settings = {"jwt_secret": "", "jwt_jwks_url": issuer.url}
        async with serving(**settings) as server, channel_to(server) as channel:
            alice, bob = transport(channel, old.token("alice")), transport(channel, new.token("b"))
            await alice.send(join())
            room_id = (await alice.hear()).room_id
            for error in await refusals(channel, bearer(new.token("b"))):
                assert error.code() is StatusCode.UNAUTHENTICATED
            issuer.show(new)
            await bob.send(join(room_id))
            assert (await bob.hear()).join_room.peer.user_id == "alice"
            for error in await refusals(channel, bearer(old.token("alice"))):
                assert error.code() is StatusCode.UNAUTHENTICATED
            for end in (alice, bob):
                end.cut()


async def test_before_the_first_keys_the_service_is_not_serving(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(jwks, "RETRY_SECONDS", 0.05)
    key = es256("key")
    with issuing(key) as issuer:
        issuer.status = 503
        settings = {"jwt_secret": "", "jwt_jwks_url": issuer.url}
        async with serving(**settings) as server, channel_to(server) as channel:
            health = HealthStub(channel)
            ask, answer = health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse
            watch = health.Watch(ask(service=SERVICE))
            assert await watch.read() == answer(status=answer.NOT_SERVING)
            alive = await health.Check(ask(service=""))
            assert alive.status == answer.SERVING
            for _ in range(9):
                for ended in await refusals(channel, bearer(key.token())):
                    assert ended.code() is StatusCode.UNAVAILABLE
                    told = dict(ended.trailing_metadata() or ())
                    assert 200 <= int(str(told["retry-after-ms"])) <= 2000
            issuer.status = 200
            async with asyncio.timeout(PATIENCE):
                assert await watch.read() == answer(status=answer.SERVING)
            watch.cancel()
            alice = SignalEnd(channel, key.token())
            await alice.send(join())
            assert (await alice.hear()).HasField("join_room")
            alice.cut()


async def test_a_url_that_never_answers_holds_up_neither_start_nor_stop() -> None:
    with issuing(es256("key")) as issuer:
        issuer.open.clear()
        async with AsyncExitStack() as running:
            async with within(jwks.PATIENCE_SECONDS + 1):
                settings = {"jwt_secret": "", "jwt_jwks_url": issuer.url}
                server = await running.enter_async_context(serving(**settings))
            assert server.port
            assert "dyad-keys" in [task.get_name() for task in asyncio.all_tasks()]
            async with within(1):
                await running.aclose()
        still = [task.get_name() for task in asyncio.all_tasks()]
        assert "dyad-keys" not in still, "it goes on asking"


async def test_tokens_of_unknown_keys_keep_no_user_out_and_cause_few_fetches() -> None:
    key = es256("key")
    with issuing(key) as issuer:
        async with (
            serving(jwt_secret="", jwt_jwks_url=issuer.url) as server,
            channel_to(server) as channel,
        ):
            stub: Any = pb_grpc.SignalingStub(channel)
            for n in range(40):
                call = stub.Signal(metadata=bearer(es256(f"{n}").token()))
                assert await call.code() is StatusCode.UNAUTHENTICATED
            assert issuer.asked <= 2 + jwks.UNKNOWN_AT_ONCE
            alice = SignalEnd(channel, key.token())
            await alice.send(join())
            assert (await alice.hear()).HasField("join_room")
            alice.cut()


async def test_a_session_that_was_resumed_elsewhere_receives_nothing() -> None:
    async with serving() as server, ends(server, ListenEnd) as connect:
        alice, bob, back = connect("alice"), connect("bob"), connect("bob")
        room_id, _, ticket = await meet(alice, bob)
        await resumes(back, room_id, ticket)
        for frame in (offer(room_id, "late"), leave(room_id), resumable(room_id, ticket, ack=1)):
            with pytest.raises(Error) as refused:
                await bob.send(frame)
            assert refused.value.code() is StatusCode.NOT_FOUND
        await back.send(offer(room_id, "of the one who came back", seq=2))
        assert (await alice.hear()).offer.sdp == "of the one who came back"


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
        # Each bit takes both values: with 100 names, one does not in 2^-99.
        (length,) = {len(name) for name in found}
        numbers = [int.from_bytes(name, "big") for name in found]
        moving = [
            bit for bit in range(length * 8) if len({number >> bit & 1 for number in numbers}) == 2
        ]
        assert len(moving) == length * 8 >= 128, f"a {kind} has bits that stand still"


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
        lone = connect("carol")
        await lone.send(join())
        with_one = (await lone.hear()).room_id
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
        assert (await alice.hear()).error.code == pb.Error.CODE_PEER_ABSENT, "her seat is her own"


def strange_rooms() -> dict[str, str]:
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


@pytest.mark.parametrize("kind", strange_rooms())
async def test_an_invalid_room_id_is_refused_and_not_quoted(
    transport: type[End], kind: str
) -> None:
    room_id = strange_rooms()[kind]
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
        b"\x82\x01\x02\x0a\x00",  # field 16: a seventh event
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
        assert (await bob.hear()).offer.sdp == "next", "the peer heard of it"


async def test_two_events_in_one_frame_are_the_last_of_them(transport: type[End]) -> None:
    async with serving() as server, ends(server, transport) as connect:
        alice, bob, room_id = await pair(connect)
        both = leave(room_id).SerializeToString() + offer(room_id, "last").SerializeToString()
        await alice.send(pb.Frame.FromString(both))
        heard = await bob.hear()
        assert heard.offer.sdp == "last"
        assert heard.sender.user_id == "alice"


NO_MESSAGES = {
    "no UTF-8": b"\x0a\x04\x0a\x02\xff\xfe",
    "no UTF-8 in an offer": b"\x0a\x06\x62\x04\x0a\x02\xc3\x28",
    "half a surrogate pair": b"\x0a\x05\x0a\x03\xed\xa0\x80",
    "no message": b"\xff\xff\xff\xff\xff\xff",
    "cut off": b"\x0a\x7fabc",
    "longer than it is": b"\x0a\xff\xff\xff\xff\x0f",
    "a group without an end": b"\x0b" * 200,
}


@pytest.mark.parametrize("nonsense", NO_MESSAGES.values(), ids=NO_MESSAGES.keys())
async def test_bytes_that_are_not_a_message_harm_no_other_stream(
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
        assert (await bob.hear()).join_room.peer.user_id == "alice", "and the call goes on"

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
