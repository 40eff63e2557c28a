"""When calls start: a state machine that is handed the time."""

import math
from collections.abc import Iterator
from itertools import count


class Schedule:
    """Starts calls at a rate that first grows evenly from zero, for `ramp` seconds.

    When a call starts does not depend on how the calls before it fare: a slow server meets the
    same load as a fast one. Several processes share a schedule: each takes every n-th call.

    Attributes:
        duration: how long calls are started, in seconds.
    """

    def __init__(
        self, per_second: float, *, ramp: float, duration: float, first: int = 0, step: int = 1
    ) -> None:
        """Plan calls for `duration` seconds, `ramp` included; `first`, then each `step`-th."""
        self._rate = per_second
        self._ramp = ramp
        self.duration = duration
        self._calls = count(first, step)
        self._number = next(self._calls)

    @property
    def next_at(self) -> float | None:
        """When the next call starts, in seconds from the start; None if there is none."""
        at = self._start_of(self._number)
        return at if at < self.duration else None

    def due(self, elapsed: float) -> Iterator[tuple[int, float]]:
        """The calls that are due after `elapsed` seconds: the number of each, and its time."""
        while (at := self.next_at) is not None and at <= elapsed:
            number = self._number
            self._number = next(self._calls)
            yield number, at

    def started_by(self, elapsed: float) -> float:
        """How many calls of all processes are due after `elapsed` seconds."""
        elapsed = min(elapsed, self.duration)
        if elapsed < self._ramp:
            return self._rate * elapsed**2 / (2 * self._ramp)
        return self._rate * (elapsed - self._ramp / 2)

    def _start_of(self, number: int) -> float:
        in_ramp = self._rate * self._ramp / 2
        if number < in_ramp:
            return math.sqrt(2 * number * self._ramp / self._rate)
        return number / self._rate + self._ramp / 2
