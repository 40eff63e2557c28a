"""The command `dyad` in its own process, as a user starts it."""

import asyncio
import contextlib
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.until import PATIENCE

DYAD = str(Path(sys.executable).parent / "dyad")


class Command:
    """A running command; `said` collects its output and its errors."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.said = ""
        self._news = asyncio.Event()
        # Reads all the time: otherwise the command would block on a full pipe.
        self._reading = asyncio.create_task(self._read())

    async def says(self, pattern: str) -> re.Match[str]:
        """Wait for the first match in its output."""
        async with asyncio.timeout(PATIENCE):
            while (found := re.search(pattern, self.said)) is None:
                assert not self._reading.done(), f"it never printed {pattern}:\n{self.said}"
                self._news.clear()
                await self._news.wait()
        return found

    async def ended(self) -> int:
        """Wait for its end, and read all of its output; returns its status."""
        async with asyncio.timeout(PATIENCE):
            await self._reading
            return await self.process.wait()

    async def _read(self) -> None:
        assert self.process.stdout is not None
        while line := await self.process.stdout.readline():
            self.said += line.decode("utf-8", "backslashreplace")
            self._news.set()
        self._news.set()


@contextmanager
def hangups(*, ignored: bool) -> Iterator[None]:
    """Let commands start with SIGHUP ignored, as by `nohup`, or not.

    Otherwise they start as the tests did, which may run under `nohup` themselves.
    """
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN if ignored else signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)


@asynccontextmanager
async def command(*arguments: str, env: Mapping[str, str] | None = None) -> AsyncIterator[Command]:
    """Run a command while the context lasts, in its own process group, as a terminal would."""
    process = await asyncio.create_subprocess_exec(
        *arguments,
        env=env,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    started = Command(process)
    try:
        yield started
    finally:
        # It may have ended by itself without asyncio knowing yet.
        with contextlib.suppress(ProcessLookupError):
            if process.returncode is None:
                # Its child processes are in its group.
                os.killpg(process.pid, signal.SIGKILL)
        # Read the pipe to its end: otherwise its transport outlives the test.
        await started.ended()


@dataclass
class Served:
    command: Command
    port: int

    @property
    def process(self) -> asyncio.subprocess.Process:
        return self.command.process


@asynccontextmanager
async def dyad_serve(
    secret: str,
    *options: str,
    program: Sequence[str] = (DYAD,),
    env: Mapping[str, str] | None = None,
) -> AsyncIterator[Served]:
    """Run the server; `program` is the command `dyad`, or another command in its place."""
    whole = {**(os.environ if env is None else env), "DYAD_JWT_SECRET": secret}
    async with command(*program, "serve", "--port", "0", *options, env=whole) as started:
        listening = await started.says(r"listening address=\S+:(\d+) ")
        yield Served(started, int(listening[1]))


async def run(*arguments: str, env: Mapping[str, str] | None = None) -> tuple[int, str]:
    """Run a command to its end; returns its status and its output."""
    async with command(*arguments, env=env) as started:
        return await started.ended(), started.said


async def gone(pid: int) -> None:
    """Wait for the end of a process, which may be the child of any other."""
    try:
        watched = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    loop = asyncio.get_running_loop()
    over = asyncio.Event()
    loop.add_reader(watched, over.set)
    try:
        async with asyncio.timeout(PATIENCE):
            await over.wait()
    finally:
        loop.remove_reader(watched)
        os.close(watched)


def worker_processes(pid: int) -> list[int]:
    """The workers of `dyad serve --workers`."""
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [child for child in map(int, text.split()) if "spawn_main" in command_line(child)]


def command_line(pid: int) -> str:
    """How a process was started; empty if it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
