"""The server as a process: its start, its stop, and participants that vanish."""

import asyncio
import os
import signal
import sys
from contextlib import AsyncExitStack
from pathlib import Path

import grpc
import pytest
from dyad.v1 import signaling_pb2 as pb
from dyad_server.grpc_api.servicer import SERVICE
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from tests.conftest import SECRET, token
from tests.support.clock import within
from tests.support.ends import SignalEnd, join
from tests.support.process import DYAD, dyad_serve, hangups, run
from tests.support.services import HealthStub, reflecting
from tests.support.until import PATIENCE

PARTICIPANT = str(Path(__file__).with_name("participant.py"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_tells_all_participants_and_exits_with_0(number: signal.Signals) -> None:
    async with (
        dyad_serve(SECRET) as served,
        grpc.aio.insecure_channel(f"127.0.0.1:{served.port}") as channel,
    ):
        alice = SignalEnd(channel, token())
        await alice.send(join())
        await alice.hear()
        served.process.send_signal(number)
        ended = await alice.status()
        assert ended is not None
        assert ended.code() is grpc.StatusCode.UNAVAILABLE
        assert "retry-after-ms" in dict(ended.trailing_metadata() or ())
        async with asyncio.timeout(PATIENCE):
            assert await served.process.wait() == 0


@pytest.mark.parametrize("ignored", [False, True], ids=["plainly", "by nohup"])
async def test_a_server_outlives_its_terminal_however_it_was_started(*, ignored: bool) -> None:
    async with AsyncExitStack() as stack:
        with hangups(ignored=ignored):
            served = await stack.enter_async_context(dyad_serve(SECRET))
        served.process.send_signal(signal.SIGHUP)
        await served.command.says("reloading")
        channel = await stack.enter_async_context(
            grpc.aio.insecure_channel(f"127.0.0.1:{served.port}")
        )
        alice = SignalEnd(channel, token())
        await alice.send(join())
        assert (await alice.hear()).HasField("join_room")
        alice.cut()
        assert served.process.returncode is None
        assert "draining" not in served.command.said


async def test_a_second_server_on_the_port_fails_with_a_sentence() -> None:
    async with dyad_serve(SECRET) as served:
        status, said = await run(
            DYAD, "serve", "--port", str(served.port), env=os.environ | {"DYAD_JWT_SECRET": SECRET}
        )
    assert status == 2
    assert said == (
        f"dyad: Cannot listen on 127.0.0.1:{served.port}: the port is taken. "
        "--port names another.\n"
    )


async def test_without_a_key_it_says_how_to_set_one() -> None:
    env = {name: value for name, value in os.environ.items() if not name.startswith("DYAD_")}
    status, said = await run(DYAD, "serve", env=env)
    assert status == 2
    assert "DYAD_JWT_SECRET" in said


async def test_plaintext_beyond_loopback_needs_allow_plaintext() -> None:
    env = os.environ | {"DYAD_JWT_SECRET": SECRET}
    status, said = await run(DYAD, "serve", "--host", "0.0.0.0", env=env)
    assert status == 2
    assert "--allow-plaintext" in said


@pytest.mark.parametrize(
    ("number", "promised"),
    [(signal.SIGKILL, 1.0), (signal.SIGSTOP, 10.0)],
    ids=["killed", "frozen"],
)
async def test_a_participant_that_vanishes_frees_its_seat(
    number: signal.Signals, promised: float
) -> None:
    async with (
        dyad_serve(SECRET) as served,
        grpc.aio.insecure_channel(f"127.0.0.1:{served.port}") as channel,
    ):
        alice = SignalEnd(channel, token())
        await alice.send(join())
        room_id = (await alice.hear()).room_id
        bob = await asyncio.create_subprocess_exec(
            sys.executable,
            PARTICIPANT,
            f"127.0.0.1:{served.port}",
            token("bob"),
            room_id,
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            await alice.hear()
            async with within(promised):
                bob.send_signal(number)
                left = await alice.hear()
            assert left.leave_room.reason == pb.LeaveRoom.REASON_DISCONNECTED
        finally:
            if bob.returncode is None:
                bob.kill()
            await bob.communicate()
            alice.cut()


async def test_health_reports_the_server_and_the_service() -> None:
    async with (
        dyad_serve(SECRET) as served,
        grpc.aio.insecure_channel(f"127.0.0.1:{served.port}") as channel,
    ):
        stub = HealthStub(channel)
        for service in ("", SERVICE):
            answer = await stub.Check(health_pb2.HealthCheckRequest(service=service))
            assert answer.status == health_pb2.HealthCheckResponse.SERVING


@pytest.mark.parametrize("asked", [True, False])
async def test_reflection_is_served_only_if_enabled(*, asked: bool) -> None:
    async with (
        dyad_serve(SECRET, *(["--reflection"] if asked else [])) as served,
        grpc.aio.insecure_channel(f"127.0.0.1:{served.port}") as channel,
    ):
        call = reflecting(channel)
        if asked:
            await call.write(reflection_pb2.ServerReflectionRequest(list_services=""))
            answer = await call.read()
            assert isinstance(answer, reflection_pb2.ServerReflectionResponse)
            names = [service.name for service in answer.list_services_response.service]
            assert SERVICE in names
        else:
            # The test writes nothing: a write that meets the end of its stream hides the status.
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await call.read()
            assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
