"""The brokers of three nodes in one process, on one Redis, each with its own network."""

import asyncio
import functools
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

from dyad_server.core.events import (
    Departure,
    EngineUnavailable,
    Event,
    Forwarded,
    Joined,
    Member,
    Output,
    PeerJoined,
    Refusal,
    Refused,
)
from dyad_server.engines.redis.engine import MakeMembership, RedisBroker
from dyad_server.engines.redis.fleet_membership import FleetMembership
from dyad_server.engines.redis.store import Keys, Script
from dyad_server.ops.clock import LoopClock

from tests.support.clock import within
from tests.support.needs import needs
from tests.support.proxy import Proxy
from tests.support.redis import RedisServer, redis_server
from tests.support.until import PATIENCE, until

NODES = 3
SERVED_SECONDS = 5.0

T = TypeVar("T")


@dataclass
class Node:
    """One node's broker, and the network between it and Redis."""

    broker: RedisBroker
    network: Proxy

    @property
    def keys(self) -> Keys:
        """The keys of what Redis keeps."""
        return self.broker.membership.store.keys

    async def ask(self, script: Script[T]) -> T | None:
        """What Redis answers this node."""
        answer: asyncio.Future[T | None] = asyncio.get_running_loop().create_future()
        self.broker.membership.ask(script, answer.set_result, PATIENCE)
        return await answer


class Guest:
    """A member on a node: what its participant asks of the broker, and is told by it."""

    def __init__(self, node: Node, user: str, room: str) -> None:
        self.member = Member(f"{user}-{uuid.uuid4().hex}", user)
        self.node = node
        self.room = room
        self.heard: asyncio.Queue[Event] = asyncio.Queue()

    @property
    def id(self) -> str:
        return self.member.id

    def enter(self, *, create: bool = False) -> None:
        self.node.broker.enter(self.room, self.member, create=create, reply_to=1)

    def leave(self, reason: Departure = Departure.LEFT) -> None:
        self.node.broker.leave(self.room, self.id, reason, reply_to=1)

    def resume(self) -> None:
        self.node.broker.resume(self.room, self.id)

    def say(self, text: str) -> None:
        self.node.broker.relay(self.room, self.id, text.encode(), reply_to=1)

    async def told(self, patience: float = PATIENCE) -> Event:
        async with asyncio.timeout(patience):
            return await self.heard.get()


class Party:
    """The nodes and the guests on them."""

    def __init__(self, redis: RedisServer) -> None:
        self.redis = redis
        self.nodes: list[Node] = []
        self._guests: dict[str, Guest] = {}

    def add_node(self, make_membership: MakeMembership, network: Proxy) -> Node:
        broker = RedisBroker(make_membership, functools.partial(self._deliver, len(self.nodes)))
        self.nodes.append(Node(broker, network))
        return self.nodes[-1]

    def guest(self, user: str, node: int, room: str = "") -> Guest:
        guest = Guest(self.nodes[node], user, room or str(uuid.uuid4()))
        self._guests[guest.id] = guest
        return guest

    async def pair(self, first: int, second: int) -> tuple[Guest, Guest]:
        """Alice and Bob in one room, each on the node with this index."""
        alice = self.guest("alice", first)
        assert await entered(alice) == Joined(None, polite=False)
        return alice, await self.joined("bob", second, alice)

    async def joined(self, user: str, node: int, peer: Guest, *, polite: bool = True) -> Guest:
        """A guest on this node that has joined the peer; both have been told."""
        guest = self.guest(user, node, peer.room)
        guest.enter()
        assert await guest.told() == Joined(peer.member, polite=polite)
        assert await peer.told() == PeerJoined(guest.member)
        return guest

    def _deliver(self, node: int, output: Output) -> None:
        guest = self._guests[output.to]
        assert guest.node is self.nodes[node], f"{output.to} receives an event from another node"
        guest.heard.put_nowait(output.event)


async def entered(guest: Guest) -> Event:
    """Join the guest's room, or create it; returns the answer."""
    guest.enter(create=True)
    return await guest.told()


def said(by: Guest, text: str) -> Forwarded:
    """The event that the peer receives when `by` sends this text."""
    return Forwarded(by.member, text.encode())


def _is_ready(node: Node) -> bool:
    return node.broker.ready


async def until_ready(here: Party, *nodes: int) -> None:
    """Wait until these nodes give seats again."""
    for node in nodes:
        async with within(SERVED_SECONDS):
            await until(functools.partial(_is_ready, here.nodes[node]))


async def enter_when_ready(guest: Guest) -> Event:
    """Join as soon as the guest's node gives seats again; returns the answer."""
    while isinstance(answer := await entered(guest), EngineUnavailable):
        async with within(SERVED_SECONDS):
            await until(lambda: guest.node.broker.ready)
    return answer


async def isolate(here: Party, node: int) -> None:
    """Cut a node off from Redis, for good."""
    network = here.nodes[node].network
    await network.refuse()
    network.stall()


def code(event: Event) -> Refusal | None:
    return event.code if isinstance(event, Refused) else None


async def exchange(one: Guest, two: Guest, mark: str) -> None:
    """Send a text each way; each guest must receive it, and nothing before it."""
    for speaker, listener in ((one, two), (two, one)):
        speaker.say(mark)
        assert await listener.told() == said(speaker, mark)


@asynccontextmanager
async def party(*, settle_seconds: float = 0) -> AsyncIterator[Party]:
    needs("redis-server")
    async with AsyncExitStack() as stack:
        # A replica must not wait for other replicas before its first copy.
        redis = await stack.enter_async_context(redis_server("--repl-diskless-sync-delay", "0"))
        here = Party(redis)
        for _ in range(NODES):
            network = await stack.enter_async_context(Proxy(redis.port))
            url = redis.through(network.port)
            membership = functools.partial(
                FleetMembership, url, LoopClock(), settle_seconds=settle_seconds
            )
            here.add_node(membership, network)
        for node in here.nodes:
            await node.broker.start()
            stack.push_async_callback(node.broker.stop)
        yield here
