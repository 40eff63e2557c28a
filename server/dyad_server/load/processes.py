"""The processes that make the calls: starts them, hears their reports, and stops them."""

import asyncio
import contextlib
import multiprocessing
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

import psutil

from dyad_server.errors import DyadError
from dyad_server.grpc_api.connections import raise_descriptor_limit
from dyad_server.grpc_environment import STOP_SIGNALS
from dyad_server.load import bounds
from dyad_server.load.endpoints import Endpoints
from dyad_server.load.generator import Generator
from dyad_server.load.plan import Plan
from dyad_server.load.schedule import Schedule
from dyad_server.load.tally import Report
from dyad_server.load.users import Users
from dyad_server.ops.clock import LoopClock

_READY, _GO, _STOP = "ready", "go", "stop"


@dataclass(frozen=True, slots=True)
class Share:
    """What one of the processes does: every `count`-th call from number `index`."""

    plan: Plan
    users: Users
    index: int
    count: int


Hear = Callable[[int, Report], None]
"""Takes the number of a process, and its report."""


class Processes:
    """The running processes. `go` starts the calls, `stop` hangs up, `ended` waits."""

    def __init__(self, shares: Sequence[Share], hear: Hear) -> None:
        """Start a process for each share."""
        # Spawned: gRPC's threads would not survive a fork.
        spawn = multiprocessing.get_context("spawn")
        self._hear = hear
        self._running: list[tuple[BaseProcess, Connection]] = []
        self._ready = 0
        self._ended = 0
        self._news = asyncio.Event()
        self._lost = ""
        # Ctrl-C in a terminal reaches all processes, and so may SIGTERM, but this one decides
        # what to do. They inherit that the signals are ignored, so none ends while it starts.
        before = {number: signal.signal(number, signal.SIG_IGN) for number in STOP_SIGNALS}
        for share in shares:
            own, theirs = spawn.Pipe()
            process = spawn.Process(target=_run, args=(share, theirs), name=f"load-{share.index}")
            process.start()
            theirs.close()
            self._running.append((process, own))
        for number, handler in before.items():
            signal.signal(number, handler)
        loop = asyncio.get_running_loop()
        for index, (_, connection) in enumerate(self._running):
            loop.add_reader(connection.fileno(), self._read, index)

    async def until_ready(self) -> None:
        """Wait until all can make calls.

        Raises:
            DyadError: a process ended, or takes too long.
        """
        try:
            async with asyncio.timeout(bounds.START_SECONDS):
                await self._until(lambda: self._ready == len(self._running))
        except TimeoutError:
            raise DyadError("The processes of the load generator do not start.") from None

    def go(self) -> None:
        """Let all begin now."""
        self._say(_GO)

    def stop(self) -> None:
        """Let all hang up."""
        self._say(_STOP)

    async def ended(self) -> None:
        """Wait until all calls of all processes are over.

        Raises:
            DyadError: a process ended before that.
        """
        await self._until(lambda: self._ended == len(self._running))

    async def _until(self, holds: Callable[[], bool]) -> None:
        while not holds():
            if self._lost:
                raise DyadError(self._lost)
            self._news.clear()
            await self._news.wait()

    def _say(self, word: str) -> None:
        for _, connection in self._running:
            with contextlib.suppress(OSError):  # It has ended.
                connection.send(word)

    def _read(self, index: int) -> None:
        connection = self._running[index][1]
        try:
            message: Report | str | None = connection.recv()
        except (EOFError, OSError):
            asyncio.get_running_loop().remove_reader(connection.fileno())
            self._lost = self._lost or f"Process {index} of the load generator ended too soon."
        else:
            if message is None:
                asyncio.get_running_loop().remove_reader(connection.fileno())
                self._ended += 1
            elif isinstance(message, str):
                self._ready += 1
            else:
                self._hear(index, message)
        self._news.set()

    def close(self) -> None:
        """End the processes, also those that hang."""
        for process, connection in self._running:
            with contextlib.suppress(ValueError):  # It was removed.
                asyncio.get_running_loop().remove_reader(connection.fileno())
            connection.close()
            process.kill()
        for process, _ in self._running:
            process.join()


@asynccontextmanager
async def running(shares: Sequence[Share], hear: Hear) -> AsyncIterator[Processes]:
    """Processes that get ready to make calls, while the context lasts."""
    processes = Processes(shares, hear)
    try:
        yield processes
    finally:
        processes.close()


def _run(share: Share, connection: Connection) -> None:
    """Make the calls of a share, in a process of its own."""
    import uvloop  # noqa: PLC0415 - Windows has none, and tests of other parts run there

    raise_descriptor_limit()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_make_calls(share, connection))


async def _make_calls(share: Share, connection: Connection) -> None:
    plan = share.plan
    process = psutil.Process()
    schedule = Schedule(
        plan.calls_per_second,
        ramp=plan.ramp,
        duration=plan.duration,
        first=share.index,
        step=share.count,
    )
    generator = Generator(
        schedule,
        share.users,
        Endpoints(plan),
        hold=plan.hold,
        clock=LoopClock(),
        cpu_seconds=lambda: sum(process.cpu_times()[:2]),
    )
    going = asyncio.Event()
    loop = asyncio.get_running_loop()

    def listen() -> None:
        try:
            word = connection.recv()
        except (EOFError, OSError):
            # The process that draws is gone, and nobody needs the figures.
            word = _STOP
            loop.remove_reader(connection.fileno())
        if word == _STOP:
            generator.stop()
        going.set()

    def tell(message: Report | str | None) -> None:
        with contextlib.suppress(OSError):
            connection.send(message)

    loop.add_reader(connection.fileno(), listen)
    tell(_READY)
    await going.wait()
    await generator.run(tell)
    tell(None)
    loop.remove_reader(connection.fileno())
