"""Exactly once and in order, over an inbox that may lose, repeat and forget.

Plain state, without I/O. A link goes from one member to its peer on another node. Its
sender keeps a message until the receiver has acknowledged it. Its receiver ignores
what it has received already, and what comes too early.
"""

from collections import deque
from dataclasses import dataclass, field

from dyad_server.engines.redis import bounds
from dyad_server.engines.redis.message_codec import Map

# (sender, receiver): the ids of two members.
Pair = tuple[str, str]


@dataclass(slots=True)
class _Kept:
    number: int
    body: Map
    size: int
    sent_at: float
    first_sent_at: float

    def resend(self, now: float) -> None:
        """Be sent once more."""
        self.sent_at = now

    def begin(self, now: float) -> None:
        """Have waited since now only."""
        self.first_sent_at = now


@dataclass(slots=True)
class Outgoing:
    """The sending end of one link.

    Attributes:
        node: where the receiver is.
        kept: what is not acknowledged.
        last: the number of the last message.
        kept_bytes: how much is kept.
        alone_since: when its sender was first seen to be gone.
    """

    node: str
    kept: deque[_Kept] = field(default_factory=deque)
    last: int = 0
    kept_bytes: int = 0
    alone_since: float | None = None

    def head_for(self, node: str) -> None:
        """Send what follows to a receiver on `node`."""
        self.node = node

    def put(self, body: Map, size: int, now: float) -> bool:
        """Number a message and keep it; False: more is kept than may be."""
        self.last += 1
        self.kept.append(_Kept(self.last, body, size, now, now))
        self.kept_bytes += size
        return len(self.kept) <= bounds.LINK_MESSAGES and self.kept_bytes <= bounds.LINK_BYTES

    def acknowledged(self, number: int) -> None:
        """Forget all up to `number`."""
        while self.kept and self.kept[0].number <= number:
            self.kept_bytes -= self.kept.popleft().size

    def take_back(self, number: int) -> bool:
        """Forget all from `number` on, which the receiver has not received.

        The next message has this number, so that the receiver will receive it.

        Returns:
            False, and nothing has changed, if that message is not kept.
        """
        if not self.kept or not self.kept[0].number <= number <= self.last:
            return False
        while self.kept and self.kept[-1].number >= number:
            self.kept_bytes -= self.kept.pop().size
        self.last = number - 1
        return True

    def overdue(self, now: float, seconds: float) -> list[tuple[int, Map]]:
        """What was sent longer than `seconds` ago, to be resent."""
        if not self.kept or now - self.kept[0].sent_at < seconds:
            return []
        return self.all_again(now)

    def all_again(self, now: float) -> list[tuple[int, Map]]:
        """All that is not acknowledged, to be resent."""
        for kept in self.kept:
            kept.resend(now)
        return [(kept.number, kept.body) for kept in self.kept]

    def moved(self, node: str, now: float) -> None:
        """Go on with a receiver that is on `node` now."""
        self.node = node
        for kept in self.kept:
            kept.begin(now)

    def without_sender_for(self, now: float) -> float:
        """Note that the sender is gone; returns for how long that has been known, in seconds."""
        if self.alone_since is None:
            self.alone_since = now
        return now - self.alone_since

    def silent_for(self, now: float) -> float:
        """How long the oldest message that is kept has waited, in seconds."""
        return now - self.kept[0].first_sent_at if self.kept else 0.0


@dataclass(slots=True)
class Incoming:
    """The receiving end of one link.

    Attributes:
        received: the highest number received.
    """

    received: int = 0

    def receive(self, number: int) -> None:
        """Count the message of this number as the last one received."""
        self.received = number

    def is_next(self, number: int) -> bool:
        """Whether the message of this number is the next one."""
        return number == self.received + 1

    def pass_over(self, number: int) -> bool:
        """Count all up to this number as received; whether it was not yet."""
        if number <= self.received:
            return False
        self.received = number
        return True
