"""Types docs/grpcurl.md into two terminals, and compares the output."""

import asyncio
import os
import re
import shlex
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from tests.interop.conftest import build
from tests.interop.output import Output, bash
from tests.support.needs import ROOT, needs
from tests.support.ports import free_port

DOCUMENT = (ROOT / "docs" / "grpcurl.md").read_text()
FOLDER = ROOT / "build" / "grpcurl"
PORT = "50051"
# The first run on a machine fetches and compiles grpcurl.
BUILD = 1800
ANSWER = 20


@pytest.fixture(scope="module")
def grpcurl() -> str:
    """The folder of the program grpcurl."""
    needs("go", "bash", "openssl")
    (install,) = re.findall(r"```sh\n(go install .*)\n```", DOCUMENT)
    build("env", f"GOBIN={FOLDER}", *shlex.split(install), folder=ROOT)
    return str(FOLDER)


class Terminal(Output):
    """A shell to type into, and what it shows."""

    async def types(self, text: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(text.encode())
        await self.process.stdin.drain()

    async def shows(self, line: str) -> None:
        """Read up to a line like this, in which `…` stands for any text."""
        pattern = ".*".join(re.escape(part) for part in line.split("…"))
        try:
            async with asyncio.timeout(ANSWER):
                await self.says(f"^{pattern}$")
        except TimeoutError:
            raise AssertionError(f"the terminal never showed {line!r}:\n{self.said}") from None

    async def exits(self) -> None:
        """Leave the shell; every program that it started must end by itself."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        async with asyncio.timeout(ANSWER):
            # The pipe ends when the last program that holds it has ended.
            await self.ends()
            await self.process.wait()


@asynccontextmanager
async def terminal(folder: Path, env: dict[str, str]) -> AsyncIterator[Terminal]:
    async with bash(folder, env) as process:
        opened = Terminal(process)
        yield opened
        await opened.exits()


# With the other builds in Go, which compile the same packages.
@pytest.mark.xdist_group("native clients")
@pytest.mark.timeout(BUILD)
async def test_the_session_on_the_grpcurl_page_works_as_shown(grpcurl: str, tmp_path: Path) -> None:
    port = str(free_port())
    path = os.pathsep.join([grpcurl, str(Path(sys.executable).parent), os.environ["PATH"]])
    env = os.environ | {"PATH": path, "DYAD_PORT": port}
    blocks = re.findall(
        r"^```(sh|text) (alice|bob)\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL
    )
    assert blocks
    async with AsyncExitStack() as opened:
        terminals = {
            who: await opened.enter_async_context(terminal(tmp_path, env))
            for who in ("bob", "alice")
        }
        for kind, who, text in blocks:
            if kind == "sh":
                await terminals[who].types(text.replace(PORT, port))
            else:
                for line in text.splitlines():
                    await terminals[who].shows(line)
