"""Decides whether, when and how to reconnect, by the table in docs/protocol.md.

A state machine without I/O: the time and the random numbers are handed in.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final

from dyad.errors import Ended, Overloaded, TakenOver, TimedOut, Unauthenticated, Unavailable

# The longest wait before the first try, the second, and so on, in seconds. The last
# one is also for all later tries.
_WAITS: Final = (0.1, 0.25, 0.5, 1.0, 2.0, 4.0)
# How much longer than `retry-after-ms` a wait may be, so that clients spread out.
_RETRY_SPREAD: Final = 0.5
# A stream that lasted this long was a success, even if no frame got through.
_STEADY_SECONDS: Final = 5.0


class How(Enum):
    """How to reconnect."""

    RESUME = "take back the reserved seat"
    REJOIN = "join the room again, in a new session"


@dataclass(frozen=True, slots=True)
class Try:
    """One try to reconnect.

    Attributes:
        how: what to do on the new stream.
        wait: how many seconds to wait first.
    """

    how: How
    wait: float


class ReconnectPolicy:
    """Decides on the next try each time a stream ends.

    Attributes:
        deadline: when to give up, on the clock of `now`.
    """

    def __init__(
        self,
        give_up_after: float,
        *,
        new_tokens: bool,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """Start with no tries.

        Args:
            give_up_after: for how many seconds to try, from the loss of the connection.
            new_tokens: whether the app returns a new token if one is refused.
            chance: returns a random number from 0 to 1, which spreads the waits.
        """
        self.deadline = 0.0
        self._give_up_after = give_up_after
        self._new_tokens = new_tokens
        self._chance = chance
        self._tries = 0
        self._denied = False
        self._cause: Ended | None = None
        self._progress = -1
        self._connected_at = 0.0

    def broke(self, end: Ended, *, progress: int, now: float) -> Try:
        """Return the try that follows the end of a connection with a resumable seat.

        Args:
            end: how the connection ended.
            progress: grows with each frame that got through, in either direction.
            now: seconds.

        Raises:
            Ended: that end is final.
        """
        if progress != self._progress or now - self._connected_at >= _STEADY_SECONDS:
            self._tries = 0
            self._denied = False
            self.deadline = now + self._give_up_after
        self._progress = progress
        self._cause = end
        return self._again(How.RESUME, end, now)

    def failed(self, how: How, end: Ended, *, leaving: bool, now: float) -> Try | None:
        """Return the try that follows a failed try.

        Args:
            how: what was tried.
            end: how the try ended.
            leaving: whether the app waits for its `leave`.
            now: seconds.

        Returns:
            The next try. None if the app was leaving and the seat is released:
            then it has left.

        Raises:
            Ended: that end is final.
        """
        refused = how is How.RESUME and isinstance(end, TakenOver)
        if leaving and (refused or end.final or how is How.REJOIN):
            return None
        if end.final or not refused:
            return self._again(how, end, now)
        if isinstance(self._cause, Overloaded | TimedOut):
            raise self._cause
        return self._wait(How.REJOIN, end, now)

    def connected(self, *, now: float) -> None:
        """Record that a try succeeded."""
        self._connected_at = now

    def start_over(self) -> None:
        """Let the waits start over: the network has changed, or the app hangs up."""
        self._tries = 0

    def _again(self, how: How, end: Ended, now: float) -> Try:
        match end:
            case Ended(final=True):
                raise end
            case Unauthenticated():
                if self._denied or not self._new_tokens:
                    raise end
                self._denied = True
            case Unavailable() | Overloaded() | TimedOut():
                pass
            case _:
                raise end
        return self._wait(how, end, now)

    def _wait(self, how: How, end: Ended, now: float) -> Try:
        if end.retry_after is None:
            wait = self._chance() * _WAITS[min(self._tries, len(_WAITS) - 1)]
        else:
            wait = end.retry_after * (1 + self._chance() * _RETRY_SPREAD)
        self._tries += 1
        if now + wait > self.deadline:
            raise end
        return Try(how, wait)
