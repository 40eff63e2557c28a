"""Participants on different nodes, with no faults but broken connections."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager

import grpc
import pytest
import redis
from dyad.v1 import signaling_pb2 as pb
from dyad_server.core.states import State
from dyad_server.engines.redis.engine import RedisBroker
from dyad_server.server import Server
from redis.asyncio import Redis

from tests.conftest import serving, token
from tests.integration.test_nodes import Nodes, nodes
from tests.nodes.callers import end
from tests.nodes.fleet import fleet
from tests.support.clock import within
from tests.support.ends import End, SignalEnd, candidate, channel, end_of, join, leave
from tests.support.proxy import Proxy, Way
from tests.support.seats import hear, resumable, resumes
from tests.support.until import until


@pytest.mark.usefixtures("patient_nodes")
async def test_a_participant_that_leaves_and_joins_again_is_heard_again(
    transport: type[End],
) -> None:
    async with nodes(transport) as here:
        alice, bob = here.connect("alice", 0), here.connect("bob", 1)
        await alice.send(join())
        room_id = (await hear(alice, "join_room")).room_id
        for turn in range(4):
            await bob.send(join(room_id))
            assert (await hear(bob, "join_room")).join_room.peer.user_id == "alice"
            assert (await hear(alice, "join_room")).sender.user_id == "bob"
            for speaker, listener in ((alice, bob), (bob, alice)):
                for number in range(5):
                    await speaker.send(candidate(room_id, f"{turn} {number}"))
                for number in range(5):
                    frame = await hear(listener, "ice_candidate")
                    assert frame.ice_candidate.candidate == f"{turn} {number}"
            await bob.send(leave(room_id))
            await hear(bob, "leave_room")
            assert (await hear(alice, "leave_room")).leave_room.reason == pb.LeaveRoom.REASON_LEFT


async def resumes_on_alices_node(here: Nodes, alice: End, room_id: str, resume_token: str) -> None:
    """Bob resumes on Alice's node, and receives what she sent while he was away."""
    await alice.send(candidate(room_id, "still here", seq=2))
    back = here.connect("bob", 0)
    await resumes(back, room_id, resume_token)
    assert (await hear(back, "ice_candidate")).ice_candidate.candidate == "still here"


@asynccontextmanager
async def another(here: Nodes, network: Proxy | None = None) -> AsyncIterator[Server]:
    """Run one more node, with a channel to it; it reaches Redis through `network`."""
    async with (
        serving(redis=here.redis.through(network.port if network else here.redis.port)) as server,
        grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel,
    ):
        here.channels.append(channel)
        await channel.channel_ready()
        yield server


@pytest.mark.parametrize("milliseconds", range(8))
async def test_a_participant_that_arrives_at_a_draining_node_goes_on_to_the_next(
    milliseconds: int,
) -> None:
    async with nodes(SignalEnd, 2) as here:
        alice, bob, room_id, resume_token = await here.pair(0, 1)
        async with serving(redis=here.redis.url) as third:
            channel = grpc.aio.insecure_channel(f"127.0.0.1:{third.port}")
            here.channels.append(channel)
            await channel.channel_ready()
            bob.cut()
            between = here.connect("bob", 2)
            await between.send(resumable(room_id, resume_token, ack=1))
            await asyncio.sleep(milliseconds / 1000)
            await third.stop()
        with contextlib.suppress(grpc.aio.AioRpcError, EOFError):
            # A resume that was answered has a newer token.
            resume_token = (await between.hear()).join_room.resume_token
        await channel.close()
        await resumes_on_alices_node(here, alice, room_id, resume_token)


def when_it_asks_for_a_seat(server: Server, act: Callable[[], object]) -> asyncio.Event:
    """Act right before this node asks Redis for a handed-off seat; returns an event for that."""
    broker = server.dyad.hub._broker  # noqa: SLF001 - between two questions to Redis
    assert isinstance(broker, RedisBroker)
    expect = broker.expect
    asked = asyncio.Event()

    def acted(member_id: str) -> AbstractContextManager[None]:
        act()
        asked.set()
        return expect(member_id)

    broker.expect = acted  # type: ignore[method-assign]
    return asked


def pause(port: int) -> None:
    """Stop Redis from answering for a minute."""
    with redis.Redis(port=port) as client:
        client.client_pause(60_000, all=False)


async def test_a_seat_received_by_a_stopping_node_is_handed_off_again() -> None:
    async with nodes(SignalEnd, 1) as here, Redis(port=here.redis.port) as client:
        async with another(here):
            alice, _, room_id, resume_token = await here.pair(0, 1)
        async with another(here) as third:
            asked = when_it_asks_for_a_seat(third, lambda: pause(here.redis.port))
            between = here.connect("bob", 2)
            await between.send(resumable(room_id, resume_token, ack=1))
            await asked.wait()
            ending = asyncio.create_task(third.stop())
            assert (await end_of(between)).code() is grpc.StatusCode.UNAVAILABLE
            early, _ = await asyncio.wait({ending}, timeout=0.3)
            assert not early, "it does not wait for the answer of Redis"
            # Only now does Redis give Bob's seat to the third node.
            await client.client_unpause()
            await ending
        await resumes_on_alices_node(here, alice, room_id, resume_token)


