"""`dyad load` against real servers, as a user starts it."""

import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from dyad_server.cli import envoy
from dyad_server.load import bounds
from dyad_server.load.server_usage import LocalProcesses
from dyad_server.server import Server

from tests.conftest import SECRET, serving, token
from tests.support.certificates import certificate
from tests.support.needs import ROOT, needs
from tests.support.ports import free_port
from tests.support.process import DYAD, Command, command, dyad_serve, run
from tests.support.proxy import Proxy
from tests.support.until import until

SHORT = ("--calls-per-second", "2", "--hold", "0.5", "--duration", "2")
ENDLESS = ("--calls-per-second", "5", "--hold", "600", "--duration", "600")
CTRL_C = 130


def environment(secret: str = SECRET) -> dict[str, str]:
    return os.environ | {"DYAD_JWT_SECRET": secret}


async def load(*options: str, env: dict[str, str] | None = None) -> tuple[int, str]:
    return await run(DYAD, "load", *options, env=environment() if env is None else env)


def native(server: Server) -> tuple[str, ...]:
    return "--target", f"127.0.0.1:{server.port}", "--plaintext"


@asynccontextmanager
async def loading(*options: str) -> AsyncIterator[Command]:
    async with command(DYAD, "load", *options, env=environment()) as started:
        yield started


@asynccontextmanager
async def proxied(server: Server, folder: Path) -> AsyncIterator[str]:
    """The URL of the Envoy of `deploy/` in front of a server."""
    needs(Path(sys.executable).parent / "envoy")
    page = folder / "page.html"
    page.write_text("A page.")
    port = free_port()
    text = envoy.render(
        ROOT / "deploy" / "envoy.yaml", listen_port=port, server_ports=[server.port], page=page
    )
    async with envoy.running(text, port):
        yield f"http://127.0.0.1:{port}"


def callers(started: Command) -> list[psutil.Process]:
    """The processes that make the calls."""
    children = psutil.Process(started.process.pid).children()
    return [child for child in children if "spawn_main" in " ".join(child.cmdline())]


def assert_whole(figures: dict[str, Any], calls: int) -> None:
    assert figures["failures"] == []
    assert (figures["calls"]["started"], figures["calls"]["made"]) == (calls, calls)
    right = {"received": calls * 2 * bounds.FRAMES}
    wrong = dict.fromkeys(("lost", "doubled", "reordered", "altered"), 0)
    assert figures["frames"] == right | wrong


async def test_a_short_run_makes_calls_and_writes_its_figures(tmp_path: Path) -> None:
    written, picture = tmp_path / "figures.json", tmp_path / "picture.svg"
    async with serving() as server:
        status, said = await load(
            *native(server), *SHORT, "--json", str(written), "--plot", str(picture)
        )
        assert len(server.dyad.hub) == 0
    assert status == 0, said
    figures = json.loads(written.read_text())
    assert_whole(figures, calls=4)
    assert figures["calls"]["per_second"] == pytest.approx(2, rel=0.2)
    for what in ("connect", "join"):
        assert figures["seconds_of"][f"{what} Signal"]["count"] == 8
    assert figures["seconds_of"]["relay Signal to Signal"]["p50"] > 0
    # This very process is the server.
    assert figures["server"]["bytes"] > 0
    assert f"process {os.getpid()}" in said
    assert "Latencies" in picture.read_text()


async def test_both_transports_call_each_other(tmp_path: Path) -> None:
    written = tmp_path / "figures.json"
    async with serving() as server, proxied(server, tmp_path) as url:
        status, said = await load(*native(server), "--url", url, *SHORT, "--json", str(written))
    assert status == 0, said
    figures = json.loads(written.read_text())
    assert_whole(figures, calls=4)
    transports = ("Signal", "Listen")
    assert figures["seconds_of"].keys() == {
        *(f"{what} {one}" for what in ("connect", "join") for one in transports),
        *(f"relay {one} to {other}" for one in transports for other in transports),
    }


async def test_several_processes_share_the_calls(tmp_path: Path) -> None:
    written = tmp_path / "figures.json"
    async with serving() as server:
        status, said = await load(
            *native(server), *SHORT, "--processes", "2", "--json", str(written)
        )
    assert status == 0, said
    assert_whole(json.loads(written.read_text()), calls=4)


