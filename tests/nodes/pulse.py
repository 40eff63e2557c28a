"""Notices when the machine is too busy for the deadlines of the servers."""

import asyncio
import math

_BEAT_SECONDS = 0.05
_LATE_SECONDS = 0.5
"""A node has a second more than it needs to notice that Redis has forgotten."""
_AFFECTED_SECONDS = 6.0
"""Twice as long as the data in Redis needs to settle."""


class Pulse:
    """Notices when this process got no CPU."""

    def __init__(self) -> None:
        self._beat_at = asyncio.get_running_loop().time()
        self._missed_at = -math.inf

    async def beat(self) -> None:
        while True:
            self._look()
            await asyncio.sleep(_BEAT_SECONDS)

    @property
    def missed(self) -> bool:
        """Whether a beat was late, so recently that the nodes may still be affected."""
        return self._look() - self._missed_at < _AFFECTED_SECONDS

    def _look(self) -> float:
        now = asyncio.get_running_loop().time()
        if now - self._beat_at > _LATE_SECONDS:
            self._missed_at = now
        self._beat_at = now
        return now
