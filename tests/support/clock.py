"""Time limits that do not depend on how busy the machine is."""

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
    """Stands still while one of these processes waits for a processor.

    What others take of the machine is not what these processes need.
    """

    def __init__(self, *processes: int) -> None:
        self._processes = [Path(f"/proc/{process}/task") for process in processes]
        # By thread, and kept when it ends: or the clock would leap by all that it ever waited.
        self._waited: dict[Path, int] = {}

    def now(self) -> float:
        """The time in seconds; an ordinary clock if the system does not report waits."""
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
    """Assert that the block takes less than `seconds`, not counting waits for a processor.

    This counts this process and its children: see `FairClock`.

    Raises:
        AssertionError: the block took longer than `seconds`.
        TimeoutError: the block does not finish at all.
    """
    children = psutil.Process().children(recursive=True)
    clock = FairClock(os.getpid(), *(child.pid for child in children))
    began = clock.now()
    async with asyncio.timeout(seconds + PATIENCE):
        yield
    took = clock.now() - began
    assert took < seconds, f"it took {took:.2f} s, and {seconds:.2f} s were promised"


def advance(seconds: float) -> None:
    """Move the time of the running loop's timers forward.

    Due timers run in the next turn of the loop. Other clocks, such as
    `time.monotonic`, do not change.
    """
    loop = asyncio.get_running_loop()
    before = loop.time

    def time_of_loop() -> float:
        return before() + seconds

    # Never undone: present timers would be late.
    loop.time = time_of_loop  # type: ignore[method-assign]
