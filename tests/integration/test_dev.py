"""The command `dyad dev`: its links, its tokens, and that it leaves no process behind."""

import asyncio
import os
import re
import signal
import ssl
import urllib.error
import urllib.request
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from email.message import Message

import dyad
import jwt
import psutil
import pytest
from dyad_server.cli import lan
from dyad_server.errors import ConfigError

from tests.support.needs import PAGE, needs
from tests.support.process import DYAD, Command, command, gone, run
from tests.support.until import PATIENCE

LINK = re.compile(r"(Alice|Bob): +(http://localhost:\d+/)#token=([^&]+)&auto=1")


def fetch(url: str, context: ssl.SSLContext | None = None) -> tuple[str, str]:
    with urllib.request.urlopen(url, timeout=PATIENCE, context=context) as page:
        return page.headers["content-type"], page.read().decode()


def environments() -> Iterator[dict[str, str]]:
    """Of all processes that this user may look at."""
    for process in psutil.process_iter(["environ"]):
        yield process.info["environ"] or {}


def allowed_origin(preflight: urllib.request.Request) -> str | None:
    try:
        with urllib.request.urlopen(preflight, timeout=PATIENCE) as answer:
            headers: Message = answer.headers
    except urllib.error.HTTPError as error:
        headers = error.headers
    return headers["access-control-allow-origin"]


@asynccontextmanager
async def dev(*more: str) -> AsyncIterator[Command]:
    needs(PAGE)
    async with command(DYAD, "dev", "--port", "0", "--grpc-port", "0", *more) as running:
        await running.says(r"Press Ctrl-C to stop\.\n")
        yield running


async def test_its_links_enter_one_room_without_typing() -> None:
    async with dev() as running:
        links = LINK.findall(running.said)
        assert [name for name, _, _ in links] == ["Alice", "Bob"]
        claims = [jwt.decode(token, options={"verify_signature": False}) for *_, token in links]
        assert [claim["sub"] for claim in claims] == ["alice", "bob"]
        assert claims[0]["room"] == claims[1]["room"]
        kind, page = await asyncio.to_thread(fetch, links[0][1])
        assert kind.startswith("text/html")
        assert page == PAGE.read_text()


async def test_a_client_connects_as_the_output_says() -> None:
    async with dev() as running:
        target = (await running.says(r'dyad\.connect\("(\S+)", token, plaintext=True\)'))[1]
        tokens = re.findall(r"export (?:ALICE|BOB)=(\S+)", running.said)
        async with (
            dyad.connect(target, tokens[0], plaintext=True) as alice,
            dyad.connect(target, tokens[1], plaintext=True) as bob,
        ):
            room = await alice.create()
            await bob.join(room.room_id)
            assert isinstance(await anext(aiter(alice)), dyad.PeerJoined)


async def test_it_prints_how_to_make_more_tokens_without_a_path_that_leads_to_dyad() -> None:
    async with dev() as running:
        said = await running.says(r"(export DYAD_JWT_SECRET=\S+)\n +(.+)")
        key, line = said.groups()
        env = os.environ | {"PATH": "/usr/bin:/bin"}
        status, made = await run("bash", "-c", f"{key}; {line}", env=env)
        assert status == 0, made
        claims = jwt.decode(made.strip(), options={"verify_signature": False})
        assert claims["sub"] == "carol"


async def test_with_the_key_that_it_printed_old_tokens_are_good_after_a_restart() -> None:
    async with dev() as running:
        secret = (await running.says(r"export DYAD_JWT_SECRET=(\S+)"))[1]
        token = (await running.says(r"export ALICE=(\S+)"))[1]
    env = {"DYAD_JWT_SECRET": secret}
    options = ("dev", "--port", "0", "--grpc-port", "0")
    async with command(DYAD, *options, env=os.environ | env) as again:
        target = (await again.says(r'dyad\.connect\("(\S+)"'))[1]
        async with dyad.connect(target, token, plaintext=True) as alice:
            await alice.create()


