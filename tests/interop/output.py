"""What a program under way prints, read line by line as far as a test needs it."""

import asyncio
import contextlib
import os
import re
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path


class Output:
    """A program's output; `said` is what has been read of it."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.said = ""

    async def says(self, pattern: str) -> str:
        """Read on to the line that has this; its first group, or all of it."""
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


@asynccontextmanager
async def bash(folder: Path, env: Mapping[str, str]) -> AsyncIterator[asyncio.subprocess.Process]:
    """A shell in this folder, ended with all that it has started."""
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
        # What it left in the background is in its group, and may outlive it.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.communicate()
