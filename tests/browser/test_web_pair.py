"""The web client's pair program (clients/INTEROP.md), without a page, through the real Envoy."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.browser.site import Proxy
from tests.conftest import serving, token
from tests.support import proxy as tcp
from tests.support.needs import ROOT, needs

# Limits how many browsers run at the same time.
pytestmark = pytest.mark.xdist_group("browser")

NODE = Path(sys.executable).parent / "node"
PROGRAM = ROOT / "build" / "web" / "dyad-pair.mjs"
ALL = [*range(1, 202)]
Line = dict[str, Any]


@pytest.fixture(autouse=True)
def program() -> None:
    needs(NODE, PROGRAM)


@asynccontextmanager
async def playing(
    role: str, scenario: str, port: int, jwt: str, room: str = ""
) -> AsyncIterator[asyncio.subprocess.Process]:
    arguments = ["--role", role, "--scenario", scenario, "--token", jwt, "--room", room]
    process = await asyncio.create_subprocess_exec(
        str(NODE),
        str(PROGRAM),
        *arguments,
        "--target",
        f"http://127.0.0.1:{port}",
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def reads(process: asyncio.subprocess.Process) -> AsyncIterator[Line]:
    assert process.stdout is not None
    async for line in process.stdout:
        yield json.loads(line)


async def plays_to_the_end(
    process: asyncio.subprocess.Process, way: tcp.Proxy | None = None
) -> list[Line]:
    """Everything it prints; `way` is cut after every 40 candidates."""
    lines = []
    async for line in reads(process):
        lines.append(line)
        if way is not None and line["event"] == "candidate" and line["n"] % 40 == 0:
            await way.cut()
    assert await process.wait() == 0, lines[-1:]
    return lines


def candidates(lines: list[Line]) -> list[int]:
    return [line["n"] for line in lines if line["event"] == "candidate"]


@pytest.mark.parametrize("scenario", ["call", "glare"])
async def test_two_web_clients_follow_the_script(scenario: str) -> None:
    async with serving() as server, Proxy(server.port) as proxy:
        port = proxy.port
        async with playing("caller", scenario, port, token("alice")) as caller:
            room = (await anext(reads(caller)))["room"]
            async with playing("callee", scenario, port, token("bob"), room) as callee:
                called, answered = await asyncio.gather(
                    plays_to_the_end(caller), plays_to_the_end(callee)
                )
    assert candidates(called) == candidates(answered) == (ALL if scenario == "call" else [])


async def test_repeated_disconnects_lose_and_duplicate_nothing() -> None:
    async with (
        serving() as server,
        Proxy(server.port) as proxy,
        tcp.Proxy(proxy.port) as way,
        playing("caller", "cut", proxy.port, token("alice")) as caller,
    ):
        room = (await anext(reads(caller)))["room"]
        async with playing("callee", "cut", way.port, token("bob"), room) as callee:
            called, answered = await asyncio.gather(
                plays_to_the_end(caller), plays_to_the_end(callee, way)
            )
    assert candidates(called) == candidates(answered) == ALL
    assert [line["resumed"] for line in answered if line["event"] == "reconnected"] == [True] * 5
    assert not [line for line in called if line["event"] == "reconnecting"]


@pytest.mark.parametrize(
    ("scenario", "line"),
    [
        ("unknown", {"event": "refused", "code": "ROOM_NOT_FOUND"}),
        ("badtoken", {"event": "ended", "code": "UNAUTHENTICATED", "retry": False}),
    ],
)
async def test_a_refusal_and_an_end_are_distinguished(scenario: str, line: Line) -> None:
    jwt = "a.b.c" if scenario == "badtoken" else token("carol")
    room = "6c1f3c3e-9d2c-4b7e-8f53-0d6f3f9f7a10"
    async with (
        serving() as server,
        Proxy(server.port) as proxy,
        playing("callee", scenario, proxy.port, jwt, room) as callee,
    ):
        assert await plays_to_the_end(callee) == [line]
