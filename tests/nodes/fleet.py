"""`dyad serve` processes on one Redis or more, each with its own networks; ways to break them."""

import asyncio
import contextlib
import os
import random
import signal
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import grpc
from grpc_health.v1 import health_pb2
from redis.asyncio import Redis
from redis.exceptions import RedisError

from tests.conftest import SECRET
from tests.support.clock import within
from tests.support.needs import needs
from tests.support.ports import free_port
from tests.support.process import DYAD, Served, dyad_serve, run
from tests.support.proxy import Proxy
from tests.support.redis import RedisServer, redis_server
from tests.support.services import HealthStub
from tests.support.until import PATIENCE

NODES = 3
SERVICE = "dyad.v1.Signaling"
# These tests are not about rates.
_UNBOUND = ("--max-frames-per-second", "1000000", "--max-bytes-per-second", "1000000000")
_TURN = 0.05


class Node:
    """One process. Started again, it is a new node on the same port.

    Attributes:
        networks: the networks between the node and each Redis.
        listed: what its `--redis` has, if there are several: their names, each perhaps with a use.
        port: where clients connect.
        metrics_port: where Prometheus does.
        program: the command that starts the node.
    """

    def __init__(
        self, networks: Mapping[str, Proxy], engines: Mapping[str, "Engine"], *options: str
    ) -> None:
        self.networks = networks
        self.listed: Sequence[str] = list(networks)
        self.port = free_port()
        self.metrics_port = free_port()
        self.program: Sequence[str] = (DYAD,)
        self._engines = engines
        self._options = options
        self._running = AsyncExitStack()
        self._served: Served | None = None

    @property
    def process(self) -> asyncio.subprocess.Process:
        assert self._served is not None
        return self._served.process

    @property
    def said(self) -> str:
        """Its output since it started."""
        assert self._served is not None
        return self._served.command.said

    @property
    def network(self) -> Proxy:
        """The network to the first Redis."""
        return next(iter(self.networks.values()))

    async def start(self) -> None:
        urls = {
            name: engine.redis.through(self.networks[name].port)
            for name, engine in self._engines.items()
        }
        marked = [f"{urls[mark.partition(':')[0]]}#{mark}" for mark in self.listed]
        redis = " ".join(marked) if len(marked) > 1 else urls[self.listed[0]]
        ports = ("--port", str(self.port), "--metrics-port", str(self.metrics_port))
        options = (*ports, "--redis", redis, *_UNBOUND, *self._options)
        started = dyad_serve(SECRET, *options, program=self.program)
        self._served = await self._running.enter_async_context(started)

    async def keep(self) -> None:
        """Start it; try again if it exits because Redis is away, as a supervisor would."""
        while True:
            try:
                await self.start()
            except AssertionError:
                await asyncio.sleep(_TURN)
            else:
                return

    async def kill(self) -> None:
        """Kill it with SIGKILL."""
        self.process.kill()
        await self.ended()

    async def drain(self) -> None:
        """Stop it as an operator does, with SIGTERM, and wait for its end."""
        self.process.send_signal(signal.SIGTERM)
        await self.ended()

    async def ended(self) -> None:
        assert self._served is not None
        await self._served.command.ended()
        await self.close()

    def freeze(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    async def close(self) -> None:
        """End it; its output must contain no traceback."""
        await self._running.aclose()
        served, self._served = self._served, None
        assert served is None or "Traceback" not in served.command.said, served.command.said

    async def health(self, service: str = SERVICE) -> str:
        """The health that it reports for a service; for the whole server if `service` is empty."""
        async with grpc.aio.insecure_channel(f"127.0.0.1:{self.port}") as channel:
            health = HealthStub(channel)
            answer = await health.Check(
                health_pb2.HealthCheckRequest(service=service), timeout=PATIENCE
            )
            return health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)

    async def says(self, status: str, seconds: float) -> None:
        """Wait until it reports this health for `Signaling`."""
        async with within(seconds):
            while await self._health() != status:  # noqa: ASYNC110 - asked, it does not tell
                await asyncio.sleep(_TURN)

    async def _health(self) -> str:
        with contextlib.suppress(grpc.aio.AioRpcError):
            return await self.health()
        return "UNREACHABLE"


