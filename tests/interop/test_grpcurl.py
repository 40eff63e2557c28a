"""docs/grpcurl.md, typed into two terminals: they show what stands there."""

import asyncio
import os
import re
import shlex
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from tests.interop.conftest import build
from tests.support.needs import ROOT, needs
from tests.support.ports import free_port

DOCUMENT = (ROOT / "docs" / "grpcurl.md").read_text()
FOLDER = ROOT / "build" / "grpcurl"
PORT = "50051"
# Fetching and compiling grpcurl, on a machine that never did.
BUILD = 1800
ANSWER = 20


@pytest.fixture(scope="module")
def grpcurl() -> str:
    """The folder in which it is."""
    needs("go", "bash", "openssl")
    (install,) = re.findall(r"```sh\n(go install .*)\n```", DOCUMENT)
    build("env", f"GOBIN={FOLDER}", *shlex.split(install), folder=ROOT)
    return str(FOLDER)


class Terminal:
    """A shell to type into, and what it shows."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.shown = ""

    async def types(self, text: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(text.encode())
        await self.process.stdin.drain()

    async def shows(self, line: str) -> None:
        """Read on to a line like this, `…` standing for whatever it is."""
        pattern = ".*".join(re.escape(part) for part in line.split("…"))
        assert self.process.stdout is not None
        try:
            async with asyncio.timeout(ANSWER):
                while read := (await self.process.stdout.readline()).decode():
                    self.shown += read
                    if re.fullmatch(pattern, read.rstrip("\n")):
                        return
        except TimeoutError:
            pass
        raise AssertionError(f"it never showed {line!r}:\n{self.shown}")

    async def ends(self) -> None:
        """Leave the shell; all that it started is over by itself."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        async with asyncio.timeout(ANSWER):
            # The pipe is at its end when nothing that was started has it any more.
            self.shown += (await self.process.stdout.read()).decode()
            await self.process.wait()


@asynccontextmanager
async def terminal(folder: Path, env: dict[str, str]) -> AsyncIterator[Terminal]:
    process = await asyncio.create_subprocess_exec(
        "bash",
        cwd=folder,
        env=env,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    opened = Terminal(process)
    try:
        yield opened
        await opened.ends()
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
        await process.communicate()


@pytest.mark.long
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
