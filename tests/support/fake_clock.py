"""A clock that stands still until a test lets time pass."""

from collections.abc import Callable
from itertools import count
from typing import Any


class FakeTimer:
    """A callback that is due at `at`."""

    def __init__(self, at: float, call: Callable[[], None]) -> None:
        self.at = at
        self.call = call
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class FakeClock:
    """A `clock.Clock` that only the test advances."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._numbers = count()
        self._timers: dict[int, FakeTimer] = {}

    def monotonic(self) -> float:
        return self.now

    def unix_time(self) -> float:
        return self.now

    def call_later(
        self, seconds: float, callback: Callable[..., None], *arguments: Any
    ) -> FakeTimer:
        timer = FakeTimer(self.now + seconds, lambda: callback(*arguments))
        self._timers[next(self._numbers)] = timer
        return timer

    def pending(self) -> int:
        """The number of timers that have neither run nor been cancelled."""
        return sum(not timer.cancelled for timer in self._timers.values())

    def advance(self, seconds: float) -> None:
        """Let time pass; each timer that falls due runs at its own time, in order."""
        end = self.now + seconds
        while True:
            self._timers = {n: t for n, t in self._timers.items() if not t.cancelled}
            due = [(timer.at, n) for n, timer in self._timers.items() if timer.at <= end]
            if not due:
                break
            at, number = min(due)
            self.now = max(self.now, at)
            self._timers.pop(number).call()
        self.now = end
