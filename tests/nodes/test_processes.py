"""Nodes that die, freeze or drain, and what their participants and peers see."""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import dyad
import grpc
import pytest
from dyad.v1 import signaling_pb2 as pb

from tests.conftest import token
from tests.faults.background import channel
from tests.nodes.fleet import Balancer, Fleet, Node, fleet
from tests.support.clock import within
from tests.support.ends import SignalEnd, candidate, join
from tests.support.process import Served

TOLD_SECONDS = 10.0
LEASE_SECONDS = 6.0
SHORT_SECONDS = 1.5
AHEAD = 50
TOKEN_SECONDS = 600


@asynccontextmanager
async def end(node: Node | Served, sub: str) -> AsyncIterator[SignalEnd]:
    """A participant on one connection that never reconnects."""
    async with channel(node.port) as own:
        there = SignalEnd(own, token(sub, ttl=TOKEN_SECONDS))
        yield there
        there.cut()


async def meet(first: SignalEnd, second: SignalEnd) -> str:
    await first.send(join())
    room_id = (await first.hear()).room_id
    await second.send(join(room_id))
    assert (await second.hear()).HasField("join_room")
    assert (await first.hear()).HasField("join_room")
    return room_id


async def rest(listener: SignalEnd) -> list[str | None]:
    """The events that it receives until its stream ends."""
    events: list[str | None] = []
    with contextlib.suppress(grpc.aio.AioRpcError):
        while True:
            events.append((await listener.hear()).WhichOneof("event"))
    return events


class Party:
    """A participant that reconnects by itself, to any node."""

    def __init__(self, connection: dyad.Connection, way: Balancer) -> None:
        self.connection = connection
        self.room_id = ""
        self.way = way
        self.heard: list[str] = []
        self.told: list[dyad.Event] = []
        self._news = asyncio.Event()

    async def listen(self) -> None:
        async for event in self.connection:
            if isinstance(event, dyad.Candidate):
                self.heard.append(event.candidate)
            else:
                self.told.append(event)
            self._news.set()

    async def hears(self, count: int, seconds: float) -> None:
        async with within(seconds):
            while len(self.heard) < count:
                self._news.clear()
                await self._news.wait()

    async def is_told(self, kind: type[dyad.Event], seconds: float = TOLD_SECONDS) -> dyad.Event:
        async with within(seconds):
            while not (found := [event for event in self.told if isinstance(event, kind)]):
                self._news.clear()
                await self._news.wait()
        return found[-1]


@asynccontextmanager
async def pair(
    here: Fleet, first: list[Node], second: list[Node]
) -> AsyncIterator[tuple[Party, Party]]:
    """Two participants in a room; each connects to the nodes of its list.

    What they are told and hear is gathered until the end.
    """
    async with AsyncExitStack() as stack:
        parties = []
        for name, nodes in (("alice", first), ("bob", second)):
            way = await stack.enter_async_context(Balancer(nodes, random.Random(name)))
            proof = token(name, ttl=TOKEN_SECONDS)
            connection = dyad.connect(f"127.0.0.1:{way.port}", proof)
            parties.append(Party(await stack.enter_async_context(connection), way))
        alice, bob = parties
        room = await alice.connection.create()
        await bob.connection.join(room.room_id)
        alice.room_id = bob.room_id = room.room_id
        listening = [asyncio.create_task(party.listen()) for party in parties]
        await alice.is_told(dyad.PeerJoined)
        try:
            yield alice, bob
        finally:
            for task in listening:
                task.cancel()
            await asyncio.gather(*listening, return_exceptions=True)


async def test_after_a_node_is_killed_peers_are_told_and_its_clients_reconnect() -> None:
    async with fleet(count=2) as here:
        one, two = here.nodes
        async with pair(here, [one], [two]) as (alice, bob):
            bob.way.nodes = [one]
            await two.kill()
            await bob.way.cut()
            left = await alice.is_told(dyad.PeerLeft)
            assert isinstance(left, dyad.PeerLeft)
            assert left.reason is dyad.Departure.DISCONNECTED
            back = await bob.is_told(dyad.Reconnected)
            assert isinstance(back, dyad.Reconnected)
            assert not back.resumed
            await alice.connection.send_candidate(dyad.Candidate("anew"))
            await bob.hears(1, 5)
            assert bob.heard == ["anew"]


