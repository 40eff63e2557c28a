"""The clock that core is handed: core reads no time and sets no timer by itself."""

from collections.abc import Callable
from typing import Any, Protocol


class Timer(Protocol):
    """A call that is due later."""

    def cancel(self) -> None:
        """Do not call; harmless if it is too late."""


class Clock(Protocol):
    """The time, and calls at a later time."""

    def monotonic(self) -> float:
        """Seconds since some moment in the past; never set back."""

    def unix_time(self) -> float:
        """Seconds since 1970, as tokens count them; an administrator may set it."""

    def call_later(self, seconds: float, call: Callable[..., None], *arguments: Any) -> Timer:
        """Call `call(*arguments)` after so many seconds."""
