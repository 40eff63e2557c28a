"""A fleet with two Redis: one of them fails, is put into use, or is taken out of use."""

import asyncio
import os
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import dyad
import grpc
import pytest
from dyad.v1 import signaling_pb2 as pb
from dyad_server.core import bounds as core_bounds
from dyad_server.core.events import Departure, Joined, OutOfSync, PeerJoined
from dyad_server.engines.redis.addresses import places, read_addresses
from dyad_server.engines.redis.engine import RedisBroker
from dyad_server.engines.redis.sharded import ShardedBroker
from dyad_server.server import Server
from redis.asyncio import Redis

from tests.conftest import serving, token
from tests.nodes.brokers import enter_when_ready, entered, exchange, sharded_party
from tests.nodes.callers import (
    TOKEN_SECONDS,
    Caller,
    end,
    lost_nothing,
    meet,
    pair,
    talk_both_ways,
)
from tests.nodes.fleet import Fleet, Node, fleet, serve_to_the_end
from tests.nodes.pulse import Pulse
from tests.support.clock import within
from tests.support.ends import ListenEnd, SignalEnd, channel, join, offer
from tests.support.needs import needs
from tests.support.redis import redis_server, settled_redis
from tests.support.seats import resumable

SECONDS = float(os.environ.get("STORM_EMPTIED_SECONDS", "12"))
# In a short run it is emptied more often than in a long one.
EMPTIED_EVERY = 30.0 if "STORM_EMPTIED_SECONDS" in os.environ else 3.0
SERVED_SECONDS = 10.0
REFUSED_SECONDS = 3.0
BOTH = ("a", "b")
ADDRESSES = read_addresses("redis://one#a redis://two#b")


def room_at(name: str) -> str:
    """A room that the Redis of this name has."""
    while places(room_id := str(uuid.uuid4()), ADDRESSES)[0].name != name:
        pass
    return room_id


@asynccontextmanager
async def member(node: Node | Server, sub: str, room_id: str) -> AsyncIterator[SignalEnd]:
    """A participant whose token names the room; it has not asked to enter yet."""
    async with channel(node.port) as own:
        there = SignalEnd(own, token(sub, room=room_id, ttl=TOKEN_SECONDS))
        yield there
        there.cut()


async def enters(node: Node, room_id: str) -> grpc.StatusCode:
    """How a stream of a new participant goes on that creates this room."""
    async with member(node, f"user-{uuid.uuid4()}", room_id) as there:
        try:
            await there.send(join())
            await there.hear()
        except (grpc.aio.AioRpcError, EOFError):
            ended = await there.status()
            assert ended is not None
            code: grpc.StatusCode = ended.code()
            return code
        return grpc.StatusCode.OK


async def until_it_enters(node: Node, room_id: str) -> None:
    async with within(SERVED_SECONDS):
        while await enters(node, room_id) is not grpc.StatusCode.OK:  # noqa: ASYNC110 - asked, it does not tell
            await asyncio.sleep(0.1)


def noticed_nothing(caller: Caller) -> bool:
    """Whether it was told of its peer, and of nothing else."""
    return all(isinstance(event, dyad.PeerJoined) for event in caller.told)


async def empty(here: Fleet) -> None:
    await here.engines["a"].flush()


async def replace(here: Fleet) -> None:
    await here.engines["a"].restart(1.0)


async def stall(here: Fleet) -> None:
    for node in here.nodes:
        node.networks["a"].stall()
    await asyncio.sleep(2.0)
    for node in here.nodes:
        node.networks["a"].resume_forwarding()


FAULTS: Sequence[Callable[[Fleet], Awaitable[None]]] = (empty, replace, stall)


@pytest.mark.long
@pytest.mark.xdist_group("busy")
@pytest.mark.timeout(900)
async def test_calls_on_one_redis_notice_nothing_while_the_other_one_fails() -> None:
    async with fleet(count=2, redis="ab") as here, AsyncExitStack() as stack:
        one, two = here.nodes
        calls = [
            await stack.enter_async_context(pair(here, [first], [second], room_id=room_at("b")))
            for first, second in ((one, one), (one, two), (two, one))
        ]
        processes = [*(node.process for node in here.nodes), here.engines["b"].redis.process]
        over, pulse = asyncio.Event(), Pulse(process.pid for process in processes)
        entered = 0
        starved = False
        async with asyncio.TaskGroup() as talking:
            beating = talking.create_task(pulse.beat())
            for alice, bob in calls:
                talk_both_ways(talking, alice, bob, over)
            began = time.monotonic()
            turn = 0
            while time.monotonic() - began < SECONDS:
                await FAULTS[turn % len(FAULTS)](here)
                turn += 1
                until = time.monotonic() + EMPTIED_EVERY
                while time.monotonic() < until:
                    code = await enters(here.nodes[entered % 2], room_at("b"))
                    # Where no process gets CPU in time, both Redis are out of reach.
                    starved = starved or pulse.missed
                    assert code is grpc.StatusCode.OK or pulse.missed
                    entered += 1
                    await asyncio.sleep(0.1)
            over.set()
            beating.cancel()
        for alice, bob in calls:
            assert noticed_nothing(alice) or starved, alice.told
            assert noticed_nothing(bob) or starved, bob.told
        heard = sum(len(caller.heard) for call in calls for caller in call)
        print(f"{turn} faults, {heard} frames and {entered} joins meanwhile")