async def test_a_seat_received_late_by_a_stopping_node_is_handed_off_again() -> None:
    async with nodes(SignalEnd, 1) as here, Proxy(here.redis.port) as network:
        async with another(here):
            alice, _, room_id, resume_token = await here.pair(0, 1)
        async with another(here, network) as third:
            # Redis gives Bob's seat to this node, but the answer is lost until the next connection.
            asked = when_it_asks_for_a_seat(third, lambda: network.stall(Way.BACK, new=False))
            between = here.connect("bob", 2)
            await between.send(resumable(room_id, resume_token, ack=1))
            await asked.wait()
            ending = asyncio.create_task(third.stop())
            assert (await end_of(between)).code() is grpc.StatusCode.UNAVAILABLE
            await ending
        await resumes_on_alices_node(here, alice, room_id, resume_token)


async def test_a_drain_during_a_short_redis_outage_hands_off_all_seats() -> None:
    async with nodes(SignalEnd, 1) as here, Redis(port=here.redis.port) as client:
        async with another(here) as second:
            alice, bob, room_id, resume_token = await here.pair(0, 1)
            await client.client_pause(60_000, all=False)
            await until(lambda: not second.dyad.hub.ready)
            ending = asyncio.create_task(second.stop())
            assert (await end_of(bob)).code() is grpc.StatusCode.UNAVAILABLE
            await client.client_unpause()
            await ending
        await resumes_on_alices_node(here, alice, room_id, resume_token)


async def test_a_client_that_retries_before_the_first_answer_resumes() -> None:
    async with nodes(SignalEnd, 2) as here, Redis(port=here.redis.port) as client:
        alice, bob, room_id, resume_token = await here.pair(0, 1)
        await here.servers[1].stop()
        assert (await end_of(bob)).code() is grpc.StatusCode.UNAVAILABLE
        await client.client_pause(60_000, all=False)
        hub = here.servers[0].dyad.hub

        async def tries_again(tries: int) -> End:
            again = here.connect("bob", 0)
            await again.send(resumable(room_id, resume_token, ack=1))
            await until(lambda: sum(each.spoke for each in hub) == 1 + tries)
            return again

        await tries_again(1)
        again = await tries_again(2)
        await client.client_unpause()
        assert (await again.hear()).join_room.resumed
        await alice.send(candidate(room_id, "still here", seq=2))
        assert (await hear(again, "ice_candidate")).ice_candidate.candidate == "still here"


async def test_a_resuming_client_is_told_at_once_that_the_node_drains() -> None:
    async with nodes(SignalEnd, 1) as here, Redis(port=here.redis.port) as client:
        async with another(here) as second:
            alice, bob, room_id, resume_token = await here.pair(0, 1)
            bob.cut()
            await until(
                lambda: any(participant.state is State.RESERVED for participant in second.dyad.hub)
            )
            (reserved,) = second.dyad.hub
            await client.client_pause(60_000, all=False)
            between = here.connect("bob", 1)
            await between.send(resumable(room_id, resume_token, ack=1))
            await until(lambda: reserved.state is State.RESUMING)
            ending = asyncio.create_task(second.stop())
            async with within(1):
                assert (await end_of(between)).code() is grpc.StatusCode.UNAVAILABLE
            await client.client_unpause()
            await ending
        await resumes_on_alices_node(here, alice, room_id, resume_token)


async def test_the_time_alone_in_a_room_goes_on_across_nodes() -> None:
    async with nodes(SignalEnd, lone_timeout=5.0) as here:
        alice = here.connect("alice", 0)
        await alice.send(resumable())
        created = await alice.hear()
        alice.cut()
        back = here.connect("alice", 1)
        await back.send(resumable(created.room_id, created.join_room.resume_token, ack=1))
        assert (await back.hear()).join_room.resumed
        ended = await back.status()
        assert ended is not None
        assert ended.code() is grpc.StatusCode.DEADLINE_EXCEEDED


async def test_fifty_users_race_on_three_nodes_and_one_gets_the_seat() -> None:
    async with fleet() as here, AsyncExitStack() as stack:
        nodes = here.nodes
        for turn in range(5):
            alice = await stack.enter_async_context(end(nodes[turn % 3], "alice"))
            await alice.send(join())
            room_id = (await alice.hear()).room_id
            channels = [await stack.enter_async_context(channel(node.port)) for node in nodes]
            joiners = [SignalEnd(channels[n % 3], token(f"user-{n}")) for n in range(50)]

            async def answer(joiner: SignalEnd, room_id: str = room_id) -> pb.Frame:
                await joiner.send(join(room_id))
                return await joiner.hear()

            answers = await asyncio.gather(*map(answer, joiners))
            joined = [frame for frame in answers if frame.HasField("join_room")]
            assert len(joined) == 1
            codes = {frame.error.code for frame in answers if frame.HasField("error")}
            assert codes == {pb.Error.CODE_ROOM_FULL}
            assert (await alice.hear()).HasField("join_room")
            for joiner in joiners:
                joiner.cut()
