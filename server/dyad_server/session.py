"""One participant's side of a connection: numbers in, numbers out, what waits.

Plain state, without I/O: a transport asks it what to write next.
"""

from collections import deque
from enum import Enum
from typing import Generic, TypeVar

T = TypeVar("T")


class Arrival(Enum):
    """What a frame's number says about it."""

    NEW = "new"
    DUPLICATE = "duplicate"
    GAP = "gap"


class Session(Generic[T]):
    """Numbers the frames of one session and holds those not yet written.

    Frames come out of `take` in the order they went into `put`, each once.

    Attributes:
        taken_in: the highest number taken in from the client; the `ack` to send.
        waiting_bytes: how much is in `put` and not yet out of `take`.
    """

    __slots__ = ("_bound", "_next", "_waiting", "taken_in", "waiting_bytes")

    def __init__(self, bound: int) -> None:
        """Hold at most `bound` bytes for a client that reads slowly."""
        self._bound = bound
        self._next = 1
        self._waiting: deque[T] = deque()
        self.taken_in = 0
        self.waiting_bytes = 0

    def arrive(self, seq: int) -> Arrival:
        """Take note of an inbound frame's number; 0 is not numbered."""
        if seq == 0:
            return Arrival.NEW
        if seq <= self.taken_in:
            return Arrival.DUPLICATE
        if seq > self.taken_in + 1:
            return Arrival.GAP
        self.taken_in = seq
        return Arrival.NEW

    def number(self) -> int:
        """The number of the next outbound frame, which must then be `put`."""
        seq = self._next
        self._next += 1
        return seq

    def put(self, frame: T, size: int) -> bool:
        """Hold `frame`, of `size` bytes, for the next `take`.

        Returns:
            False when that is more than may wait; the session cannot go on.
        """
        self._waiting.append(frame)
        self.waiting_bytes += size
        return self.waiting_bytes <= self._bound

    def take(self) -> list[T]:
        """All that waits, in order, to go out together."""
        frames = list(self._waiting)
        self._waiting.clear()
        self.waiting_bytes = 0
        return frames
