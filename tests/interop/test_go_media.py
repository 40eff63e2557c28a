"""Real video between pion, with the Go client, and other WebRTC stacks."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.browser.site import DECODED, MEDIA_MS, OpenSite, create, hang_up, join
from tests.conftest import serving, token
from tests.interop.conftest import build, once
from tests.interop.output import Output
from tests.support.needs import ROOT, needs

PION = ROOT / "clients" / "go" / "examples" / "pion_call"
AIORTC = ROOT / "clients" / "python" / "examples" / "aiortc_call.py"
FRAMES = "30"
# The first run on a machine fetches and compiles pion.
BUILD = 1800
CALL = 120

# Limits how many browsers run at the same time.
pytestmark = [pytest.mark.timeout(BUILD), pytest.mark.xdist_group("browser")]


@pytest.fixture(scope="module")
def pion(shared_folder: Path) -> tuple[str, ...]:
    needs("go")

    def make(program: Path) -> None:
        build("go", "build", "-o", str(program), folder=PION)

    return str(once(shared_folder / "pion-call", make)), "-plaintext", "-stun", ""


@pytest.fixture
def aiortc() -> tuple[str, ...]:
    return sys.executable, str(AIORTC), "--plaintext", "--stun", ""


class Caller(Output):
    """An example program that places a call."""

    async def succeeds(self) -> None:
        await self.ends()
        assert await self.process.wait() == 0, self.said


@asynccontextmanager
async def placing(
    program: tuple[str, ...], port: int, sub: str, *more: str
) -> AsyncIterator[Caller]:
    process = await asyncio.create_subprocess_exec(
        *program,
        *("--target", f"127.0.0.1:{port}", "--token", token(sub), "--frames", FRAMES, *more),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(CALL):
            yield Caller(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@pytest.mark.parametrize(
    ("first", "second"), [("pion", "pion"), ("pion", "aiortc"), ("aiortc", "pion")]
)
async def test_each_receives_the_pictures_of_the_other(
    first: str, second: str, pion: tuple[str, ...], aiortc: tuple[str, ...]
) -> None:
    programs = {"pion": pion, "aiortc": aiortc}
    async with serving() as server, placing(programs[first], server.port, "alice") as alice:
        room = await alice.says("^room (.+)$")
        async with placing(
            programs[second], server.port, "bob", "--room", room, "--frames", "0"
        ) as bob:
            # Alice hangs up after enough frames. By then Bob has received frames, too.
            await alice.succeeds()
            await bob.says("^frames [1-9]")
            await bob.succeeds()


async def test_pion_calls_a_browser(site: OpenSite, pion: tuple[str, ...]) -> None:
    async with site() as here, placing(pion, here.server.port, "alice", "--frames", "0") as alice:
        bob = await here.tab()
        await join(bob, await alice.says("^room (.+)$"))
        await alice.says("^frames [1-9]")
        await bob.wait_for_function(DECODED, timeout=MEDIA_MS)
        await hang_up(bob)
        await alice.says(r"^peer left \(left\)$")
        await alice.succeeds()


async def test_a_browser_calls_pion(site: OpenSite, pion: tuple[str, ...]) -> None:
    async with site() as here:
        alice = await here.tab()
        room = await create(alice)
        async with placing(pion, here.server.port, "bob", "--room", room, "--frames", "0") as bob:
            await bob.says("^frames [1-9]")
            await alice.wait_for_function(DECODED, timeout=MEDIA_MS)
