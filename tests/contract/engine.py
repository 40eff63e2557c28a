"""The engines that keep the promise of `core.ports.Broker`, each with one node or several."""

import asyncio
import functools
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from dyad_server.core.events import Event, Joined, Member, Output, PeerJoined
from dyad_server.core.ports import Broker
from dyad_server.engines.memory import MemoryBroker
from dyad_server.engines.redis.engine import RedisBroker
from dyad_server.engines.redis.fleet_membership import FleetMembership
from dyad_server.ops.clock import LoopClock

from tests.support.needs import needs
from tests.support.redis import redis_server
from tests.support.shards import listed, sharded_broker
from tests.support.until import PATIENCE

# What each of two nodes has in `--redis`, by the names of two servers.
LISTS = {
    "two servers": (("a", "b"), ("a", "b")),
    # A fleet that begins to use `b`, or ceases to: each step of the rollout.
    "b unknown": (("a",), ("a", "b:closed")),
    "b changing": (("a", "b:closed"), ("a", "b:changing")),
    "b open": (("a", "b:changing"), ("a", "b")),
}
KINDS = pytest.mark.parametrize("kind", ["memory", "redis 1", "redis 2", *LISTS])
"""Runs a test for each engine; `redis 2` has two nodes, and so has each of `LISTS`."""


class Engine:
    """The nodes of an engine. Each user has a node of its own, if there are enough."""

    def __init__(self) -> None:
        self.nodes: list[Broker] = []
        self.outputs: dict[str, asyncio.Queue[Output]] = defaultdict(asyncio.Queue)
        self.made = 0

    def deliver(self, output: Output) -> None:
        self.outputs[output.to].put_nowait(output)

    def member(self, user: str) -> Member:
        self.made += 1
        return Member(f"{user}-{uuid.uuid4().hex}", user, f"{user}@x")

    def of(self, member: Member, index: int | None = None) -> Broker:
        order = {"alice": 0, "bob": 1, "carol": 0}
        place = order.get(member.user_id, 0) if index is None else index
        return self.nodes[place % len(self.nodes)]

    async def told(self, member: Member) -> Event:
        async with asyncio.timeout(PATIENCE):
            return (await self.outputs[member.id].get()).event

    def enter(self, member: Member, room: str, *, create: bool = False, reply_to: int = 1) -> None:
        self.of(member).enter(room, member, create=create, reply_to=reply_to)

    async def pair(self) -> tuple[Member, Member, str]:
        alice, bob, room = self.member("alice"), self.member("bob"), str(uuid.uuid4())
        self.enter(alice, room, create=True)
        assert await self.told(alice) == Joined(None, polite=False)
        self.enter(bob, room)
        assert await self.told(bob) == Joined(alice, polite=True)
        assert await self.told(alice) == PeerJoined(bob)
        return alice, bob, room


@asynccontextmanager
async def engine(kind: str) -> AsyncIterator[Engine]:
    here = Engine()
    async with AsyncExitStack() as stack:
        if kind == "memory":
            here.nodes = [MemoryBroker(here.deliver)]
        elif kind in LISTS:
            needs("redis-server")
            servers = [await stack.enter_async_context(redis_server()) for _ in range(2)]
            urls = {name: server.url for name, server in zip("ab", servers, strict=True)}
            here.nodes = [
                sharded_broker(listed(urls, *marks), here.deliver) for marks in LISTS[kind]
            ]
        else:
            needs("redis-server")
            redis = await stack.enter_async_context(redis_server())
            membership = functools.partial(
                FleetMembership, redis.url, LoopClock(), settle_seconds=0
            )
            here.nodes = [
                RedisBroker(membership, here.deliver) for _ in range(int(kind.partition(" ")[2]))
            ]
        for node in here.nodes:
            await node.start()
            stack.push_async_callback(node.stop)
        yield here
