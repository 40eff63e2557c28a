"""Notices when the machine is too busy for the deadlines of the servers."""

import asyncio
import math
from collections import deque
from collections.abc import Iterable
from pathlib import Path

_BEAT_SECONDS = 0.05
_LATE_SECONDS = 0.5
"""A node has a second more than it needs to notice that Redis has forgotten."""
_WINDOW_SECONDS = 1.0
_AFFECTED_SECONDS = 6.0
"""Twice as long as the data in Redis needs to settle."""


class Pulse:
    """Notices when this process, or others that it is told of, got no CPU.

    This process notices by itself that it was late. Of the others, Linux says how long they
    waited for a CPU: that does not depend on what they do, so it excuses no fault of theirs.
    """

    def __init__(self, others: Iterable[int] = ()) -> None:
        """Watch this process and `others`, which are ids."""
        self._beat_at = asyncio.get_running_loop().time()
        self._missed_at = -math.inf
        self._others = [Path(f"/proc/{pid}/schedstat") for pid in others]
        # When they were looked at, and how long they had waited by then, together.
        self._waited: deque[tuple[float, float]] = deque()

    async def beat(self) -> None:
        while True:
            self._look()
            await asyncio.sleep(_BEAT_SECONDS)

    @property
    def missed(self) -> bool:
        """Whether a process waited too long, so recently that the nodes may still be affected."""
        return self._look() - self._missed_at < _AFFECTED_SECONDS

    def _look(self) -> float:
        now = asyncio.get_running_loop().time()
        # The second figure: nanoseconds.
        waited = sum(int(path.read_text().split()[1]) for path in self._others) / 1e9
        self._waited.append((now, waited))
        while now - self._waited[0][0] > _WINDOW_SECONDS:
            self._waited.popleft()
        if max(now - self._beat_at, waited - self._waited[0][1]) > _LATE_SECONDS:
            self._missed_at = now
        self._beat_at = now
        return now
