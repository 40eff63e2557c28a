"""Data that the server must never log, even at `debug`: personal data, the content of calls."""

import base64
import json
import re
import secrets
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from dyad.v1 import signaling_pb2 as pb

from tests.conftest import SECRET, token
from tests.support.ends import End, ListenEnd, end_of, leave
from tests.support.issuer import es256, issuing
from tests.support.process import dyad_serve


class Canaries:
    """Unique texts, by kind, that a test searches for in the log."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}

    def new(self, kind: str) -> str:
        return self.note(kind, f"{kind}-{secrets.token_hex(8)}")

    def note(self, kind: str, text: str) -> str:
        assert len(text) >= 16, f"{kind} is too short to be unique in the log"
        self.texts[f"{kind} {len(self.texts)}"] = text
        return text

    def token(self, jwt: str) -> str:
        """Note every part of a token but the header, which is the same in all tokens."""
        for part in jwt.split(".")[1:]:
            self.note("token", part)
        return jwt

    def said(self, log: str) -> Iterator[str]:
        for kind, text in self.texts.items():
            forms = (text, base64.b64encode(text.encode()).decode(), json.dumps(text)[1:-1])
            if any(form in log for form in forms):
                yield kind


async def call(canaries: Canaries, channel: grpc.aio.Channel, transport: type[End]) -> None:
    """Two participants join, send every kind of frame, and leave; one of them resumes."""

    def connect(who: str, again: str = "") -> tuple[End, str]:
        email = canaries.new(f"{who}.email") + "@example.com"
        user = again or canaries.new(f"{who}.sub")
        return transport(channel, canaries.token(token(user, email=email))), user

    def secret_of(ack: pb.Frame) -> str:
        return canaries.note("resume token", ack.join_room.resume_token)

    asked = pb.JoinRoom(resumable=True)
    alice, _ = connect("alice")
    await alice.send(pb.Frame(seq=1, join_room=asked))
    ack = await alice.hear()
    secret_of(ack)
    room_id = ack.room_id
    bob, bobs_id = connect("bob")
    await bob.send(pb.Frame(room_id=room_id, seq=1, join_room=asked))
    ticket = secret_of(await bob.hear())
    await alice.hear()
    sdp = [pb.SessionDescription(sdp=canaries.new(kind)) for kind in ("offer", "answer")]
    candidate = pb.IceCandidate(
        candidate=canaries.new("candidate"),
        sdp_mid=canaries.new("sdp_mid"),
        username_fragment=canaries.new("ufrag"),
    )
    await alice.send(
        pb.Frame(room_id=room_id, seq=2, offer=sdp[0]),
        pb.Frame(room_id=room_id, seq=3, ice_candidate=candidate),
    )
    assert (await bob.hear()).offer == sdp[0]
    assert (await bob.hear()).ice_candidate == candidate
    bob.cut()
    back, _ = connect("bob", bobs_id)
    resume = pb.JoinRoom(resumable=True, resume_token=ticket)
    await back.send(pb.Frame(room_id=room_id, ack=3, join_room=resume))
    secret_of(await back.hear())
    await back.send(pb.Frame(room_id=room_id, seq=2, answer=sdp[1]))
    assert (await alice.hear()).answer == sdp[1]
    for end in (alice, back):
        if isinstance(end, ListenEnd):
            canaries.note("session id", end.session_id)
    await alice.send(leave(room_id, seq=4))
    assert (await alice.hear()).HasField("leave_room")
    alice.cut()
    back.cut()


async def refusals(canaries: Canaries, channel: grpc.aio.Channel, transport: type[End]) -> None:
    """Send invalid tokens and invalid frames."""
    good = canaries.token(token(canaries.new("sub"), email=canaries.new("email")))
    bad = [
        canaries.token(token(canaries.new("sub"), ttl=-60)),
        good[:-4] + "AAAA",
        canaries.new("nonsense"),
        canaries.note("long token", "x" * 7000),
    ]
    for refused in bad:
        ended = await end_of(transport(channel, refused))
        assert ended.code() is grpc.StatusCode.UNAUTHENTICATED
    mallory = transport(channel, canaries.token(token(canaries.new("sub"), room=canaries.new("r"))))
    ended = await end_of(mallory, pb.Frame(join_room=pb.JoinRoom()))
    assert ended.code() is grpc.StatusCode.PERMISSION_DENIED

    alice = transport(channel, good)
    stray = pb.SessionDescription(sdp=canaries.new("stray offer"))
    said = pb.Error(message=canaries.new("an error of the client's"))
    for frame in (
        pb.Frame(room_id=canaries.new("room"), offer=stray),
        pb.Frame(error=said),
        pb.Frame(join_room=pb.JoinRoom(resume_token=canaries.new("resume token")), seq=9),
    ):
        await alice.send(frame)
        assert (await alice.hear()).HasField("error")
    large = pb.SessionDescription(sdp=canaries.new("large offer") * 4000)
    ended = await end_of(alice, pb.Frame(room_id="r", offer=large))
    assert ended.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def thefts(canaries: Canaries, channel: grpc.aio.Channel, transport: type[End]) -> None:
    """Use the session id and the resume token of another user."""
    alice = transport(channel, canaries.token(token(canaries.new("sub"))))
    await alice.send(pb.Frame(seq=1, join_room=pb.JoinRoom(resumable=True)))
    created = await alice.hear()
    ticket = canaries.note("resume token", created.join_room.resume_token)
    mallorys = canaries.token(token(canaries.new("sub")))
    for room_id in (created.room_id, canaries.new("room")):
        resume = pb.JoinRoom(resumable=True, resume_token=ticket)
        thief = transport(channel, mallorys)
        ended = await end_of(thief, pb.Frame(room_id=room_id, ack=1, join_room=resume))
        assert ended.code() is grpc.StatusCode.ABORTED
    mallory = transport(channel, mallorys)
    await mallory.send(pb.Frame(room_id=ticket, join_room=pb.JoinRoom()))
    assert (await mallory.hear()).error.code == pb.Error.CODE_INVALID_FRAME
    mallory.cut()
    sessions = [canaries.new("unknown session id")]
    if isinstance(alice, ListenEnd):
        sessions.append(canaries.note("session id", alice.session_id))
    for session_id in sessions:
        send: Any = channel.unary_unary("/dyad.v1.Signaling/Send")
        asked = pb.SendRequest(session_id=session_id).SerializeToString()
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await send(asked, metadata=(("authorization", f"Bearer {mallorys}"),))
        assert refused.value.code() is grpc.StatusCode.NOT_FOUND
    alice.cut()


async def nonsense(canaries: Canaries, channel: grpc.aio.Channel) -> None:
    """Send bytes that are not a message."""
    good = canaries.token(token(canaries.new("sub")))
    metadata = (("authorization", f"Bearer {good}"),)
    bytes_ = b"\xff\xff\xff" + canaries.new("bytes").encode()
    signal: Any = channel.stream_stream("/dyad.v1.Signaling/Signal")(metadata=metadata)
    send: Any = channel.unary_unary("/dyad.v1.Signaling/Send")
    with pytest.raises(grpc.aio.AioRpcError):
        await send(bytes_, metadata=metadata)
    await signal.write(bytes_)
    (answer,) = pb.SignalResponse.FromString(await signal.read()).frames
    assert answer.error.code == pb.Error.CODE_INVALID_FRAME
    signal.cancel()


async def test_the_log_contains_no_personal_data_of_a_call(transport: type[End]) -> None:
    canaries = Canaries()
    async with (
        dyad_serve(SECRET, "--log-level", "debug") as served,
        grpc.aio.insecure_channel(f"127.0.0.1:{served.port}") as channel,
    ):
        await call(canaries, channel, transport)
        await refusals(canaries, channel, transport)
        await thefts(canaries, channel, transport)
        await nonsense(canaries, channel)
        served.process.terminate()
        assert await served.command.ended() == 0
    log = served.command.said
    # The log is not empty, so the search below can find something.
    assert log.count("stream opened") >= 4, log
    assert re.search(r"stream ended stream=\w+ transport=\w+ status=\w+ reason=\w+", log), log
    assert "seat resumed" in log, log
    assert list(canaries.said(log)) == [], log


@pytest.mark.parametrize("status", [200, 503], ids=["keys fetched", "keys unavailable"])
async def test_the_log_says_nothing_of_tokens_whose_keys_are_fetched(status: int) -> None:
    canaries = Canaries()
    key = es256("key")
    with issuing(key) as issuer:
        issuer.status = status
        async with (
            dyad_serve("", "--jwt-jwks-url", issuer.url, "--log-level", "debug") as served,
            grpc.aio.insecure_channel(f"127.0.0.1:{served.port}") as channel,
        ):
            listen: Any = channel.unary_stream("/dyad.v1.Signaling/Listen")
            elsewhere = f"http://127.0.0.1:1/{canaries.new('jku')}"
            tokens = [
                key.token(canaries.new("sub")),
                key.token(canaries.new("sub"), headers={"jku": elsewhere}),
                key.token(canaries.new("sub"), headers={"kid": canaries.new("kid")}),
                es256("key").token(canaries.new("sub")),
            ]
            codes = []
            for text in map(canaries.token, tokens):
                call = listen(b"", metadata=(("authorization", f"Bearer {text}"),))
                try:
                    await call.read()
                    codes.append(grpc.StatusCode.OK)
                except grpc.aio.AioRpcError as error:
                    codes.append(error.code())
                call.cancel()
            served.process.terminate()
            assert await served.command.ended() == 0
    ok, bad = grpc.StatusCode.OK, grpc.StatusCode.UNAUTHENTICATED
    away = grpc.StatusCode.UNAVAILABLE
    assert codes == ([ok, ok, bad, bad] if status == 200 else [away] * 4)
    log = served.command.said
    assert log.count("stream opened") == codes.count(ok), log
    assert ("keys not fetched" in log) == (status == 503), log
    assert list(canaries.said(log)) == [], log


def test_a_logged_canary_is_found() -> None:
    canaries = Canaries()
    jwt = canaries.token(token())
    email = canaries.new("email")
    assert list(canaries.said("a line without canaries")) == []
    assert list(canaries.said(f"a call of {email}")) == ["email 2"]
    assert list(canaries.said(f"bad token {jwt}")) == ["token 0", "token 1"]
