"""Several nodes on one Redis, and participants on different nodes."""

import contextlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import grpc
import pytest
from dyad.v1 import signaling_pb2 as pb
from dyad.v1 import signaling_pb2_grpc as pb_grpc
from dyad_server.server import Server

from tests.conftest import serving, token
from tests.support.clock import within
from tests.support.ends import End, ListenEnd, candidate, join, leave, offer
from tests.support.redis import RedisServer, settled_redis
from tests.support.seats import meet, resumable


class Nodes:
    def __init__(self, servers: list[Server], transport: type[End], redis: RedisServer) -> None:
        self.servers = servers
        self.transport = transport
        self.redis = redis
        self.channels: list[grpc.aio.Channel] = []
        self.opened: list[End] = []
        self.resume_tokens: dict[str, str] = {}

    def connect(self, sub: str, node: int) -> End:
        end = self.transport(self.channels[node], token(sub))
        self.opened.append(end)
        return end

    async def pair(self, first: int = 0, second: int = 1) -> tuple[End, End, str, str]:
        """Alice on one node, Bob on another, their room, and Bob's resume token."""
        alice, bob = self.connect("alice", first), self.connect("bob", second)
        room_id, self.resume_tokens["alice"], resume_token = await meet(alice, bob)
        return alice, bob, room_id, resume_token


@asynccontextmanager
async def nodes(transport: type[End], count: int = 2, **settings: Any) -> AsyncIterator[Nodes]:
    async with AsyncExitStack() as stack:
        redis = await stack.enter_async_context(settled_redis())
        servers = [
            await stack.enter_async_context(serving(redis=redis.url, **settings))
            for _ in range(count)
        ]
        here = Nodes(servers, transport, redis)
        for server in servers:
            channel = grpc.aio.insecure_channel(f"127.0.0.1:{server.port}")
            here.channels.append(await stack.enter_async_context(channel))
        yield here
        for end in here.opened:
            end.cut()


@pytest.mark.usefixtures("patient_nodes")
async def test_a_call_between_two_nodes(transport: type[End]) -> None:
    async with nodes(transport) as here:
        alice, bob, room_id, _ = await here.pair()
        await alice.send(*(candidate(room_id, str(n), seq=n + 2) for n in range(100)))
        await bob.send(offer(room_id, "from bob", seq=2))
        heard = [(await bob.hear()).ice_candidate.candidate for _ in range(100)]
        assert heard == [str(n) for n in range(100)]
        frame = await alice.hear()
        while not frame.HasField("offer"):
            frame = await alice.hear()
        assert (frame.offer.sdp, frame.sender.user_id) == ("from bob", "bob")
        await bob.send(leave(room_id, seq=3))
        while not frame.HasField("leave_room"):
            frame = await alice.hear()
        assert frame.leave_room.reason == pb.LeaveRoom.REASON_LEFT


@pytest.mark.usefixtures("patient_nodes")
async def test_a_seat_is_resumed_on_another_node(transport: type[End]) -> None:
    async with nodes(transport, 3) as here:
        alice, bob, room_id, resume_token = await here.pair(0, 1)
        await alice.send(candidate(room_id, "one", seq=2))
        assert (await bob.hear()).ice_candidate.candidate == "one"
        said = 2
        acked = 2
        for node in (2, 0, 1, 2, 1):
            bob.cut()
            said += 1
            await alice.send(candidate(room_id, f"before {node}", seq=said))
            bob = here.connect("bob", node)
            await bob.send(resumable(room_id, resume_token, ack=acked))
            back = await bob.hear()
            assert back.join_room.resumed
            assert back.join_room.peer.user_id == "alice"
            resume_token = back.join_room.resume_token
            said += 1
            await alice.send(candidate(room_id, f"after {node}", seq=said))
            heard = [(await bob.hear()).ice_candidate.candidate for _ in range(2)]
            assert heard == [f"before {node}", f"after {node}"]
            acked += 2
            await bob.send(offer(room_id, f"from {node}", seq=back.ack + 1))
            frame = await alice.hear()
            while not frame.HasField("offer"):
                frame = await alice.hear()
            assert frame.offer.sdp == f"from {node}"