async def test_a_redis_that_is_away_refuses_its_own_rooms_and_no_others() -> None:
    async with fleet(count=2, redis="ab") as here:
        one, two = here.nodes
        await here.engines["a"].redis.end()
        async with within(REFUSED_SECONDS):
            assert await enters(one, room_at("a")) is grpc.StatusCode.UNAVAILABLE
        assert await enters(one, room_at("b")) is grpc.StatusCode.OK
        assert await one.health() == "SERVING"
        assert "redis is away reason=ConnectionError redis=a" in one.said
        for _ in range(8):
            # The server chooses the id of a new room, so it is in the Redis that is there.
            async with end(one, "alice") as alice, end(two, "bob") as bob:
                assert places(await meet(alice, bob), ADDRESSES)[0].name == "b"
        await here.engines["b"].redis.end()
        await one.says("NOT_SERVING", SERVED_SECONDS)
        await here.engines["a"].restart()
        await one.says("SERVING", SERVED_SECONDS)
        await until_it_enters(one, room_at("a"))


async def test_a_node_starts_while_one_redis_is_away() -> None:
    async with fleet(count=1, redis="ab") as here:
        (node,) = here.nodes
        await node.close()
        await here.engines["a"].redis.end()
        await node.start()
        await node.says("SERVING", SERVED_SECONDS)
        assert await enters(node, room_at("b")) is grpc.StatusCode.OK
        await here.engines["a"].restart()
        await until_it_enters(node, room_at("a"))


async def test_a_send_reaches_the_node_of_its_session_while_one_redis_is_away() -> None:
    async with fleet(count=2, redis="ab") as here, AsyncExitStack() as stack:
        one, two = here.nodes
        room_id = room_at("b")
        bob = await stack.enter_async_context(member(two, "bob", room_id))
        await bob.send(join())
        await bob.hear()
        here_, there = [await stack.enter_async_context(channel(node.port)) for node in (one, two)]
        alice = ListenEnd(here_, token("alice", room=room_id))
        await alice.send(join())
        await alice.hear()
        await bob.hear()
        await here.engines["a"].redis.end()
        # Her next requests come to the other node, from the moment on at which Redis is gone.
        alice.stub = ListenEnd(there, "").stub
        for number in range(20):
            await alice.send(offer(room_id, str(number), seq=number + 1))
            assert (await bob.hear()).offer.sdp == str(number)
        alice.cut()


async def test_participants_of_a_drained_node_go_on_through_the_redis_of_their_room() -> None:
    async with fleet(count=3, redis="ab") as here, AsyncExitStack() as stack:
        one, two, three = here.nodes
        calls = [
            await stack.enter_async_context(pair(here, [one], [second], room_id=room_at(name)))
            for name in BOTH
            for second in (one, two)
        ]
        over = asyncio.Event()
        async with asyncio.TaskGroup() as talking:
            for alice, bob in calls:
                talk_both_ways(talking, alice, bob, over)
                for caller in (alice, bob):
                    caller.way.nodes = [two, three]
            await one.drain()
            for alice, _ in calls:
                await alice.is_told(dyad.Reconnected)
            over.set()
        for caller in (caller for call in calls for caller in call):
            assert lost_nothing(caller), caller.told


async def test_a_drain_hands_off_the_seats_of_one_redis_while_the_other_one_is_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(core_bounds, "DRAIN_BATCH", 1)
    async with settled_redis() as one, settled_redis() as two:
        both = f"{one.url}#a {two.url}#b"
        async with serving(redis=both, drain_timeout=2.0) as server, AsyncExitStack() as stack:
            for number in range(10):
                room_id = room_at(BOTH[number % 2])
                alice = await stack.enter_async_context(member(server, "alice", room_id))
                await alice.send(resumable(room_id))
                await alice.hear()
            await one.end()
            drained = await server.dyad.drain()
        assert (drained.handed_off, drained.lost) == (5, 5)


