"""A cheap time limit for operations that nearly always finish at once."""

import asyncio
from collections.abc import Awaitable
from typing import Any

from dyad_server.core.clock import Clock, Timer


class TimeLimit:
    """Limits how long each of many tasks may wait, with a single timer.

    `asyncio.timeout` sets a timer for each write, which costs a tenth of a frame's CPU.
    """

    def __init__(self, seconds: float, clock: Clock) -> None:
        """Let each wait take at most `seconds`."""
        self._seconds = seconds
        self._clock = clock
        # When each wait began. All have the same limit, so the oldest ends first.
        self._began: dict[asyncio.Task[Any], float] = {}
        self._timer: Timer | None = None

    def __len__(self) -> int:
        """The number of tasks that wait."""
        return len(self._began)

    async def wait_for(self, work: Awaitable[None]) -> None:
        """Await `work` for at most the limit.

        Raises:
            TimeoutError: `work` took too long and was cancelled.
        """
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - coroutines run in tasks
        self._began[task] = self._clock.monotonic()
        if self._timer is None:
            self._look_in(self._seconds)
        try:
            await work
        except asyncio.CancelledError:
            # If it is still listed, or was cancelled twice, somebody else cancelled it too.
            if task in self._began or task.uncancel():
                raise
            raise TimeoutError from None
        finally:
            self._began.pop(task, None)

    def _look_in(self, seconds: float) -> None:
        self._timer = self._clock.call_later(seconds, self._look)

    def _look(self) -> None:
        self._timer = None
        now = self._clock.monotonic()
        while self._began:
            task, began = next(iter(self._began.items()))
            if (left := began + self._seconds - now) > 0:
                self._look_in(left)
                return
            del self._began[task]
            task.cancel()
