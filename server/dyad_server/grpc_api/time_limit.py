"""A cheap time limit for operations that nearly always finish at once."""

import math
from typing import Protocol

from dyad_server.core.clock import Clock, Timer


class Waiter(Protocol):
    """Something that waits, for one thing at a time."""

    def out_of_time(self) -> None:
        """Its wait has reached the limit, and is not limited any more."""


class TimeLimit:
    """Limits how long each of many waiters may wait, with a single timer.

    A timer for each write would cost a tenth of a frame's CPU.
    """

    def __init__(self, seconds: float, clock: Clock) -> None:
        """Let each wait take at most `seconds`."""
        self._seconds = seconds
        self._clock = clock
        # When each wait began, oldest first. All have the same limit.
        self._began: dict[Waiter, float] = {}
        self._timer: Timer | None = None

    def __len__(self) -> int:
        """How many wait."""
        return len(self._began)

    def begin(self, waiter: Waiter) -> None:
        """Start a wait, and tell `waiter` if it reaches the limit."""
        self._began[waiter] = self._clock.monotonic()
        if self._timer is None:
            self._look_in(self._seconds)

    def end(self, waiter: Waiter) -> None:
        """End a wait; harmless if there is none."""
        self._began.pop(waiter, None)

    def _look_in(self, seconds: float) -> None:
        self._timer = self._clock.call_later(seconds, self._look)

    def _look(self) -> None:
        now = self._clock.monotonic()
        try:
            while self._left(now) <= 0:
                waiter = next(iter(self._began))
                del self._began[waiter]
                waiter.out_of_time()
        finally:
            # Also after a failure, which must not end the limit of all others.
            self._timer = None
            if self._began:
                self._look_in(max(self._left(now), 0.0))

    def _left(self, now: float) -> float:
        """Seconds until the oldest wait reaches the limit."""
        began = next(iter(self._began.values()), math.inf)
        return began + self._seconds - now
