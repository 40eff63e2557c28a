"""The form of the log, and its level while the server runs."""

import asyncio
import json
import os
import signal
from pathlib import Path
from typing import Any

from tests.conftest import SECRET, token
from tests.support.certificates import certificate
from tests.support.ends import SignalEnd, channel, join
from tests.support.process import DYAD, Served, command, dyad_serve
from tests.support.redis import settled_redis
from tests.support.until import PATIENCE


async def come_and_go(served: Served) -> None:
    """Join, and leave, and wait until the server has ended the stream."""
    async with channel(served.port) as made:
        alice = SignalEnd(made, token())
        await alice.send(join())
        await alice.hear()
        await alice.call.done_writing()
        assert await alice.status() is None


async def test_each_json_line_is_an_object_those_of_grpcs_core_too(tmp_path: Path) -> None:
    own = certificate(tmp_path, "server")
    options = ("--log-format", "json", "--tls-cert", own.cert, "--tls-key", own.key)
    # gRPC's core writes such lines only where this asks for them.
    env = os.environ | {"DYAD_JWT_SECRET": SECRET, "GRPC_VERBOSITY": "INFO"}
    arguments = ("serve", "--port", "0", "--max-streams", "5", *options)
    async with command(DYAD, *arguments, env=env) as started:
        listening = await started.says(r'"listening", "address": "\S+:(\d+)"')
        reader, writer = await asyncio.open_connection("127.0.0.1", int(listening[1]))
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        async with asyncio.timeout(PATIENCE):
            await reader.read()
        writer.close()
        await started.says("Handshake failed")
        started.process.terminate()
        assert await started.ended() == 0
    lines: list[dict[str, Any]] = [json.loads(line) for line in started.said.splitlines()]
    by_message = {line["message"]: line for line in lines}
    first = by_message["listening"]
    assert first["tls"] is True
    assert first["engine"] == "memory"
    assert first["keys"] == "jwt_secret"
    assert first["max_streams"] == 5
    assert {"version", "grpcio", "python", "rpc", "node"} <= first.keys()
    assert SECRET not in started.said
    core = next(line for line in lines if "Handshake failed" in line["message"])
    assert (core["level"], core["logger"]) == ("info", "grpc.core")
    assert by_message["draining"]["participants"] == 0
    assert by_message["drained"]["handed_off"] == by_message["drained"]["lost"] == 0
    assert all({"time", "level", "logger", "message"} <= line.keys() for line in lines)


async def test_signals_set_the_level_while_the_server_runs() -> None:
    async with dyad_serve(SECRET) as served:
        await come_and_go(served)
        assert "stream opened" not in served.command.said
        served.process.send_signal(signal.SIGUSR1)
        await served.command.says("log level changed level=debug")
        await come_and_go(served)
        await served.command.says("stream opened")
        served.process.send_signal(signal.SIGUSR2)
        await served.command.says("log level changed level=info")
        before = served.command.said.count("stream opened")
        await come_and_go(served)
        served.process.terminate()
        assert await served.command.ended() == 0
    assert served.command.said.count("stream opened") == before
    assert served.command.said.count("stream ended") == 3


async def test_the_level_reaches_all_workers_also_one_that_starts_later() -> None:
    async with (
        settled_redis() as redis,
        dyad_serve(SECRET, "--workers", "2", "--redis", redis.url) as served,
    ):
        await served.command.says("(?s)listening.*listening")
        served.process.send_signal(signal.SIGUSR1)
        # The supervisor too.
        await served.command.says("(?s)(level changed level=debug.*){3}")
        os.kill(int((await served.command.says(r"worker started index=1 pid=(\d+)"))[1]), 9)
        await served.command.says("(?s)worker ended index=1.*(level changed level=debug)")
        served.process.send_signal(signal.SIGUSR2)
        await served.command.says("(?s)(level changed level=info.*){3}")
        served.process.terminate()
        assert await served.command.ended() == 0
    assert "worker ended index=0" not in served.command.said


async def test_all_workers_write_json() -> None:
    async with settled_redis() as redis:
        env = os.environ | {"DYAD_JWT_SECRET": SECRET}
        options = ("--workers", "2", "--redis", redis.url, "--log-format", "json")
        async with command(DYAD, "serve", "--port", "0", *options, env=env) as started:
            await started.says('(?s)"listening".*"listening"')
            started.process.terminate()
            assert await started.ended() == 0
    lines = [json.loads(line) for line in started.said.splitlines()]
    assert len({line["node"] for line in lines if line["message"] == "listening"}) == 2
