"""Shows how many calls cross nodes behind Envoy, at random and by the routing key.

Run: python -m benchmarks.fleet [--calls 1000]

Three `dyad serve --redis` processes on two Redis stand behind the real Envoy of deploy/. Half of
the calls use the Python client and `Signal`, the others `Listen` with `Send`. A node is then
killed, and another one started, while the calls go on. Redis says which node each participant
is on.
"""

import argparse
import asyncio
import json
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dyad
import grpc
from dyad.routing import HEADER, routing_key
from dyad.v1 import signaling_pb2 as pb
from dyad.v1 import signaling_pb2_grpc as pb_grpc
from dyad_server.auth.mint import mint
from dyad_server.cli import envoy
from redis.asyncio import Redis

from tests.support.ports import free_port
from tests.support.process import Served, dyad_serve
from tests.support.redis import RedisServer, redis_server

SECRET = secrets.token_hex(32)
ROOT = Path(__file__).parents[1]
NODES = 3
REDIS = ("a", "b")
# Calls that are being set up at one time.
AT_ONCE = 20
# Envoy lets one connection carry 100 streams.
STREAMS_OF_A_CHANNEL = 80
# All participants have one address.
OPTIONS = (
    *("--max-streams-per-address", "1000000"),
    *("--max-opens-per-second", "1000"),
)
# How long Envoy may need to see that a node is there.
NOTICED_SECONDS = 3.0
POLL_SECONDS = 0.5

Enter = Callable[[str], Awaitable[str]]
"""Lets a new participant enter a room, or without an id create one; returns its id."""


class Participants:
    """New participants, each with a user of its own, behind one proxy."""

    def __init__(self, port: int, stack: AsyncExitStack) -> None:
        self._target = f"127.0.0.1:{port}"
        self._stack = stack
        self._count = 0
        self._channel: grpc.aio.Channel | None = None
        self._listens = 0

    def _user(self) -> str:
        self._count += 1
        return f"user-{self._count}"

    async def by_signal(self, room_id: str) -> str:
        """Enter with the Python client, which reconnects by itself."""
        user, room = self._user(), ""
        # A room that was on one node, which is lost, is created again by a token that names it.
        connection = dyad.connect(self._target, lambda: _token(user, room), plaintext=True)
        self._stack.push_async_callback(connection.close)
        entered = await (connection.join(room_id) if room_id else connection.create())
        room = entered.room_id
        return room

    async def by_listen(self, room_id: str) -> str:
        """Enter as a page does, on a shared network connection."""
        token = _token(self._user())
        metadata = (("authorization", f"Bearer {token}"), (HEADER, routing_key(room_id, token)))
        stub: Any = pb_grpc.SignalingStub(self._shared())
        listen = stub.Listen(pb.ListenRequest(), metadata=metadata)
        self._stack.callback(listen.cancel)
        session_id = (await listen.read()).session_id
        frames = [pb.Frame(room_id=room_id, join_room=pb.JoinRoom())]
        await stub.Send(pb.SendRequest(session_id=session_id, frames=frames), metadata=metadata)
        while not (answer := await listen.read()).frames:
            pass
        if not answer.frames[0].HasField("join_room"):
            raise RuntimeError(f"refused: {answer.frames[0].error.message}")
        return str(answer.frames[0].room_id)

    def _shared(self) -> grpc.aio.Channel:
        if self._channel is None or self._listens % STREAMS_OF_A_CHANNEL == 0:
            options = [("grpc.use_local_subchannel_pool", 1)]
            self._channel = grpc.aio.insecure_channel(self._target, options=options)
            self._stack.push_async_callback(self._channel.close)
        self._listens += 1
        return self._channel


def _token(user: str, room: str = "") -> str:
    return mint(SECRET, sub=user, email="", ttl=3600, room=room)


async def call(enter: Enter) -> str:
    """Two new participants in a new room; returns its id."""
    room_id = await enter("")
    await enter(room_id)
    return room_id


