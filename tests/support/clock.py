"""Time limits that do not depend on how busy the machine is."""

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import BinaryIO

import psutil

from tests.support.until import PATIENCE


class FairClock:
    """A clock that stands still while one of its processes waits for a CPU.

    So the load of other processes does not count.
    """

    def __init__(self, *processes: int) -> None:
        self._processes = [Path(f"/proc/{process}/task") for process in processes]
        # The reports of all threads, open: to open one takes longer than to read it.
        self._reports: dict[Path, BinaryIO] = {}
        # Threads that have ended stay counted: otherwise the clock would jump.
        self._waited: dict[Path, int] = {}
        # What they had waited before the clock found them, in all.
        self._before = 0
        self._look_at = 0.0

    def now(self) -> float:
        """The time in seconds. The clock is an ordinary one if the system reports no waits."""
        if (now := time.monotonic()) >= self._look_at:
            self._look_at = now + _LOOK_SECONDS
            for process in self._processes:
                self._look_for_threads(process)
        for thread in self._reports:
            self._read(thread)
        return time.monotonic() - (sum(self._waited.values()) - self._before) / 1e9

    def close(self) -> None:
        """Close all files."""
        for report in self._reports.values():
            report.close()

    def _look_for_threads(self, process: Path) -> None:
        # A process may have ended, or a thread.
        with contextlib.suppress(OSError):
            for thread in set(process.iterdir()) - self._reports.keys():
                self._reports[thread] = (thread / "schedstat").open("rb", buffering=0)
                self._read(thread)
                self._before += self._waited.get(thread, 0)

    def _read(self, thread: Path) -> None:
        # A thread may have ended.
        with contextlib.suppress(OSError):
            report = self._reports[thread]
            report.seek(0)
            self._waited[thread] = int(report.read().split()[1])


_LOOK_SECONDS = 0.25
"""How often a clock looks for new threads. What they waited before that does not count."""
_STEPS = 100_000
_REFERENCE_SECONDS = 0.007
"""What `_STEPS` took on the 2-core machine that the limits were chosen on, with Debian's Python."""
_SAMPLES = 5


def slowness() -> float:
    """How many times slower than the reference this machine runs Python now; at least 1.

    The same virtual machine was up to 2.5 times slower from one hour to the next, and a Python
    built without optimizations 1.5 times. A time limit on work that keeps a CPU busy must
    grow with it.
    """
    return max(1.0, min(_sample() for _ in range(_SAMPLES)) / _REFERENCE_SECONDS)


def _sample() -> float:
    began, total = time.process_time(), 0
    for step in range(_STEPS):
        total += step * step % 7
    return time.process_time() - began


@asynccontextmanager
async def within(seconds: float) -> AsyncIterator[None]:
    """Assert that the block takes less than `seconds`, not counting waits for a CPU.

    Waits of this process and of its children do not count: see `FairClock`.

    Raises:
        AssertionError: the block took longer than `seconds`.
        TimeoutError: the block does not finish at all.
    """
    children = psutil.Process().children(recursive=True)
    with contextlib.closing(FairClock(os.getpid(), *(child.pid for child in children))) as clock:
        began = clock.now()
        async with asyncio.timeout(seconds + PATIENCE):
            yield
        took = clock.now() - began
    assert took < seconds, f"it took {took:.2f} s, and {seconds:.2f} s were promised"


def advance(seconds: float) -> None:
    """Advance the time of the running loop's timers.

    Due timers run in the next turn of the loop. Other clocks, such as
    `time.monotonic`, do not change.
    """
    loop = asyncio.get_running_loop()
    before = loop.time

    def time_of_loop() -> float:
        return before() + seconds

    # Never undone: timers set since then would be late.
    loop.time = time_of_loop  # type: ignore[method-assign]
