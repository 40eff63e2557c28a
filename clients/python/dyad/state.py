"""The state of a connection, to look at and to watch."""

import asyncio
import enum
from collections.abc import AsyncIterator
from dataclasses import dataclass

from dyad.errors import DyadError


class Phase(enum.Enum):
    """What a connection is doing."""

    IDLE = "idle"
    """It is in no room."""
    CONNECTING = "connecting"
    """It is entering a room for the first time."""
    CONNECTED = "connected"
    """It is in a room."""
    RECONNECTING = "reconnecting"
    """It has lost the server and tries to reconnect. Its seat is reserved."""
    ENDED = "ended"
    """It failed, or the app closed it."""


@dataclass(frozen=True, slots=True)
class State:
    """The state of a connection.

    Attributes:
        phase: what it is doing.
        attempt: while reconnecting, the number of the attempt, from 1. Otherwise 0.
        error: why it is reconnecting or has ended. None after `close` and `detach`.
    """

    phase: Phase
    attempt: int = 0
    error: DyadError | None = None


class Watched:
    """A state that others wait on.

    Attributes:
        state: the current one.
    """

    def __init__(self) -> None:
        self.state = State(Phase.IDLE)
        self._last = False
        self._changed = asyncio.Event()

    def set(self, state: State, *, last: bool = False) -> None:
        """Change the state, for the last time if `last`."""
        self.state = state
        self._last = self._last or last
        self._changed.set()
        self._changed = asyncio.Event()

    async def states(self) -> AsyncIterator[State]:
        """Yield the current state, then each new one. States that are already over are skipped."""
        told: State | None = None
        while True:
            changed = self._changed
            if self.state is not told:
                told = self.state
                yield told
            elif self._last:
                return
            else:
                await changed.wait()
