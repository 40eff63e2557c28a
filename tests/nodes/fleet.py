"""`dyad serve` processes on one Redis, each with its own network, and ways to break them."""

import asyncio
import contextlib
import os
import random
import signal
from collections.abc import AsyncIterator, Iterable, Sequence
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
        network: the network between the node and Redis.
        port: where clients connect.
        program: the command that starts the node.
    """

    def __init__(self, network: Proxy, engine: "Engine", *options: str) -> None:
        self.network = network
        self.port = free_port()
        self.program: Sequence[str] = (DYAD,)
        self._engine = engine
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

    async def start(self) -> None:
        url = self._engine.redis.through(self.network.port)
        options = ("--port", str(self.port), "--redis", url, *_UNBOUND, *self._options)
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
    """The Redis that all nodes use, and its replica, if a test asks for one."""

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
        engine: the Redis that they share.
    """

    def __init__(self, nodes: list[Node], engine: Engine) -> None:
        self.nodes = nodes
        self.engine = engine

    @property
    def networks(self) -> list[Proxy]:
        """The networks between the nodes and Redis."""
        return [node.network for node in self.nodes]


@asynccontextmanager
async def fleet(*options: str, count: int = NODES) -> AsyncIterator[Fleet]:
    """Run nodes with these options.

    Raises:
        AssertionError: a node wrote a traceback.
    """
    needs("redis-server")
    async with AsyncExitStack() as stack:
        engine = Engine()
        await engine.start()
        stack.push_async_callback(engine.close)
        await engine.redis.settle()
        nodes = []
        for _ in range(count):
            network = await stack.enter_async_context(Proxy(engine.redis.port))
            nodes.append(Node(network, engine, *options))
            stack.push_async_callback(nodes[-1].close)
        async with asyncio.TaskGroup() as starting:
            for node in nodes:
                starting.create_task(node.start())
        yield Fleet(nodes, engine)


async def serve_to_the_end(redis: str) -> tuple[int, str]:
    """Run a server with the Redis of this URL until it ends; its status and output."""
    env = os.environ | {"DYAD_JWT_SECRET": SECRET, "DYAD_REDIS": redis}
    return await run(DYAD, "serve", "--port", "0", env=env)
