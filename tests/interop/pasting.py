"""The quick starts of the clients' READMEs, and a shell to paste them into."""

import asyncio
import contextlib
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from tests.support.needs import ROOT

# Fetching and compiling everything, on a machine that never did, after the builds of others.
PASTE = 1800


def quick_start(client: str) -> list[str]:
    """What there is to paste, block by block."""
    readme = (ROOT / "clients" / client / "README.md").read_text()
    section = readme.partition("\n## Quick start\n")[2].partition("\n##")[0]
    return re.findall(r"^```sh\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)


class Shell:
    """A shell that was given all its input."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.said = ""

    async def says(self, pattern: str) -> str:
        """Read on to the line that has this; its first group, or all of it."""
        assert self.process.stdout is not None
        while line := await self._line():
            if found := re.search(pattern, line):
                return found[found.re.groups]
        raise AssertionError(f"it ended before it said {pattern}:\n{self.said}")

    async def ends(self) -> str:
        """Read on to the end; all that it said."""
        while await self._line():
            pass
        return self.said

    async def _line(self) -> str:
        assert self.process.stdout is not None
        line = (await self.process.stdout.readline()).decode()
        # Maven puts colours, or the end of them, where there is no terminal too.
        line = re.sub(r"\x1b\[\d*m", "", line)
        self.said += line
        return line


@contextlib.asynccontextmanager
async def pasted(text: str, folder: Path, **env: str) -> AsyncIterator[Shell]:
    """A shell in this folder with this pasted into it, and `dyad`, npm and node on its path."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    process = await asyncio.create_subprocess_exec(
        "bash",
        cwd=folder,
        env=os.environ | {"PATH": path} | env,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        assert process.stdin is not None
        process.stdin.write(text.encode())
        process.stdin.close()
        yield Shell(process)
    finally:
        # What it left in the background is in its group, and may outlive it.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.communicate()
