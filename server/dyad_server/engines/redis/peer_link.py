"""Exactly once and in order over a bus that may lose, repeat and forget.

Plain state, without I/O. A link goes from one participant to another on a
different node. Its sender keeps a message until the receiver has said that it
has it; its receiver passes over what it has seen and what comes too early.
"""

from collections import deque
from dataclasses import dataclass, field

# (from, to): the ids of two members.
Pair = tuple[str, str]

_BOUND_MESSAGES = 512
_BOUND_BYTES = 512 * 1024


@dataclass(slots=True)
class _Kept:
    number: int
    message: list[object]
    size: int
    sent_at: float
    first_sent_at: float


@dataclass(slots=True)
class Outgoing:
    """The sending end of one link.

    Attributes:
        node: where the receiver is.
    """

    node: str
    kept: deque[_Kept] = field(default_factory=deque)
    last: int = 0
    kept_bytes: int = 0

    def put(self, message: list[object], size: int, now: float) -> bool:
        """Number `message` and keep it; False: more is kept than may be."""
        self.last += 1
        self.kept.append(_Kept(self.last, message, size, now, now))
        self.kept_bytes += size
        return len(self.kept) <= _BOUND_MESSAGES and self.kept_bytes <= _BOUND_BYTES

    def acknowledged(self, number: int) -> None:
        """Forget all up to `number`."""
        while self.kept and self.kept[0].number <= number:
            self.kept_bytes -= self.kept.popleft().size

    def overdue(self, now: float, seconds: float) -> list[tuple[int, list[object]]]:
        """What was sent longer than `seconds` ago, to be sent again."""
        if not self.kept or now - self.kept[0].sent_at < seconds:
            return []
        return self.again(now)

    def again(self, now: float) -> list[tuple[int, list[object]]]:
        """All that is not acknowledged, to be sent again."""
        for kept in self.kept:
            kept.sent_at = now
        return [(kept.number, kept.message) for kept in self.kept]

    def moved(self, node: str, now: float) -> None:
        """Go on with a receiver that is on `node` now."""
        self.node = node
        for kept in self.kept:
            kept.first_sent_at = now

    def silent_for(self, now: float) -> float:
        """How long the oldest that is kept has waited, in seconds."""
        return now - self.kept[0].first_sent_at if self.kept else 0.0


@dataclass(slots=True)
class Incoming:
    """The receiving end of one link.

    Attributes:
        taken_in: the highest number taken in.
    """

    taken_in: int = 0

    def take(self, number: int) -> bool:
        """Whether the message of this number is the next one."""
        if number != self.taken_in + 1:
            return False
        self.taken_in = number
        return True

    def pass_over(self, number: int) -> bool:
        """Take all up to this number as taken in; whether it was not yet."""
        if number <= self.taken_in:
            return False
        self.taken_in = number
        return True
