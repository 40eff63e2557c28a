"""What a browser receives through the real Envoy of deploy/, and whom it counts as."""

import asyncio
import re
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import grpc
from dyad.v1 import signaling_pb2 as pb
from dyad_server.cli import envoy

from tests.conftest import SECRET, serving, token
from tests.support.grpc_web import Call
from tests.support.needs import PAGE, ROOT, needs
from tests.support.ports import free_port
from tests.support.process import dyad_serve, run
from tests.support.until import PATIENCE

UNAVAILABLE = "14"


@asynccontextmanager
async def proxy(server_port: int) -> AsyncIterator[int]:
    needs(PAGE)
    port = free_port()
    async with envoy.running(configuration(port, server_port), port):
        yield port


def configuration(port: int, server_port: int) -> str:
    return envoy.render(
        ROOT / "deploy" / "envoy.yaml", listen_port=port, server_ports=[server_port], page=PAGE
    )


async def listen(port: int, user: str = "alice", more: Mapping[str, str] = {}) -> Call:
    origin = f"http://localhost:{port}"
    request = pb.ListenRequest()
    return await Call.begin(port, "Listen", request, token=token(user), origin=origin, more=more)


def told_when(said: dict[str, str]) -> bool:
    return 200 <= int(said["retry-after-ms"]) <= 2000


async def test_a_listen_is_told_that_the_server_stops_and_when_to_reconnect() -> None:
    async with dyad_serve(SECRET) as served, proxy(served.port) as port:
        call = await listen(port)
        try:
            first = await call.read()
            assert first is not None
            assert pb.ListenResponse.FromString(first).session_id
            assert re.fullmatch("[0-9a-f]{16}", call.headers["dyad-stream-id"])
            assert "dyad-stream-id" in call.headers["access-control-expose-headers"]
            served.process.send_signal(signal.SIGTERM)
            # Without these headers a page cannot read the answer.
            assert call.headers["access-control-allow-origin"] == f"http://localhost:{port}"
            assert await call.read() is None
            assert call.trailers["grpc-status"] == UNAVAILABLE
            assert told_when(call.trailers)
            assert await served.command.ended() == 0
        finally:
            call.close()


async def test_a_second_envoy_on_the_port_fails_and_says_why() -> None:
    nobody = free_port()
    async with proxy(nobody) as port:
        text = configuration(port, nobody)
        status, said = await run(
            envoy.program(), "--config-yaml", text, "--disable-hot-restart", "-l", "error"
        )
        assert status == 1
        assert f"cannot bind '127.0.0.1:{port}': Address already in use" in said


async def test_reflection_is_refused_at_once() -> None:
    path = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
    async with (
        proxy(free_port()) as port,
        grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        asking: grpc.aio.StreamStreamCall[bytes, bytes] = channel.stream_stream(path)()
        async with asyncio.timeout(PATIENCE):
            assert await asking.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_a_page_can_read_the_status_of_a_draining_server() -> None:
    async with serving() as server, proxy(server.port) as port:
        await server.dyad.drain()
        call = await listen(port)
        try:
            assert await call.read() is None
            # If no message comes before it, the status is in the headers.
            assert call.headers["grpc-status"] == UNAVAILABLE
            assert told_when(call.headers)
            exposed = call.headers["access-control-expose-headers"].split(",")
            told = {"grpc-status", "grpc-message", "retry-after-ms", "dyad-status"}
            assert told <= set(exposed)
            assert call.headers["dyad-status"] == UNAVAILABLE
        finally:
            call.close()


async def test_a_server_that_is_gone_also_reads_as_unavailable() -> None:
    async with dyad_serve(SECRET) as served, proxy(served.port) as port:
        served.process.terminate()
        await served.command.ended()
        call = await listen(port)
        try:
            assert await call.read() is None
            assert call.headers["grpc-status"] == UNAVAILABLE
        finally:
            call.close()


async def test_limits_count_the_browser_that_a_proxy_on_this_machine_names() -> None:
    async with serving(max_streams_per_address=1) as server, proxy(server.port) as port:
        calls = []
        for user, address, heard in (
            ("alice", "203.0.113.1", True),
            ("bob", "203.0.113.2", True),
            ("carol", "203.0.113.1", False),
        ):
            call = await listen(port, user, {"x-forwarded-for": address})
            calls.append(call)
            assert (await call.read() is not None) == heard
        assert "This address has 1" in calls[-1].headers["grpc-message"]
        for call in calls:
            call.close()