async def test_a_web_app_of_another_origin_may_call() -> None:
    async with dev("--origin", "https://app.example:8443") as running:
        url = LINK.findall(running.said)[0][1]
        asked = {"access-control-request-method": "POST"}
        for origin, allowed in (
            ("https://app.example:8443", True),
            ("http://localhost:5173", True),
            ("https://elsewhere.example", False),
        ):
            request = urllib.request.Request(
                f"{url}dyad.v1.Signaling/Listen",
                headers=asked | {"origin": origin},
                method="OPTIONS",
            )
            assert (await asyncio.to_thread(allowed_origin, request) == origin) == allowed


async def test_in_a_network_it_has_tls_and_shows_a_qr_code() -> None:
    try:
        address = lan.own_address()
    except ConfigError:
        pytest.skip("This test needs a network besides loopback.")
    async with dev("--lan") as running:
        url = (await running.says(rf"Page: +(https://{re.escape(address)}:\d+/)"))[1]
        assert "▄" in running.said
        unchecked = ssl._create_unverified_context()  # noqa: SLF001 - the certificate signs itself
        assert (await asyncio.to_thread(fetch, url, unchecked))[1] == PAGE.read_text()


@pytest.mark.parametrize(
    # A terminal signals the whole group: Envoy receives Ctrl-C, too.
    ("end", "number"),
    [(os.killpg, signal.SIGINT), (os.kill, signal.SIGINT), (os.kill, signal.SIGTERM)],
    ids=["Ctrl-C", "SIGINT", "SIGTERM"],
)
async def test_it_leaves_no_process_behind(
    end: Callable[[int, int], None], number: signal.Signals
) -> None:
    async with dev() as running:
        started = psutil.Process(running.process.pid).children(recursive=True)
        assert started, "Envoy runs, so there is a child process"
        end(running.process.pid, number)
        assert await running.ended() == 0, running.said
        for child in started:
            await gone(child.pid)
        assert running.said.endswith("Stopping.\n"), running.said
        assert "Traceback" not in running.said


@pytest.mark.parametrize("lines", ["1", "8"])
async def test_it_ends_in_silence_when_nobody_reads_it_any_more(lines: str) -> None:
    needs(PAGE)
    pipe = f'"$0" dev --port 0 --grpc-port 0 | head -n {lines}; echo "statuses ${{PIPESTATUS[*]}}"'
    mark = {"A_TEST": str(uuid.uuid4())}
    async with command("bash", "-c", pipe, DYAD, env=os.environ | mark) as running:
        await running.says("Dyad runs")
        assert await running.ended() == 0
        assert running.said.endswith("statuses 0 0\n"), running.said
        assert len(running.said.splitlines()) == int(lines) + 1, running.said
        assert not any(mark.items() <= env.items() for env in environments())


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("--port", "70000", "--port is not a port: 70000."),
        ("--grpc-port", "-1", "--grpc-port is not a port: -1."),
        ("--origin", "app.example", "--origin app.example is not an origin."),
        ("--origin", "https://app.example/", "no path"),
    ],
)
async def test_a_mistake_is_a_sentence(option: str, value: str, says: str) -> None:
    async with command(DYAD, "dev", option, value) as running:
        assert await running.ended() == 2
        assert says in running.said
        assert "Traceback" not in running.said


async def test_for_a_port_that_is_taken_it_prints_a_command_that_works() -> None:
    needs(PAGE)
    async with dev() as first:
        page = (await first.says(r"Page: +http://localhost:(\d+)"))[1]
        server = (await first.says(r"Server: +127\.0\.0\.1:(\d+)"))[1]
        again = ""
        for ports in ((page, "0"), ("0", server)):
            mine = ("--port", ports[0], "--grpc-port", ports[1], "--origin", "https://app.example")
            async with command(DYAD, "dev", *mine) as running:
                again = (await running.says(r"(\S*/dyad dev --port 0 --grpc-port 0.*)\n"))[1]
                assert await running.ended() == 2
                assert f"port {max(ports, key=int)} cannot be used" in running.said
                assert "Traceback" not in running.said
        async with command(*again.split()) as running:
            await running.says("Web apps of these origins may call too: .*https://app.example")