async def test_a_node_that_wakes_from_a_freeze_delivers_nothing_from_elsewhere() -> None:
    async with fleet(count=3) as here:
        one, two, three = here.nodes
        async with end(one, "alice") as alice, end(two, "bob") as bob, end(three, "carol") as carol:
            room_id = await meet(alice, bob)
            await alice.send(candidate(room_id, "before"))
            assert (await bob.hear()).ice_candidate.candidate == "before"
            two.freeze()
            told = asyncio.create_task(alice.hear())
            while not told.done():
                await alice.send(candidate(room_id, "while it is frozen"))
                await asyncio.sleep(0.1)
            assert told.result().leave_room.reason == pb.LeaveRoom.REASON_DISCONNECTED
            await carol.send(join(room_id))
            while not (await alice.hear()).HasField("join_room"):
                pass
            two.thaw()
            assert "ice_candidate" not in await rest(bob)
            await alice.send(candidate(room_id, "anew"))
            heard = await carol.hear()
            while not heard.HasField("ice_candidate"):
                heard = await carol.hear()
            assert heard.ice_candidate.candidate == "anew"


async def test_a_short_freeze_loses_nothing() -> None:
    async with fleet(count=2) as here, pair(here, here.nodes[:1], here.nodes[1:]) as (alice, bob):
        over = asyncio.Event()
        async with asyncio.TaskGroup() as talking:
            talking.create_task(talk(alice, bob, "a", over))
            await bob.hears(20, TOLD_SECONDS)
            here.nodes[1].freeze()
            await asyncio.sleep(SHORT_SECONDS)
            here.nodes[1].thaw()
            over.set()
        assert bob.told == []


async def talk(speaker: Party, listener: Party, mark: str, over: asyncio.Event) -> None:
    """Send numbers until it is over; each must arrive once, in order, and nothing else."""
    said: list[str] = []
    while not over.is_set():
        # No faster than they are heard: a busy machine is not to fall behind.
        if len(said) - len(listener.heard) < AHEAD:
            said.append(f"{mark} {len(said)}")
            await speaker.connection.send_candidate(dyad.Candidate(said[-1]))
        await asyncio.sleep(0.02)
    await listener.hears(len(said), TOLD_SECONDS + 5)
    assert listener.heard == said


async def pairs_on_every_two_nodes(here: Fleet, stack: AsyncExitStack) -> list[tuple[Party, Party]]:
    """A pair for each way to choose two nodes; each party may move to any node."""
    nodes = here.nodes
    pairs = [
        await stack.enter_async_context(pair(here, [first], [second]))
        for first in nodes
        for second in nodes
    ]
    for two in pairs:
        for party in two:
            party.way.nodes = nodes
    return pairs


def lost_nothing(party: Party) -> bool:
    kinds = dyad.Reconnecting | dyad.PeerJoined
    return all(
        isinstance(event, kinds) or (isinstance(event, dyad.Reconnected) and event.resumed)
        for event in party.told
    )


async def test_participants_of_a_drained_node_go_on_elsewhere_without_notice() -> None:
    async with fleet() as here, AsyncExitStack() as stack:
        one, two, three = here.nodes
        both = await stack.enter_async_context(pair(here, [one], [one]))
        across = await stack.enter_async_context(pair(here, [one], [two]))
        over = asyncio.Event()
        async with asyncio.TaskGroup() as talking:
            for alice, bob in (both, across):
                talking.create_task(talk(alice, bob, "a", over))
                talking.create_task(talk(bob, alice, "b", over))
            await asyncio.sleep(0.5)
            for party in (*both, across[0]):
                party.way.nodes = [two, three]
            await one.drain()
            for party in (*both, across[0]):
                await party.is_told(dyad.Reconnected)
            over.set()
        assert all(map(lost_nothing, (*both, *across))), [party.told for party in (*both, *across)]