@pytest.mark.long
@pytest.mark.parametrize(
    "steps",
    [
        (("a",), ("a", "b:closed"), ("a", "b:changing")),
        (("a", "b"), ("a:changing", "b"), ("a:closed", "b")),
    ],
    ids=["into use", "out of use"],
)
async def test_calls_go_on_while_a_redis_is_put_into_use_or_out_of_use(
    steps: Sequence[Sequence[str]],
) -> None:
    first, *later = steps
    async with fleet(count=2, redis="ab", listed=first) as here, AsyncExitStack() as stack:
        one, two = here.nodes
        calls: list[tuple[Caller, Caller]] = []
        over = asyncio.Event()
        async with asyncio.TaskGroup() as talking:
            for step in later:
                for node in here.nodes:
                    await node.drain()
                    node.listed = step
                    await node.start()
                    # After the first node of a step, the lists of the two differ.
                    for room_id in map(room_at, BOTH):
                        call = pair(here, [one], [two], room_id=room_id)
                        calls.append(await stack.enter_async_context(call))
                        for caller in calls[-1]:
                            caller.way.nodes = [*here.nodes]
                        talk_both_ways(talking, *calls[-1], over)
            over.set()
        for caller in (caller for call in calls for caller in call):
            assert lost_nothing(caller), caller.told


async def test_a_user_keeps_its_seat_where_the_room_is_whatever_the_lists_of_nodes_say() -> None:
    async with fleet(count=2, redis="ab") as here, AsyncExitStack() as stack:
        one, two = here.nodes
        two.listed = ["a", "b:changing"]
        await two.drain()
        await two.start()
        for number in range(6):
            room_id = room_at("b")
            first, second = (one, two) if number % 2 else (two, one)
            older = await stack.enter_async_context(member(first, "alice", room_id))
            await older.send(join())
            await older.hear()
            newer = await stack.enter_async_context(member(second, "alice", room_id))
            await newer.send(join())
            assert not (await newer.hear()).join_room.HasField("peer")
            ended = await older.status()
            assert ended is not None
            assert ended.code() is grpc.StatusCode.ABORTED
            third = await stack.enter_async_context(member(first, "bob", room_id))
            await third.send(join())
            assert (await third.hear()).join_room.peer.user_id == "alice"
            fourth = await stack.enter_async_context(member(second, "carol", room_id))
            await fourth.send(join())
            assert (await fourth.hear()).error.code == pb.Error.CODE_ROOM_FULL


async def until_gone(shard: RedisBroker, node: str) -> None:
    """Wait until this Redis considers a node gone."""
    loop = asyncio.get_running_loop()
    async with within(SERVED_SECONDS):
        gone: list[str] | None = None
        while not gone:
            answer: asyncio.Future[list[str] | None] = loop.create_future()
            shard.membership.ask(shard.membership.store.nodes_gone([node]), answer.set_result, 2.0)
            gone = await answer
            await asyncio.sleep(0.1)


@pytest.mark.parametrize("first", [("a", "b:closed"), ("a", "b:changing")])
async def test_a_member_whose_node_was_cut_off_is_told_that_its_room_began_anew(
    first: Sequence[str],
) -> None:
    second = ("a", "b:changing") if "b:closed" in first else ("a", "b:closed")
    async with sharded_party([first, second, second]) as here:
        one, two = here.nodes[:2]
        place = 0 if "b:closed" in first else 1
        alice = here.guest("alice", 0, room_at("b"))
        assert await entered(alice) == Joined(None, polite=False)
        one.networks[place].stall()
        assert isinstance(two.broker, ShardedBroker)
        await until_gone([*two.broker][place], one.broker.node)
        # The other one of the two Redis may have the room now.
        bob = here.guest("bob", 1, alice.room)
        assert await entered(bob) == Joined(None, polite=False)
        one.networks[place].resume_forwarding()
        assert await alice.told() == OutOfSync()
        alice.leave(Departure.DISCONNECTED)
        carol = here.guest("carol", 0, alice.room)
        assert await enter_when_ready(carol) == Joined(bob.member, polite=True)
        assert await bob.told() == PeerJoined(carol.member)
        await exchange(bob, carol, "anew")


@pytest.mark.parametrize(
    ("redis", "sentence"),
    [
        ("{a} {b}", "each needs a name"),
        ("{a}#a {a}#b", "no two addresses may be the same Redis"),
        ("{a}#a {wrong}#b", "b: Redis refuses this node"),
        ("{b}#a {a}#b", "b: This Redis has the name x, and --redis gives it the name b."),
    ],
)
async def test_addresses_that_cannot_be_used_end_the_start(redis: str, sentence: str) -> None:
    needs("redis-server")
    async with settled_redis() as one, redis_server() as two, Redis(port=one.port) as client:
        if "name x" in sentence:
            await client.set("dyad:name", "x")
        wrong = f"redis://dyad:wrong@127.0.0.1:{two.port}"
        text = redis.format(a=one.url, b=two.url, wrong=wrong)
        status, said = await serve_to_the_end(text)
    assert status == 2
    assert sentence in said
    assert "Traceback" not in said
