"""Attacks on several nodes that share one Redis."""

import asyncio
import secrets

import grpc
import pytest
from dyad.v1 import signaling_pb2 as pb
from dyad_server.engines.redis.engine import RedisBroker
from dyad_server.engines.redis.seats import Presence
from grpc import StatusCode
from redis.asyncio import Redis

from tests.integration.test_nodes import nodes
from tests.support.ends import ListenEnd, SignalEnd, candidate, end_of, offer
from tests.support.seats import resumable


async def test_a_secret_with_an_invalid_node_leaves_nothing_in_redis() -> None:
    async with nodes(ListenEnd) as here, Redis(port=here.redis.port) as redis:
        alice, _, _, _ = await here.pair()
        assert isinstance(alice, ListenEnd)
        node = alice.session_id.partition(".")[0]
        invalid = ["x", "in:x", "x" * 1000, "*", "\x00", secrets.token_hex(8), node[:-1], node * 2]
        before = set(await redis.keys("*"))

        async def send(name: str) -> None:
            asked = pb.SendRequest(
                session_id=f"{name}.{secrets.token_urlsafe(24)}", frames=[offer("", "v" * 500)]
            )
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await alice.stub.Send(asked, metadata=alice.metadata)
            assert refused.value.code() in (StatusCode.NOT_FOUND, StatusCode.UNAVAILABLE), name

        async def come_back(name: str) -> None:
            frame = resumable("x" * 36, f"{name}.{'t' * 43}", ack=1)
            ended = await end_of(here.connect("alice", 0), frame)
            assert ended.code() is StatusCode.ABORTED, name

        await asyncio.gather(*map(send, invalid), *map(come_back, invalid))
        assert set(await redis.keys("*")) <= before


async def test_a_user_may_forward_a_bounded_amount_to_other_nodes() -> None:
    async with nodes(ListenEnd) as here, Redis(port=here.redis.port) as redis:
        alice, bob, room_id, _ = await here.pair()
        carol = here.connect("carol", 1)
        mallory = here.connect("mallory", 0)
        assert isinstance(alice, ListenEnd)
        assert isinstance(carol, ListenEnd)
        assert isinstance(mallory, ListenEnd)
        await carol.send()
        await mallory.send()
        # Without a session of hers, only this limit counts what she sends.
        large = offer("", "v" * 60_000)
        asked = pb.SendRequest(session_id=f"{carol.session_id}x", frames=[large])
        before = (await redis.info("memory"))["used_memory"]

        async def send() -> StatusCode:
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await mallory.stub.Send(asked, metadata=mallory.metadata)
            return refused.value.code()

        codes = await asyncio.gather(*(send() for _ in range(100)))
        assert set(codes) == {StatusCode.NOT_FOUND, StatusCode.RESOURCE_EXHAUSTED}
        assert codes.count(StatusCode.NOT_FOUND) < 10
        after = (await redis.info("memory"))["used_memory"]
        assert after - before < 2 * 2**20
        await alice.send(offer(room_id, "goes on", seq=2))
        assert (await bob.hear()).offer.sdp == "goes on"


async def test_made_up_resumes_are_bounded_and_suspend_no_housekeeping() -> None:
    async with nodes(SignalEnd, 2) as here:
        alice, bob, room_id, resume_token = await here.pair(0, 1)
        broker = here.servers[0].dyad.hub._broker  # noqa: SLF001 - nothing else shows it
        assert isinstance(broker, RedisBroker)
        presence = broker._seats.presence  # noqa: SLF001 - as above
        believed: set[Presence] = set()
        stop = asyncio.Event()

        async def make_up(name: str) -> set[StatusCode]:
            codes = set()
            while not stop.is_set():
                made_up = resumable(room_id, secrets.token_urlsafe(32), ack=1)
                codes.add((await end_of(here.connect(name, 0), made_up)).code())
                believed.add(presence("no such user"))
            return codes

        async with asyncio.TaskGroup() as made:
            making = [made.create_task(make_up(name)) for name in ("mallory", "bob")]
            for number in range(100):
                believed.add(presence("no such user"))
                await alice.send(candidate(room_id, str(number), seq=number + 2))
            heard = [(await bob.hear()).ice_candidate.candidate for _ in range(100)]
            assert heard == [str(number) for number in range(100)]
            bob.cut()
            # Her own resume is among all of these.
            again = here.connect("bob", 0)
            await again.send(resumable(room_id, resume_token, ack=101))
            assert (await again.hear()).join_room.resumed
            stop.set()
        assert believed == {Presence.UNKNOWN}
        for task in making:
            assert task.result() <= {
                StatusCode.ABORTED,
                StatusCode.UNAVAILABLE,
                StatusCode.RESOURCE_EXHAUSTED,
            }
