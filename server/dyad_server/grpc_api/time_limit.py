"""A time limit for what is nearly always over in no time, at next to no cost."""

import asyncio
import time
from collections.abc import Awaitable
from typing import Any


class TimeLimit:
    """Limits how long each of many tasks may wait, with one timer for all of them.

    A timer for each write, as `asyncio.timeout` sets, is a tenth of a frame's cost.
    """

    def __init__(self, seconds: float) -> None:
        """Let each wait take so long."""
        self._seconds = seconds
        # When each wait began. All may take the same time, so the first ends first.
        self._began: dict[asyncio.Task[Any], float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        """How many wait."""
        return len(self._began)

    async def wait_for(self, work: Awaitable[None]) -> None:
        """Await `work`, at most for the limit.

        Raises:
            TimeoutError: it took too long, and was cancelled.
        """
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine that runs is run by a task
        self._began[task] = time.monotonic()
        if self._timer is None:
            self._look_in(self._seconds)
        try:
            await work
        except asyncio.CancelledError:
            # Where it is still listed, or was cancelled twice, it is not the limit alone.
            if task in self._began or task.uncancel():
                raise
            raise TimeoutError from None
        finally:
            self._began.pop(task, None)

    def _look_in(self, seconds: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(seconds, self._look)

    def _look(self) -> None:
        self._timer = None
        now = time.monotonic()
        while self._began:
            task, began = next(iter(self._began.items()))
            if (left := began + self._seconds - now) > 0:
                self._look_in(left)
                return
            del self._began[task]
            task.cancel()
