"""/livez and /readyz on the metrics port: the truth about keys, Redis and draining."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
from dyad_server.config import Config
from dyad_server.grpc_api.servicer import SERVICE
from dyad_server.server import Server
from grpc_health.v1 import health_pb2

from tests.conftest import SECRET
from tests.support.http_client import get, shows
from tests.support.issuer import es256, issuing
from tests.support.ports import free_port
from tests.support.process import DYAD, Command, command, dyad_serve, worker_processes
from tests.support.redis import settled_redis
from tests.support.services import HealthStub
from tests.support.until import PATIENCE

KEYLESS = {name: value for name, value in os.environ.items() if not name.startswith("DYAD_JWT")}


@asynccontextmanager
async def serving_without_secret(port: int, *options: str) -> AsyncIterator[Command]:
    arguments = ("serve", "--port", "0", "--metrics-port", str(port), *options)
    async with command(DYAD, *arguments, env=KEYLESS) as started:
        yield started


async def test_a_server_is_alive_and_ready() -> None:
    port = free_port()
    async with dyad_serve(SECRET, "--metrics-port", str(port)):
        assert await get(port, "/livez") == (200, "alive\n")
        assert await get(port, "/readyz") == (200, "ready\n")
        assert await get(port, "/readyz?verbose") == (200, "ready\n")


async def test_a_server_that_drains_is_alive_and_not_ready() -> None:
    port, called, done = free_port(), asyncio.Event(), asyncio.Event()

    async def wait(request: bytes, context: object) -> bytes:
        called.set()
        await done.wait()
        return request

    def add(server: grpc.aio.Server) -> None:
        handlers: dict[str, Any] = {"Wait": grpc.unary_unary_rpc_method_handler(wait)}
        server.add_registered_method_handlers("app.Other", handlers)

    # The drain waits for the RPC of another service.
    server = Server(Config(port=0, jwt_secret=SECRET, metrics_port=port), add_services=add)
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        method: Any = channel.unary_unary("/app.Other/Wait")
        call = method(b"")
        async with asyncio.timeout(PATIENCE):
            await called.wait()
        ready = [server.ready]
        stopping = asyncio.create_task(server.stop())
        await shows(port, "/readyz", 503, "not ready: the server is draining\n")
        assert await get(port, "/livez") == (200, "alive\n")
        assert [*ready, server.ready] == [True, False]
        done.set()
        await call
        await stopping
    assert await get(port, "/readyz") is None


async def test_a_server_without_keys_is_not_ready_and_sighup_fetches_them() -> None:
    port = free_port()
    with issuing(es256("key")) as issuer:
        issuer.status = 500
        async with serving_without_secret(port, "--jwt-jwks-url", issuer.url) as started:
            await started.says("listening")
            answer = (503, "not ready: there are no keys to check tokens with\n")
            assert await get(port, "/readyz") == answer
            issuer.status = 200
            started.process.send_signal(signal.SIGHUP)
            await shows(port, "/readyz", 200)


async def test_a_server_whose_only_key_has_ended_is_not_ready(tmp_path: Path) -> None:
    port = free_port()
    (tmp_path / "old").write_text(SECRET)
    (tmp_path / "old.until").write_text("2026-01-01")
    async with serving_without_secret(port, "--jwt-secret-file", str(tmp_path)) as started:
        await started.says("listening")
        await started.says("WARNING .*All keys have ended: no token is accepted")
        await shows(port, "/readyz", 503, "no keys")
        (tmp_path / "old.until").unlink()
        await shows(port, "/readyz", 200)


async def test_a_node_without_redis_is_alive_and_not_ready_as_its_health_check_says() -> None:
    port = free_port()
    async with settled_redis() as redis:
        options = ("--metrics-port", str(port), "--redis", redis.url)
        async with (
            dyad_serve(SECRET, *options) as served,
            grpc.aio.insecure_channel(f"127.0.0.1:{served.port}") as channel,
        ):
            await shows(port, "/readyz", 200)
            await redis.end()
            await shows(port, "/readyz", 503, "Redis is out of reach")
            assert await get(port, "/livez") == (200, "alive\n")
            watch = HealthStub(channel).Watch(health_pb2.HealthCheckRequest(service=SERVICE))
            async with asyncio.timeout(PATIENCE):
                async for told in watch:
                    if told.status == health_pb2.HealthCheckResponse.NOT_SERVING:
                        break
            watch.cancel()


async def test_the_probes_and_metrics_of_all_workers_are_on_one_port() -> None:
    port = free_port()
    async with settled_redis() as redis:
        options = ("--workers", "2", "--metrics-port", str(port), "--redis", redis.url)
        async with dyad_serve(SECRET, *options) as served:
            await served.command.says("(?s)listening.*listening")
            await shows(port, "/readyz", 200, "ready")
            assert await get(port, "/livez") == (200, "alive\n")
            metrics = await get(port, "/metrics")
            assert metrics is not None
            for worker in "01":
                assert f'dyad_participants{{worker="{worker}"}} 0.0' in metrics.body
            assert metrics.body.count("# TYPE dyad_participants gauge") == 1
            first, second = await asyncio.to_thread(worker_processes, served.process.pid)
            os.kill(second, signal.SIGSTOP)
            await shows(port, "/livez", 503, "does not answer")
            await shows(port, "/readyz", 503, "does not answer")
            os.kill(second, signal.SIGCONT)
            await shows(port, "/livez", 200)
            os.kill(first, signal.SIGKILL)
            # It is replaced: no reason to restart all of them.
            assert await get(port, "/livez") == (200, "alive\n")
            await served.command.says("(?s)worker ended.*listening")
            await shows(port, "/readyz", 200)
            await redis.end()
            await shows(port, "/readyz", 503, "worker 0: Redis is out of reach")
            await shows(port, "/readyz", 503, "worker 1: Redis is out of reach")
            assert await get(port, "/livez") == (200, "alive\n")


async def test_the_metrics_port_of_several_workers_that_is_taken_is_named() -> None:
    port = free_port()
    async with settled_redis() as redis, dyad_serve(SECRET, "--metrics-port", str(port)):
        options = ("--workers", "2", "--metrics-port", str(port), "--redis", redis.url)
        async with command(
            DYAD, "serve", "--port", "0", *options, env=KEYLESS | {"DYAD_JWT_SECRET": SECRET}
        ) as second:
            assert await second.ended() == 2
            assert f"Cannot serve metrics on 127.0.0.1:{port}: the port is taken" in second.said
