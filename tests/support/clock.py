"""Time that does not depend on how busy the machine is."""

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil

from tests.support.until import PATIENCE


class FairClock:
    """Stands still while one of these processes could go on and has no processor.

    What others take of the machine is not what these processes need.
    """

    def __init__(self, *processes: int) -> None:
        self._processes = [Path(f"/proc/{process}/task") for process in processes]
        # By thread, and kept when it ends: or the clock would leap by all that it ever waited.
        self._waited: dict[Path, int] = {}

    def now(self) -> float:
        """In seconds; where the system does not tell who waits, as any clock's."""
        for threads in self._processes:
            # One may end meanwhile.
            with contextlib.suppress(OSError):
                for thread in threads.iterdir():
                    with contextlib.suppress(OSError):
                        waited = (thread / "schedstat").read_bytes().split()[1]
                        self._waited[thread] = int(waited)
        return time.monotonic() - sum(self._waited.values()) / 1e9


@asynccontextmanager
async def within(seconds: float) -> AsyncIterator[None]:
    """Hold what happens inside to a promised time, on a machine that had time for it.

    Counts for this process and those it has started: see `FairClock`.

    Raises:
        AssertionError: it took longer than `seconds`.
        TimeoutError: it does not happen at all.
    """
    children = psutil.Process().children(recursive=True)
    clock = FairClock(os.getpid(), *(child.pid for child in children))
    began = clock.now()
    async with asyncio.timeout(seconds + PATIENCE):
        yield
    took = clock.now() - began
    assert took < seconds, f"it took {took:.2f} s, and {seconds:.2f} s were promised"


def advance(seconds: float) -> None:
    """Let so much time pass at once for the timers of the running loop.

    Those that fall due run when the loop turns next. What waits by another
    clock, such as `time.monotonic`, does not notice.
    """
    loop = asyncio.get_running_loop()
    before = loop.time

    def time_of_loop() -> float:
        return before() + seconds

    # Never taken back: the timers of today would be late.
    loop.time = time_of_loop  # type: ignore[method-assign]