async def test_a_burst_interrupted_by_a_drain_continues_where_it_stopped() -> None:
    async with fleet(count=2) as here, pair(here, here.nodes, here.nodes) as (alice, bob):
        said: list[str] = []
        for turn in range(4):
            node = here.nodes[turn % 2]
            over = asyncio.Event()

            async def talk_on(turn: int = turn, over: asyncio.Event = over) -> None:
                while not over.is_set():
                    # Less than is kept for one who is away.
                    if len(said) - len(bob.heard) < 100:
                        said.append(f"{turn} {len(said)}")
                        await alice.connection.send_candidate(dyad.Candidate(said[-1]))
                    await asyncio.sleep(0)

            async with asyncio.TaskGroup() as talking:
                talking.create_task(talk_on())
                await asyncio.sleep(0.2)
                await node.drain()
                over.set()
            await bob.hears(len(said), TOLD_SECONDS)
            await node.start()
        assert bob.heard == said
        assert lost_nothing(alice), alice.told
        assert lost_nothing(bob), bob.told


async def test_a_late_resume_after_a_drain_loses_nothing() -> None:
    async with (
        fleet("--resume-grace", "60", count=2) as here,
        pair(here, here.nodes[:1], here.nodes[1:]) as (alice, bob),
    ):
        await alice.way.refuse()
        draining = asyncio.create_task(here.nodes[0].drain())
        for number in range(100):
            await bob.connection.send_candidate(dyad.Candidate(str(number)))
        await draining
        alice.way.nodes = here.nodes[1:]
        # Longer than a message between nodes may go unacknowledged.
        await asyncio.sleep(9)
        await alice.way.accept()
        await alice.hears(100, TOLD_SECONDS)
        assert alice.heard == [str(number) for number in range(100)]
        assert lost_nothing(alice)
        assert lost_nothing(bob)


async def test_the_last_frames_before_a_leave_reach_a_peer_between_two_nodes() -> None:
    async with fleet(count=2) as here, pair(here, here.nodes[:1], here.nodes[1:]) as (alice, bob):
        await alice.way.refuse()
        await here.nodes[0].drain()
        await bob.connection.send_candidate(dyad.Candidate("last words"))
        await bob.connection.leave()
        alice.way.nodes = here.nodes[1:]
        await alice.way.accept()
        left = await alice.is_told(dyad.PeerLeft)
        assert isinstance(left, dyad.PeerLeft)
        assert left.reason is dyad.Departure.LEFT
        assert alice.heard == ["last words"]


async def test_a_participant_that_never_resumes_after_a_drain_is_disconnected() -> None:
    async with (
        fleet("--resume-grace", "4", count=2) as here,
        pair(here, here.nodes[:1], here.nodes[1:]) as (alice, bob),
    ):
        await alice.way.refuse()
        await here.nodes[0].drain()
        drained_at = time.monotonic()
        await bob.is_told(dyad.PeerLeft)
        assert time.monotonic() - drained_at > 2


@pytest.mark.xdist_group("crowd")
async def test_a_rolling_restart_of_all_nodes_under_load_drops_no_call() -> None:
    async with fleet() as here, AsyncExitStack() as stack:
        pairs = await pairs_on_every_two_nodes(here, stack)
        parties = [party for two in pairs for party in two]
        over = asyncio.Event()
        async with asyncio.TaskGroup() as talking:
            for alice, bob in pairs:
                talking.create_task(talk(alice, bob, "a", over))
                talking.create_task(talk(bob, alice, "b", over))
            for node in here.nodes:
                await asyncio.sleep(1)
                await node.drain()
                await node.start()
            over.set()
        assert all(map(lost_nothing, parties)), [party.told for party in parties]
        moved = [party for party in parties if party.told]
        assert len(moved) == len(parties), "somebody was on no node that was restarted"


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