@pytest.mark.usefixtures("patient_nodes")
async def test_clients_of_a_drained_node_continue_on_another_without_loss(
    transport: type[End],
) -> None:
    async with nodes(transport, 2) as here:
        alice, bob, room_id, resume_token = await here.pair(0, 0)
        created = here.resume_tokens["alice"]
        await alice.send(candidate(room_id, "one", seq=2), candidate(room_id, "two", seq=3))
        assert (await bob.hear()).ice_candidate.candidate == "one"
        await here.servers[0].stop()
        for end in (alice, bob):
            ended = await end.status()
            assert ended is not None
            assert ended.code() is grpc.StatusCode.UNAVAILABLE
        back_bob = here.connect("bob", 1)
        await back_bob.send(resumable(room_id, resume_token, ack=2))
        assert (await back_bob.hear()).join_room.resumed
        assert (await back_bob.hear()).ice_candidate.candidate == "two"
        await back_bob.send(offer(room_id, "while alice is away", seq=2))
        back_alice = here.connect("alice", 1)
        await back_alice.send(resumable(room_id, created, ack=2))
        assert (await back_alice.hear()).join_room.resumed
        assert (await back_alice.hear()).offer.sdp == "while alice is away"
        await back_alice.send(offer(room_id, "and back", seq=4))
        assert (await back_bob.hear()).offer.sdp == "and back"


@pytest.mark.usefixtures("patient_nodes")
async def test_a_send_to_another_node_is_forwarded() -> None:
    async with nodes(ListenEnd) as here:
        alice, bob, room_id, _ = await here.pair(0, 1)
        assert isinstance(alice, ListenEnd)
        assert isinstance(bob, ListenEnd)
        alice.stub, bob.stub = bob.stub, alice.stub
        await alice.send(offer(room_id, "by another way", seq=2))
        assert (await bob.hear()).offer.sdp == "by another way"
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await bob.stub.Send(pb.SendRequest(session_id=alice.session_id), metadata=bob.metadata)
        assert refused.value.code() is grpc.StatusCode.NOT_FOUND


@pytest.mark.usefixtures("patient_nodes")
async def test_a_send_is_refused_in_the_same_way_by_way_of_another_node() -> None:
    async with nodes(ListenEnd) as here:
        large = offer("", "v" * 70_000)
        refusals = []
        for way in (0, 1):
            end = here.connect(f"user {way}", 0)
            assert isinstance(end, ListenEnd)
            await end.send(join())
            end.stub = pb_grpc.SignalingStub(here.channels[way])
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await end.send(large)
            counted = here.servers[way].dyad.metrics.registry.get_sample_value
            labels = {"status": "RESOURCE_EXHAUSTED", "reason": "frame_too_large"}
            assert counted("dyad_requests_refused_total", labels) == 1
            refusals.append(
                (
                    refused.value.code(),
                    refused.value.details(),
                    refused.value.trailing_metadata(),
                )
            )
        assert refusals[0] == refusals[1]


async def test_without_redis_joins_are_refused_and_pairs_on_one_node_continue(
    transport: type[End],
) -> None:
    # With no Redis, a drain takes all of its time.
    async with nodes(transport, drain_timeout=1) as here:
        alice, bob, room_id, _ = await here.pair(0, 0)
        here.redis.process.kill()
        await here.redis.process.wait()
        carol = here.connect("carol", 1)
        async with within(2.5):
            with contextlib.suppress(grpc.aio.AioRpcError):
                await carol.send(join())
            ended = await carol.status()
        assert ended is not None
        assert ended.code() is grpc.StatusCode.UNAVAILABLE
        await alice.send(offer(room_id, "still here", seq=2))
        assert (await bob.hear()).offer.sdp == "still here"