async def calls(participants: Participants, count: int) -> tuple[set[str], set[str]]:
    """So many new calls; the rooms of those by `Signal`, and of those by `Listen`."""
    turn = asyncio.Semaphore(AT_ONCE)

    async def one(enter: Enter) -> str:
        async with turn:
            return await call(enter)

    kinds = [participants.by_signal, participants.by_listen] * (count // 2)
    rooms = await asyncio.gather(*map(one, kinds))
    return set(rooms[::2]), set(rooms[1::2])


@dataclass(frozen=True)
class Places:
    """Where participants are.

    Attributes:
        pairs: the two nodes of each room with two participants on living nodes.
        load: how many participants each living node has.
        rooms: how many rooms each Redis has.
    """

    pairs: dict[str, tuple[str, str]]
    load: Counter[str]
    rooms: list[int]

    def row(self, what: str, rooms: set[str], nodes: int) -> str:
        """A row of the table, for these rooms."""
        crossing = sum(first != second for first, second in map(self.pairs.__getitem__, rooms))
        busiest = max(self.load.values()) / (self.load.total() / nodes)
        shares = " ".join(f"{each / max(1, sum(self.rooms)):.0%}" for each in self.rooms)
        figures = f"{len(rooms):>5} {crossing / len(rooms):>9.1%} {busiest:>8.2f}"
        return f"{what:42} {figures}  {shares}"


async def places(servers: list[RedisServer]) -> Places:
    """What all Redis say."""
    pairs: dict[str, tuple[str, str]] = {}
    load: Counter[str] = Counter()
    rooms: list[int] = []
    for redis in servers:
        async with Redis(port=redis.port, decode_responses=True) as client:
            alive = {key.rpartition(":")[2] async for key in client.scan_iter("dyad:node:*")}
            rooms.append(0)
            async for key in client.scan_iter("dyad:room:*", count=1000):
                texts: Any = await client.hmget(key, "0", "1")
                nodes = [json.loads(text)["node"] for text in texts if text]
                nodes = [node for node in nodes if node in alive]
                load.update(nodes)
                rooms[-1] += bool(nodes)
                if len(nodes) > 1:
                    pairs[key.rpartition(":")[2]] = (nodes[0], nodes[1])
    return Places(pairs, load, rooms)


async def until(servers: list[RedisServer], reached: Callable[[Places], bool]) -> Places:
    """Where the participants are once this is reached."""
    while not reached(now := await places(servers)):  # noqa: ASYNC110 - Redis is asked
        await asyncio.sleep(POLL_SECONDS)
    return now


@asynccontextmanager
async def proxy(ports: list[int], policy: str = "MAGLEV") -> AsyncIterator[int]:
    """Envoy before these nodes, with this policy in its file."""
    port = free_port()
    text = envoy.render(
        ROOT / "deploy" / "envoy.yaml",
        listen_port=port,
        server_ports=ports,
        page=ROOT / "benchmarks" / "peers" / "page.html",
    )
    async with envoy.running(text.replace("MAGLEV", policy), port):
        yield port


class Fleet:
    """Nodes on several Redis."""

    def __init__(self, servers: list[RedisServer], stack: AsyncExitStack) -> None:
        self.servers = servers
        # The last one is where a node is added.
        self.ports = [free_port() for _ in range(NODES + 1)]
        self._stack = stack

    async def start(self, port: int) -> Served:
        """Start a node."""
        named = zip(self.servers, REDIS, strict=True)
        urls = " ".join(f"{redis.url}#{name}" for redis, name in named)
        serving = dyad_serve(SECRET, "--redis", urls, "--port", str(port), *OPTIONS)
        return await self._stack.enter_async_context(serving)


@asynccontextmanager
async def fleet() -> AsyncIterator[tuple[Fleet, list[Served]]]:
    """Redis of its own, and all nodes but the one that is added."""
    async with AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(redis_server()) for _ in REDIS]
        for redis in servers:
            await redis.settle()
        here = Fleet(servers, stack)
        yield here, [await here.start(port) for port in here.ports[:NODES]]


async def at_random(count: int) -> None:
    """The calls as they would be without the key."""
    async with (
        fleet() as (here, _),
        proxy(here.ports, "RANDOM") as port,
        AsyncExitStack() as ends,
    ):
        by_signal, by_listen = await calls(Participants(port, ends), count)
        now = await places(here.servers)
        print(now.row("three nodes, at random", by_signal | by_listen, NODES), flush=True)


async def by_the_key(count: int) -> None:
    """The calls by the key, also after a node is lost and another one added."""
    async with fleet() as (here, nodes), proxy(here.ports) as port:
        servers = here.servers
        async with AsyncExitStack() as ends:
            by_signal, by_listen = await calls(Participants(port, ends), count)
            now = await places(servers)
            print(now.row("three nodes, by the key", by_signal | by_listen, NODES), flush=True)
            nodes[0].process.kill()
            lost = set(now.load)

            def back(places: Places) -> bool:
                return len(places.load) < len(lost) and by_signal <= places.pairs.keys()

            now = await until(servers, back)
            what = "  one killed: those that reconnected"
            print(now.row(what, by_signal, NODES - 1), flush=True)
        await until(servers, lambda places: not places.load)
        async with AsyncExitStack() as ends:
            participants = Participants(port, ends)
            by_signal, by_listen = await calls(participants, count)
            now = await places(servers)
            print(now.row("two nodes, new calls", by_signal | by_listen, NODES - 1), flush=True)
            await here.start(here.ports[-1])
            await asyncio.sleep(NOTICED_SECONDS)
            by_signal, by_listen = await calls(participants, count)
            now = await places(servers)
            what = "  one added, the calls before are still open"
            print(now.row(what, by_signal | by_listen, NODES), flush=True)


async def main(count: int) -> None:
    """Measure, and print the table."""
    print(f"{'':42} calls  crossing  busiest  rooms in each Redis")
    await at_random(count)
    await by_the_key(count)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=1000)
    asyncio.run(main(parser.parse_args().calls))
