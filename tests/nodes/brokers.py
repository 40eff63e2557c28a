"""The brokers of three nodes in one process, on one Redis or two, each with its own networks."""

import asyncio
import functools
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
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
from dyad_server.core.ports import Broker, Deliver
from dyad_server.engines.redis.engine import RedisBroker
from dyad_server.engines.redis.fleet_membership import FleetMembership
from dyad_server.engines.redis.sharded import ShardedBroker
from dyad_server.engines.redis.store import Keys, Script
from dyad_server.ops.clock import LoopClock

from tests.support.clock import within
from tests.support.needs import needs
from tests.support.proxy import Proxy
from tests.support.redis import RedisServer, redis_server
from tests.support.shards import listed, sharded_broker
from tests.support.until import PATIENCE, until

NODES = 3
SERVED_SECONDS = 5.0

T = TypeVar("T")


@dataclass
class Node:
    """One node's broker, and the networks between it and each Redis."""

    broker: Broker
    networks: Sequence[Proxy]

    @property
    def network(self) -> Proxy:
        """The network to the first Redis."""
        return self.networks[0]

    @property
    def engine(self) -> RedisBroker:
        """The broker, where there is one Redis."""
        assert isinstance(self.broker, RedisBroker)
        return self.broker

    def serves(self, room_id: str) -> bool:
        """Whether this room can be entered here now."""
        broker = self.broker
        shards = broker.places(room_id) if isinstance(broker, ShardedBroker) else [broker]
        return all(shard.ready for shard in shards)

    @property
    def keys(self) -> Keys:
        """The keys of what Redis keeps."""
        return self.engine.membership.store.keys

    async def ask(self, script: Script[T]) -> T | None:
        """What Redis answers this node."""
        answer: asyncio.Future[T | None] = asyncio.get_running_loop().create_future()
        self.engine.membership.ask(script, answer.set_result, PATIENCE)
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

    def __init__(self, *servers: RedisServer) -> None:
        self.servers = servers
        self.nodes: list[Node] = []
        self._guests: dict[str, Guest] = {}

    @property
    def redis(self) -> RedisServer:
        """The first Redis."""
        return self.servers[0]

    def add_node(self, make_broker: Callable[[Deliver], Broker], *networks: Proxy) -> Node:
        broker = make_broker(functools.partial(self._deliver, len(self.nodes)))
        self.nodes.append(Node(broker, networks))
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
    """Three nodes on one Redis."""

    def broker(urls: dict[str, str], deliver: Deliver) -> Broker:
        membership = functools.partial(
            FleetMembership, urls["a"], LoopClock(), settle_seconds=settle_seconds
        )
        return RedisBroker(membership, deliver)

    async with _party([broker] * NODES, "a") as here:
        yield here


@asynccontextmanager
async def sharded_party(
    lists: Sequence[Sequence[str]], *, settle_seconds: float = 0
) -> AsyncIterator[Party]:
    """Three nodes on two Redis, `a` and `b`; `lists` has what each has in `--redis`."""

    def broker(marks: Sequence[str], urls: dict[str, str], deliver: Deliver) -> Broker:
        return sharded_broker(listed(urls, *marks), deliver, settle_seconds=settle_seconds)

    async with _party([functools.partial(broker, marks) for marks in lists], "ab") as here:
        yield here


@asynccontextmanager
async def _party(
    make: Sequence[Callable[[dict[str, str], Deliver], Broker]], names: str
) -> AsyncIterator[Party]:
    needs("redis-server")
    async with AsyncExitStack() as stack:
        # A replica must not wait for other replicas before its first copy.
        serving = [redis_server("--repl-diskless-sync-delay", "0") for _ in names]
        here = Party(*[await stack.enter_async_context(each) for each in serving])
        for make_broker in make:
            networks = {
                name: await stack.enter_async_context(Proxy(server.port))
                for name, server in zip(names, here.servers, strict=True)
            }
            urls = {
                name: server.through(networks[name].port)
                for name, server in zip(names, here.servers, strict=True)
            }
            here.add_node(functools.partial(make_broker, urls), *networks.values())
        async with asyncio.TaskGroup() as starting:
            for node in here.nodes:
                starting.create_task(node.broker.start())
                stack.push_async_callback(node.broker.stop)
        yield here
