"""The clock that core is handed: core reads no time and sets no timer by itself."""

from collections.abc import Callable
from typing import Any, Protocol


class Timer(Protocol):
    """Something that is due later."""

    def cancel(self) -> None:
        """Do not do it; harmless if it is too late."""


class Clock(Protocol):
    """The time, and timers."""

    def monotonic(self) -> float:
        """Seconds since some moment in the past; never set back."""

    def unix_time(self) -> float:
        """Seconds since 1970, as tokens count them; an administrator may set it."""

    def call_later(self, seconds: float, callback: Callable[..., None], *arguments: Any) -> Timer:
        """Call `callback(*arguments)` after so many seconds."""
