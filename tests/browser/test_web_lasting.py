"""The web client, without a browser, in a call that lasts longer than its lease or its token."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import dyad
import pytest

from tests.browser.site import Proxy
from tests.conftest import serving, token
from tests.support.needs import ROOT, needs
from tests.support.python_client import hear

# Limits how many browsers run at the same time.
pytestmark = pytest.mark.xdist_group("browser")

NODE = Path(sys.executable).parent / "node"
PROGRAM = ROOT / "build" / "web" / "answering.mjs"
LEEWAY = 30
"""How long the server still accepts a token after its `exp`, in seconds."""
SECONDS = 4
"""How long the tokens in this file are valid."""


@pytest.fixture(autouse=True)
def program() -> None:
    needs(NODE, PROGRAM)


class Answering:
    """The program `answering`, which gets a new token whenever it asks for one.

    Attributes:
        said: the lines that it has printed.
        tokens: how many tokens it was given.
    """

    def __init__(self, process: asyncio.subprocess.Process, seconds: int) -> None:
        self.said: list[dict[str, Any]] = []
        self.tokens = 0
        self._process = process
        self._seconds = seconds

    async def says(self, event: str) -> dict[str, Any]:
        """Wait for the next line about this event, ignoring other lines."""
        assert self._process.stdout is not None
        assert self._process.stdin is not None
        async for text in self._process.stdout:
            line: dict[str, Any] = json.loads(text)
            self.said.append(line)
            if line["event"] == "wants a token":
                self.tokens += 1
                proof = token("alice", ttl=self._seconds - LEEWAY)
                self._process.stdin.write(f"{proof}\n".encode())
            if line["event"] == event:
                return line
        raise AssertionError(f"it never printed {event}: {self.said}")


@asynccontextmanager
async def answering(port: int, *options: str, seconds: int = SECONDS) -> AsyncIterator[Answering]:
    """Run it with tokens that are valid for this many seconds."""
    process = await asyncio.create_subprocess_exec(
        str(NODE),
        str(PROGRAM),
        f"http://127.0.0.1:{port}",
        *options,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield Answering(process, seconds)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def talk(bob: dyad.Connection, seconds: float) -> None:
    """Send frames for this long; AssertionError if an answer is missing or wrong."""
    until_then, n = asyncio.get_running_loop().time() + seconds, 0
    while asyncio.get_running_loop().time() < until_then:
        n += 1
        await bob.send_offer(str(n))
        answer = await hear(bob)
        assert isinstance(answer, dyad.Answer), answer
        assert answer.sdp == str(n)
        await asyncio.sleep(0.1)


async def test_a_page_that_only_receives_keeps_its_connection_past_the_lease() -> None:
    async with (
        serving(heartbeat=0.2, lease=1) as server,
        Proxy(server.port) as proxy,
        answering(proxy.port, seconds=60) as alice,
        dyad.connect(f"127.0.0.1:{server.port}", token("bob"), plaintext=True) as bob,
    ):
        await bob.join((await alice.says("room"))["room"])
        # Too few frames for an acknowledgement.
        for n in range(30):
            await bob.send_candidate(dyad.Candidate(str(n)))
            await asyncio.sleep(0.1)
        await bob.leave()
        await alice.says("peerLeft")
        assert "reconnecting" not in {line["event"] for line in alice.said}


@pytest.mark.parametrize("end_at_expiry", [False, True])
async def test_a_page_continues_its_call_when_its_token_expires(*, end_at_expiry: bool) -> None:
    async with (
        serving(end_at_expiry=end_at_expiry) as server,
        Proxy(server.port) as proxy,
        answering(proxy.port) as alice,
        dyad.connect(f"127.0.0.1:{server.port}", token("bob"), plaintext=True) as bob,
    ):
        await bob.join((await alice.says("room"))["room"])
        hearing = asyncio.create_task(alice.says("peerLeft"))
        await talk(bob, 2.5 * SECONDS)
        await bob.leave()
        await hearing
        back = [line for line in alice.said if line["event"] == "reconnected"]
        assert all(line["resumed"] for line in back)
        if end_at_expiry:
            assert back
            assert alice.tokens >= 1 + len(back)
        else:
            assert not back, "its Send was refused"


async def test_a_page_with_a_fixed_token_shows_the_servers_sentence_when_it_expires() -> None:
    async with (
        serving(end_at_expiry=True) as server,
        Proxy(server.port) as proxy,
        answering(proxy.port, "--fixed") as alice,
    ):
        over = await alice.says("over")
        assert over["code"] == "unauthenticated"
        assert "expired" in over["message"]
        assert "reconnecting" not in {line["event"] for line in alice.said}
