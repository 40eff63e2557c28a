"""Clients of several nodes: on one connection, or reconnecting by themselves to any node."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import dyad
import grpc

from tests.conftest import token
from tests.nodes.fleet import Balancer, Fleet, Node
from tests.support.clock import within
from tests.support.ends import SignalEnd, channel, join
from tests.support.process import Served
from tests.support.python_client import UNBOUND

TOLD_SECONDS = 10.0
AHEAD = 50
TOKEN_SECONDS = 600


@asynccontextmanager
async def end(node: Node | Served, sub: str) -> AsyncIterator[SignalEnd]:
    """A participant on one connection, without reconnects."""
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


async def events_until_the_end(listener: SignalEnd) -> list[str | None]:
    """The events that arrive until the stream ends."""
    events: list[str | None] = []
    with contextlib.suppress(grpc.aio.AioRpcError):
        while True:
            events.append((await listener.hear()).WhichOneof("event"))
    return events


class Caller:
    """A participant that reconnects by itself, to any node.

    Attributes:
        way: leads its connections to the nodes.
        heard: the texts of the candidates received.
        told: all other events received.
    """

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


async def refused(there: SignalEnd) -> grpc.StatusCode:
    """The status that a join ends with."""
    with contextlib.suppress(grpc.aio.AioRpcError):
        await there.send(join())
    ended = await there.status()
    assert ended is not None
    code: grpc.StatusCode = ended.code()
    return code


@asynccontextmanager
async def pair(
    here: Fleet, first: list[Node], second: list[Node], *, room_id: str = ""
) -> AsyncIterator[tuple[Caller, Caller]]:
    """Two participants in a room, which their tokens may name; each connects to its nodes.

    Their events are collected until the end.
    """
    async with AsyncExitStack() as stack:
        callers = []
        for name, nodes in (("alice", first), ("bob", second)):
            way = await stack.enter_async_context(Balancer(nodes, random.Random(name)))
            proof = token(name, room=room_id, ttl=TOKEN_SECONDS)
            connection = dyad.connect(
                f"127.0.0.1:{way.port}", proof, plaintext=True, limits=UNBOUND
            )
            callers.append(Caller(await stack.enter_async_context(connection), way))
        alice, bob = callers
        room = await alice.connection.create()
        await bob.connection.join(room.room_id)
        alice.room_id = bob.room_id = room.room_id
        listening = [asyncio.create_task(caller.listen()) for caller in callers]
        await alice.is_told(dyad.PeerJoined)
        try:
            yield alice, bob
        finally:
            for task in listening:
                task.cancel()
            await asyncio.gather(*listening, return_exceptions=True)


async def talk(speaker: Caller, listener: Caller, mark: str, over: asyncio.Event) -> None:
    """Send numbers until `over` is set; they must arrive once and in order."""
    said: list[str] = []
    while not over.is_set():
        # Wait for the listener, or frames would pile up on a busy machine.
        if len(said) - len(listener.heard) < AHEAD:
            said.append(f"{mark} {len(said)}")
            await speaker.connection.send_candidate(dyad.Candidate(said[-1]))
        await asyncio.sleep(0.02)
    await listener.hears(len(said), TOLD_SECONDS + 5)
    assert listener.heard == said


def talk_both_ways(
    tasks: asyncio.TaskGroup, alice: Caller, bob: Caller, over: asyncio.Event
) -> None:
    """Let both `talk` to each other, in tasks of this group."""
    tasks.create_task(talk(alice, bob, "a", over))
    tasks.create_task(talk(bob, alice, "b", over))


async def pairs_on_every_two_nodes(
    here: Fleet, stack: AsyncExitStack
) -> list[tuple[Caller, Caller]]:
    """A pair for each way to choose two nodes; each caller may then move to any node."""
    nodes = here.nodes
    pairs = [
        await stack.enter_async_context(pair(here, [first], [second]))
        for first in nodes
        for second in nodes
    ]
    for two in pairs:
        for caller in two:
            caller.way.nodes = nodes
    return pairs


def lost_nothing(caller: Caller) -> bool:
    """Whether it kept its session over every reconnect, and saw no peer leave."""
    kinds = dyad.Reconnecting | dyad.PeerJoined
    return all(
        isinstance(event, kinds) or (isinstance(event, dyad.Reconnected) and event.resumed)
        for event in caller.told
    )
