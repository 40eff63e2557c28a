"""Attacks with tokens and keys."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import pytest
from dyad.v1 import signaling_pb2 as pb
from dyad.v1 import signaling_pb2_grpc as pb_grpc
from dyad_server.auth import bounds
from dyad_server.grpc_api.servicer import SERVICE
from grpc import StatusCode
from grpc_health.v1 import health_pb2

from tests.conftest import SECRET, ends, serving, token
from tests.integration.intruder import (
    HS256,
    KEY,
    LATER,
    PEM,
    Error,
    Metadata,
    bearer,
    channel_to,
    hs256,
    refusals,
    says,
)
from tests.support.clock import within
from tests.support.ends import End, ListenEnd, SignalEnd, join
from tests.support.issuer import es256, issuing, spelled
from tests.support.services import HealthStub
from tests.support.until import PATIENCE

BAD_TOKENS: dict[str, str] = {
    "alg nOnE": hs256({"sub": "alice", "exp": LATER}, alg="nOnE"),
    "another family of algorithms": KEY.token(),
    "without exp": hs256({"sub": "alice"}),
    "without sub": hs256({"exp": LATER}),
    "expired": hs256({"sub": "alice", "exp": 1}),
    "not yet": hs256({"sub": "alice", "exp": LATER, "nbf": LATER - 1}),
    "exp as text": hs256({"sub": "alice", "exp": str(LATER)}),
    "room as list": hs256({"sub": "alice", "exp": LATER, "room": ["a"]}),
    "half a surrogate pair": hs256({"sub": "alice\ud800", "exp": LATER}),
    "crit": hs256({"sub": "alice", "exp": LATER}, crit=["x"]),
    "kid as list": hs256({"sub": "alice", "exp": LATER}, kid=["x"]),
    "nested": spelled(HS256, b"[" * 4000, SECRET.encode()),
    "encrypted": "eyJhbGciOiJkaXIifQ..AAAAAAAA.AAAA.AAAAAAAA",
    "with more text after it": f"{token()}.AAAA",
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
        assert (await alice.hear()).HasField("error"), "the session continues"


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
    assert len(too_long) - len(longest) <= 2, "base64 cannot have every length"
    async with serving() as server, channel_to(server) as channel:
        alice = SignalEnd(channel, longest)
        await alice.send(join())
        assert (await alice.hear()).HasField("join_room")
        alice.cut()
        for error in await refusals(channel, bearer(too_long)):
            assert error.code() is StatusCode.UNAUTHENTICATED
            assert "longer" in (error.details() or "")


async def test_a_token_with_a_huge_expiry_is_accepted() -> None:
    async with serving() as server, channel_to(server) as channel:
        alice = SignalEnd(channel, hs256({"sub": "alice", "exp": 10**400}))
        await alice.send(join())
        assert (await alice.hear()).HasField("join_room")
        alice.cut()


async def test_keys_come_from_the_url_and_change_without_a_restart(
    transport: type[End], monkeypatch: pytest.MonkeyPatch
) -> None:
    # A busy machine may need more than a second for a fetch.
    monkeypatch.setattr(bounds, "KEYS_PATIENCE_SECONDS", PATIENCE)
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
    monkeypatch.setattr(bounds, "KEYS_RETRY_SECONDS", 0.05)
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


async def test_a_url_that_never_answers_delays_neither_start_nor_stop() -> None:
    with issuing(es256("key")) as issuer:
        issuer.open.clear()
        async with AsyncExitStack() as running:
            async with within(bounds.KEYS_PATIENCE_SECONDS + 1):
                settings = {"jwt_secret": "", "jwt_jwks_url": issuer.url}
                server = await running.enter_async_context(serving(**settings))
            assert server.port
            assert "dyad-keys" in [task.get_name() for task in asyncio.all_tasks()]
            async with within(1):
                await running.aclose()
        still = [task.get_name() for task in asyncio.all_tasks()]
        assert "dyad-keys" not in still, "the server keeps asking"


async def test_tokens_of_unknown_keys_lock_no_user_out_and_cause_few_fetches() -> None:
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
            assert issuer.asked <= 2 + bounds.UNKNOWN_AT_ONCE
            alice = SignalEnd(channel, key.token())
            await alice.send(join())
            assert (await alice.hear()).HasField("join_room")
            alice.cut()