class Engine:
    """A Redis that all nodes use, and its replica, if a test asks for one."""

    def __init__(self, *options: str) -> None:
        self._options = ("--repl-diskless-sync-delay", "0", *options)
        self._port = free_port()
        self._main = AsyncExitStack()
        self._spare = AsyncExitStack()
        self.redis: RedisServer
        self.replica: RedisServer | None = None

    async def start(self) -> None:
        serving = redis_server(*self._options, port=self._port)
        self.redis = await self._main.enter_async_context(serving)

    async def restart(self, seconds: float = 0.0) -> None:
        """Kill Redis, and start an empty one in its place after so many seconds."""
        await self._main.aclose()
        await asyncio.sleep(seconds)
        await self.start()

    async def replicate(self) -> None:
        """Start a replica, and wait until it has a copy."""
        options = (*self._options, "--replicaof", f"127.0.0.1 {self.redis.port}")
        self.replica = await self._spare.enter_async_context(redis_server(*options))
        async with Redis(port=self.replica.port) as client, asyncio.timeout(PATIENCE):

            async def state() -> str:
                status: str = (await client.info("replication"))["master_link_status"]
                return status

            while await state() != "up":  # noqa: ASYNC110 - asked, it does not tell
                await asyncio.sleep(_TURN)

    async def promote(self, networks: Iterable[Proxy]) -> None:
        """Kill Redis, promote the replica, and point these networks at it."""
        assert self.replica is not None
        await self._main.aclose()
        async with Redis(port=self.replica.port) as client:
            await client.replicaof("NO", "ONE")
        for network in networks:
            network.target = self.replica.port
        self.redis, self.replica = self.replica, None
        self._main, self._spare = self._spare, AsyncExitStack()
        self._port = self.redis.port

    async def flush(self) -> None:
        """Delete all its data."""
        with contextlib.suppress(RedisError):
            async with Redis(port=self.redis.port) as client:
                await client.flushall()

    async def close(self) -> None:
        await self._spare.aclose()
        await self._main.aclose()


class Balancer(Proxy):
    """Forwards each connection to one of the nodes that listen, as a load balancer does.

    Attributes:
        nodes: the nodes to choose from.
    """

    def __init__(self, nodes: Iterable[Node], chance: random.Random) -> None:
        super().__init__(0)
        self.nodes = list(nodes)
        self._chance = chance

    def lead(self) -> list[int]:
        return [node.port for node in self._chance.sample(self.nodes, len(self.nodes))]


class Fleet:
    """The nodes and their Redis.

    Attributes:
        nodes: one for each process.
        engines: the Redis that they share, by name.
    """

    def __init__(self, nodes: list[Node], engines: dict[str, Engine]) -> None:
        self.nodes = nodes
        self.engines = engines

    @property
    def engine(self) -> Engine:
        """The first Redis."""
        return next(iter(self.engines.values()))

    @property
    def networks(self) -> list[Proxy]:
        """The networks between the nodes and the first Redis."""
        return [node.network for node in self.nodes]


@asynccontextmanager
async def fleet(
    *options: str,
    count: int = NODES,
    redis: str = "a",
    listed: Sequence[str] = (),
    delay: float = 0.0,
) -> AsyncIterator[Fleet]:
    """Run nodes with these options, and a Redis for each letter of `redis`.

    With `listed`, that is what each node has in `--redis`. Each node is `delay` seconds from
    each Redis, in each direction.

    Raises:
        AssertionError: a node wrote a traceback.
    """
    needs("redis-server")
    async with AsyncExitStack() as stack:
        engines = {name: Engine() for name in redis}
        for engine in engines.values():
            await engine.start()
            stack.push_async_callback(engine.close)
            await engine.redis.settle()
        nodes = []
        for _ in range(count):
            networks = {
                name: await stack.enter_async_context(Proxy(engine.redis.port, delay=delay))
                for name, engine in engines.items()
            }
            nodes.append(Node(networks, engines, *options))
            nodes[-1].listed = listed or nodes[-1].listed
            stack.push_async_callback(nodes[-1].close)
        async with asyncio.TaskGroup() as starting:
            for node in nodes:
                starting.create_task(node.start())
        yield Fleet(nodes, engines)


async def serve_to_the_end(redis: str) -> tuple[int, str]:
    """Run a server with the Redis of this URL until it ends; its status and output."""
    env = os.environ | {"DYAD_JWT_SECRET": SECRET, "DYAD_REDIS": redis}
    return await run(DYAD, "serve", "--port", "0", env=env)
