"""How long a token is valid: a connection outlives its token, unless configured otherwise."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import dyad
import grpc
import pytest
from dyad.v1 import signaling_pb2 as pb
from dyad.v1 import signaling_pb2_grpc as pb_grpc
from dyad_server.server import Server

from tests.conftest import HOUR, serving, token
from tests.support.ends import End, ListenEnd, SignalEnd, end_of, join, offer
from tests.support.issuer import es256, issuing
from tests.support.python_client import hear
from tests.support.redis import settled_redis
from tests.support.seats import meet, resumable
from tests.support.until import PATIENCE

UNAUTHENTICATED = grpc.StatusCode.UNAUTHENTICATED
ENDS_AT_EXPIRY = {"end_at_expiry": True}


@asynccontextmanager
async def two_servers(engine: str, **settings: Any) -> AsyncIterator[list[Server]]:
    """Two servers on one Redis; with the engine in memory, the same server twice."""
    if engine == "memory":
        async with serving(**settings) as server:
            yield [server, server]
        return
    async with settled_redis() as redis:
        settings |= {"redis": redis.url}
        async with serving(**settings) as one, serving(**settings) as other:
            yield [one, other]


@pytest.fixture(params=["memory", "redis"])
def engine(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@asynccontextmanager
async def channels(servers: list[Server]) -> AsyncIterator[list[grpc.aio.Channel]]:
    async with (
        grpc.aio.insecure_channel(f"127.0.0.1:{servers[0].port}") as one,
        grpc.aio.insecure_channel(f"127.0.0.1:{servers[1].port}") as other,
    ):
        yield [one, other]


async def send(channel: grpc.aio.Channel, session_id: str, text: str, *frames: pb.Frame) -> None:
    """Send frames to this session with the token `text`."""
    await pb_grpc.SignalingStub(channel).Send(
        pb.SendRequest(session_id=session_id, frames=frames),
        metadata=(("authorization", f"Bearer {text}"),),
    )


async def test_a_connection_outlives_the_token_that_opened_it(
    transport: type[End], engine: str, pass_time: Callable[[], None]
) -> None:
    async with two_servers(engine) as servers, channels(servers) as (one, other):
        alice, bob = transport(one, token("alice")), transport(other, token("bob"))
        room_id, _, _ = await meet(alice, bob)
        pass_time()
        await alice.send(offer(room_id, "an hour later", seq=2))
        assert (await bob.hear()).offer.sdp == "an hour later"
        opening = await end_of(transport(one, token("alice", ttl=-60)))
        assert opening.code() is UNAUTHENTICATED
        for end in (alice, bob):
            end.cut()


@pytest.mark.parametrize("by", [0, 1], ids=["its own node", "another node"])
async def test_a_send_needs_the_token_of_its_session_or_a_valid_token_of_its_user(
    by: int, engine: str, pass_time: Callable[[], None]
) -> None:
    async with two_servers(engine) as servers, channels(servers) as here:
        own, expired = token("alice"), token("alice", ttl=61)
        alice, bob = ListenEnd(here[0], own), ListenEnd(here[1], token("bob"))
        room_id, _, _ = await meet(alice, bob)
        session = alice.session_id
        pass_time()
        fresh, bobs = token("alice"), token("bob")
        refused = {
            "another expired token of the user": (expired, UNAUTHENTICATED),
            "the peer's expired token": (bob.metadata[0][1].split()[1], UNAUTHENTICATED),
            "the token with another signature": (f"{own[:-2]}AA", UNAUTHENTICATED),
            "the peer's good token": (bobs, grpc.StatusCode.NOT_FOUND),
        }
        for who, (text, code) in refused.items():
            with pytest.raises(grpc.aio.AioRpcError) as error:
                await send(here[by], session, text, offer(room_id, "stranger", seq=2))
            assert error.value.code() is code, who
        # The same for an unknown session: the answer says only that the token has expired.
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await send(here[by], f"{session}x", own)
        assert error.value.code() is UNAUTHENTICATED
        await send(here[by], session, own, offer(room_id, "its own", seq=2))
        await send(here[by], session, fresh, offer(room_id, "a fresh one", seq=3))
        await send(here[by], session, own, offer(room_id, "its own again", seq=4))
        for text in ("its own", "a fresh one", "its own again"):
            assert (await bob.hear()).offer.sdp == text
        for end in (alice, bob):
            end.cut()


async def test_a_withdrawn_key_opens_no_connection_and_ends_none() -> None:
    old, new = es256("old"), es256("new")
    with issuing(old) as issuer:
        settings = {"jwt_secret": "", "jwt_jwks_url": issuer.url}
        async with serving(**settings) as server, channels([server, server]) as (channel, _):
            alice = ListenEnd(channel, old.token("alice"))
            bob = SignalEnd(channel, old.token("bob"))
            room_id, _, _ = await meet(alice, bob)
            issuer.show(new)
            # A token of the new key makes the server fetch the keys, and drop the old one.
            carol = SignalEnd(channel, new.token("carol"))
            await carol.send(join())
            assert (await carol.hear()).HasField("join_room")
            for transport in (SignalEnd, ListenEnd):
                opening = await end_of(transport(channel, old.token("alice")))
                assert opening.code() is UNAUTHENTICATED
            await alice.send(offer(room_id, "by Send", seq=2))
            assert (await bob.hear()).offer.sdp == "by Send"
            await bob.send(offer(room_id, "by Signal", seq=2))
            assert (await alice.hear()).offer.sdp == "by Signal"
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await send(channel, alice.session_id, old.token("alice", {"x": 1}))
            assert refused.value.code() is UNAUTHENTICATED
            for end in (alice, bob, carol):
                end.cut()


async def test_end_at_expiry_ends_a_connection_and_reserves_its_seat(
    transport: type[End], engine: str, pass_time: Callable[[], None]
) -> None:
    async with two_servers(engine, **ENDS_AT_EXPIRY) as servers, channels(servers) as (one, other):
        alice = transport(one, token("alice"))
        bob = transport(other, token("bob", ttl=3 * HOUR))
        room_id, resume_token, _ = await meet(alice, bob)
        pass_time()
        ended = await alice.status()
        assert ended is not None
        assert ended.code() is UNAUTHENTICATED
        assert ended.details() == "The token has expired."
        await bob.send(offer(room_id, "meanwhile", seq=2))
        if isinstance(alice, ListenEnd):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await alice.send(offer(room_id, "too late", seq=2))
            assert refused.value.code() is UNAUTHENTICATED
        expired = transport(one, token("alice", ttl=-60))
        assert (await end_of(expired)).code() is UNAUTHENTICATED
        # Bob was not told: the next frame that he receives is from Alice, who has resumed.
        back = transport(other, token("alice"))
        await back.send(resumable(room_id, resume_token, ack=2))
        assert (await back.hear()).join_room.resumed
        assert (await back.hear()).offer.sdp == "meanwhile"
        await back.send(offer(room_id, "back", seq=2))
        assert (await bob.hear()).offer.sdp == "back"
        for end in (back, bob):
            end.cut()


async def test_the_python_client_resumes_with_a_fresh_token_without_loss(
    engine: str, pass_time: Callable[[], None]
) -> None:
    asked = 0

    async def fresh() -> str:
        nonlocal asked
        asked += 1
        return token("alice")

    async with two_servers(engine, **ENDS_AT_EXPIRY) as servers:
        targets = [f"127.0.0.1:{server.port}" for server in servers]
        async with (
            dyad.connect(targets[0], fresh, plaintext=True) as alice,
            dyad.connect(targets[1], token("bob", ttl=9 * HOUR), plaintext=True) as bob,
            asyncio.timeout(4 * PATIENCE),
        ):
            room = await alice.create()
            await bob.join(room.room_id)
            assert isinstance(await hear(alice), dyad.PeerJoined)
            for n in range(3):
                pass_time()
                assert isinstance(await hear(alice), dyad.Reconnecting)
                await alice.send_candidate(dyad.Candidate(f"alice {n}"))
                await bob.send_candidate(dyad.Candidate(f"bob {n}"))
                back = await hear(alice)
                assert isinstance(back, dyad.Reconnected)
                assert back.resumed
                for one, text in ((alice, f"bob {n}"), (bob, f"alice {n}")):
                    heard = await hear(one)
                    assert isinstance(heard, dyad.Candidate)
                    assert heard.candidate == text
            assert asked == 4


async def test_a_token_with_a_huge_expiry_never_ends_its_connection(transport: type[End]) -> None:
    key = es256("key")
    with issuing(key) as issuer:
        settings = {"jwt_secret": "", "jwt_jwks_url": issuer.url} | ENDS_AT_EXPIRY
        async with serving(**settings) as server, channels([server, server]) as (channel, _):
            alice = transport(channel, key.token("alice", exp=10**400))
            await alice.send(join())
            assert (await alice.hear()).HasField("join_room")
            alice.cut()
