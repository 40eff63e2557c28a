"""The clock of a running server."""

import asyncio
import time
from collections.abc import Callable
from typing import Any


class LoopClock:
    """A `clock.Clock` that reads the system's clocks; its timers are the running loop's."""

    def __init__(self) -> None:
        self.monotonic = time.monotonic
        self.unix_time = time.time

    def call_later(
        self, seconds: float, callback: Callable[..., None], *arguments: Any
    ) -> asyncio.TimerHandle:
        """See `Clock.call_later`."""
        return asyncio.get_running_loop().call_later(seconds, callback, *arguments)