async def test_a_server_with_low_limits_fails_calls_and_the_run() -> None:
    async with serving(max_streams=2) as server:
        status, said = await load(
            *native(server), "--calls-per-second", "4", "--hold", "60", "--duration", "2"
        )
    assert status == 1
    assert re.search(r"\b7 +(create|join) +RESOURCE_EXHAUSTED +The server is full\.", said), said
    assert "7 of 8 calls failed, 87.5 %; --max-errors allows 0 %." in said


async def test_errors_below_the_threshold_are_allowed() -> None:
    async with serving(max_streams=2) as server:
        options = ("--calls-per-second", "4", "--hold", "60", "--duration", "2")
        status, said = await load(*native(server), *options, "--max-errors", "90")
    assert status == 0, said


async def test_a_p99_above_its_threshold_fails_the_run() -> None:
    async with serving() as server:
        status, said = await load(*native(server), *SHORT, "--max-p99", "0.001")
    assert status == 1
    assert re.search(r"The p99 of relay is [\d.]+ ms; --max-p99 allows 0\.001 ms\.", said), said


async def test_a_user_that_sends_too_fast_is_told_what_the_server_said() -> None:
    async with serving(max_frames_per_second=1) as server:
        status, said = await load(*native(server), *SHORT)
    assert status == 2
    assert "RESOURCE_EXHAUSTED: Too much was sent in too short a time." in said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_hangs_up_every_call_and_shows_the_figures_so_far(
    number: signal.Signals,
) -> None:
    async with (
        dyad_serve(SECRET, "--log-level", "debug") as served,
        loading("--target", f"127.0.0.1:{served.port}", "--plaintext", *ENDLESS) as started,
    ):
        # Of the call that is tried first, and of three more.
        await served.command.says(r"(?s)(transport=Signal status=none.*){2}(opened.*){6}")
        os.killpg(started.process.pid, number)
        assert await started.ended() == CTRL_C
        assert "The run was stopped before its end." in started.said
        assert re.search(r"failed +0 \(0 %\)", started.said), started.said
        served.process.send_signal(signal.SIGTERM)
        assert await served.command.ended() == 0
        assert "reason=closed" in served.command.said
        assert "reason=lost" not in served.command.said


async def test_a_server_that_restarts_is_measured_and_named_again() -> None:
    async with dyad_serve(SECRET) as first:
        usage = LocalProcesses({first.port})
        assert await usage.read() is not None
    for _ in range(2):
        assert await usage.read() is None
    async with dyad_serve(SECRET, "--port", str(first.port)) as second:
        # This one finds it.
        assert await usage.read() is None
        assert await usage.read() is not None
    assert usage.what.endswith(f"(process {first.process.pid}, {second.process.pid})")


async def test_no_process_outlives_ctrl_c_pressed_twice() -> None:
    async with serving() as server, loading(*native(server), *ENDLESS) as started:
        await until(lambda: len(server.dyad.hub) >= 6)
        (child,) = callers(started)
        # Now it cannot hang up.
        child.suspend()
        os.killpg(started.process.pid, signal.SIGINT)
        await started.says("Press Ctrl-C again")
        os.killpg(started.process.pid, signal.SIGINT)
        assert await started.ended() == CTRL_C
        assert not child.is_running()


async def test_a_process_that_dies_ends_the_run_with_a_sentence() -> None:
    async with serving() as server, loading(*native(server), *ENDLESS) as started:
        await until(lambda: len(server.dyad.hub) >= 6)
        (child,) = callers(started)
        child.kill()
        assert await started.ended() == 2
        assert "Process 0 of the load generator ended too soon." in started.said


async def test_of_several_targets_one_may_be_gone(tmp_path: Path) -> None:
    written = tmp_path / "figures.json"
    async with serving() as server:
        status, said = await load(
            *("--target", f"127.0.0.1:{free_port()}", *native(server), *SHORT),
            *("--json", str(written)),
        )
    assert status == 0, said
    assert_whole(json.loads(written.read_text()), calls=4)


