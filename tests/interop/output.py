"""The output of a running program, read line by line as far as a test needs it."""

import asyncio
import contextlib
import os
import re
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path


class Output:
    """A program's output; `said` is the part that has been read."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.said = ""

    async def says(self, pattern: str) -> str:
        """Read up to the line that matches; returns its first group, or else the whole match."""
        while line := await self._line():
            if found := re.search(pattern, line):
                return found[found.re.groups]
        raise AssertionError(f"it ended before it printed {pattern}:\n{self.said}")

    async def ends(self) -> str:
        """Read to the end; returns everything that the program printed."""
        while await self._line():
            pass
        return self.said

    async def _line(self) -> str:
        assert self.process.stdout is not None
        line = (await self.process.stdout.readline()).decode()
        # Maven prints colour codes even without a terminal.
        line = re.sub(r"\x1b\[\d*m", "", line)
        self.said += line
        return line


@asynccontextmanager
async def bash(folder: Path, env: Mapping[str, str]) -> AsyncIterator[asyncio.subprocess.Process]:
    """A shell in this folder. Everything that it started ends with it."""
    process = await asyncio.create_subprocess_exec(
        "bash",
        cwd=folder,
        env=env,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        # Its background processes are in its group, and may outlive it.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.communicate()