@pytest.mark.parametrize("place", ["--target", "--url"])
async def test_a_server_that_is_not_there_is_told_at_once(place: str) -> None:
    where = f"127.0.0.1:{free_port()}"
    options = (where, "--plaintext") if place == "--target" else (f"http://{where}",)
    status, said = await load(place, *options, "--duration", "600")
    assert status == 2
    assert said.startswith("dyad: The first call failed, so there was no run.")
    assert "UNAVAILABLE" in said
    assert re.search("[Cc]onnection refused|[Cc]onnect call failed", said), said
    assert "Traceback" not in said


async def test_a_wrong_secret_is_told_at_once() -> None:
    async with serving() as server:
        status, said = await load(*native(server), env=environment("x" * 32))
    assert status == 2
    assert "UNAUTHENTICATED" in said


async def test_without_tls_the_option_is_named() -> None:
    async with serving() as server:
        status, said = await load(*native(server)[:2])
    assert status == 2
    assert "Maybe the server has no TLS: then pass --plaintext." in said


async def test_a_run_over_mtls(tmp_path: Path) -> None:
    own, client = certificate(tmp_path, "localhost"), certificate(tmp_path, "client")
    settings = {"tls_cert": own.cert, "tls_key": own.key, "tls_client_ca": client.cert}
    async with serving(**settings) as server:
        target = ("--target", f"localhost:{server.port}", "--ca", str(own.cert))
        status, said = await load(
            *target, "--cert", str(client.cert), "--key", str(client.key), *SHORT
        )
        assert status == 0, said
        status, said = await load(*target, *SHORT)
        assert status == 2


async def test_the_users_of_a_file_of_tokens_call(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text("".join(f"{token(f'user-{number}')}\n" for number in range(20)))
    env = {name: text for name, text in os.environ.items() if name != "DYAD_JWT_SECRET"}
    async with serving() as server:
        status, said = await load(*native(server), *SHORT, "--tokens", str(tokens), env=env)
        assert status == 0, said
        options = ("--calls-per-second", "10", "--tokens", str(tokens))
        status, said = await load(*native(server), *options, env=env)
    assert status == 2
    assert "has tokens of 20 users. 10 calls a second, each held for 5 s, need about 140." in said


async def test_without_a_secret_and_without_tokens_it_says_what_to_set() -> None:
    env = {name: text for name, text in os.environ.items() if name != "DYAD_JWT_SECRET"}
    status, said = await load("--target", "localhost:1", env=env)
    assert status == 2
    assert "Set DYAD_JWT_SECRET" in said


@pytest.mark.parametrize("place", ["--target", "--url"])
async def test_connections_that_break_are_resumed_and_counted(tmp_path: Path, place: str) -> None:
    written = tmp_path / "figures.json"
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(serving())
        port, where = server.port, "127.0.0.1:{}"
        if place == "--url":
            url = await stack.enter_async_context(proxied(server, tmp_path))
            port, where = int(url.rpartition(":")[2]), "http://127.0.0.1:{}"
        network = await stack.enter_async_context(Proxy(port))
        options = ("--calls-per-second", "0.1", "--hold", "3", "--duration", "4")
        async with loading(
            *(place, where.format(network.port), "--plaintext"),
            *options,
            *("--json", str(written)),
        ) as started:
            # All of the call that is tried first, and of the other all until it is held.
            candidates = 2 * (bounds.FRAMES - 1) + 2 * (bounds.FRAMES_AT_ONCE - 1)
            await until(lambda: server.dyad.hub.counts.received["ice_candidate"] == candidates)
            await network.cut()
            assert await started.ended() == 0, started.said
    figures = json.loads(written.read_text())
    assert_whole(figures, calls=1)
    assert figures["reconnects"] == 2


@pytest.mark.parametrize("name", ["load", "top"])
async def test_without_the_extra_a_command_says_what_to_install(name: str) -> None:
    program = (
        "import sys; sys.modules['rich'] = None; from dyad_server.cli.main import main; "
        "sys.exit(main())"
    )
    arguments = {"load": ("--target", "localhost:1"), "top": ("localhost:1",)}[name]
    status, said = await run(sys.executable, "-c", program, name, *arguments, env=environment())
    assert status == 2
    assert said.startswith(f"dyad: `dyad {name}` needs the package rich")
    assert "pip install 'dyad-signaling-server[tools]'" in said
