"""What a stream, a user and an address may use. Plain counting; time is handed in."""

from collections import Counter, OrderedDict
from dataclasses import dataclass

from dyad_server.core import bounds


@dataclass(frozen=True, slots=True)
class Limits:
    """How long the hub waits for a participant, in seconds, and what it may cost.

    Each is the setting of the same name.

    Attributes:
        join_timeout: for a `join_room`.
        lone_timeout: for a peer.
        heartbeat: for a message sent or received; then a heartbeat is sent.
        lease: for a message received; then the connection counts as broken.
        resume_grace: for a participant whose connection broke; 0: seats are not reserved.
        drain_spread: over which the clients of a drained server spread their reconnects.
        max_waiting_bytes: kept for a client that reads slowly, or is disconnected.
        max_waiting_frames: the same in frames, for a participant that may resume.
        max_frames_per_second: of one user, over all its connections.
        max_bytes_per_second: the same.
        max_opens_per_second: connections that one user opens.
        max_streams: in all.
        max_streams_per_user: reserved seats included.
        max_streams_per_address: open now.
    """

    join_timeout: float
    lone_timeout: float
    heartbeat: float
    lease: float
    resume_grace: float
    drain_spread: float
    max_waiting_bytes: int
    max_waiting_frames: int
    max_frames_per_second: int
    max_bytes_per_second: int
    max_opens_per_second: float
    max_streams: int
    max_streams_per_user: int
    max_streams_per_address: int

    @property
    def frames_at_once(self) -> int:
        """The most frames that a user may send at once."""
        return self.max_frames_per_second * bounds.BURST_SECONDS

    @property
    def bytes_at_once(self) -> int:
        """The most bytes that a user may send at once."""
        return self.max_bytes_per_second * bounds.BURST_SECONDS

    @property
    def users(self) -> int:
        """How many users' rates are remembered."""
        return self.max_streams * bounds.USERS_PER_STREAM

    @property
    def opens_at_once(self) -> int:
        """The most connections that a user may open at once."""
        return max(self.max_streams_per_user * bounds.OPENS_PER_STREAM, bounds.OPENS_AT_ONCE)

    @property
    def requests_per_user(self) -> int:
        """The most short streams of a user that may be under way."""
        return self.max_streams_per_user * bounds.REQUESTS_PER_STREAM


class Bucket:
    """A token bucket: `rate` a second, and `burst` at once."""

    __slots__ = ("_burst", "_level", "_rate", "_then")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._level = burst
        self._then = now

    def take(self, amount: float, now: float) -> bool:
        """Take `amount`; False if there is less, and then nothing is taken."""
        level = self._level + (now - self._then) * self._rate
        self._level = level = min(level, self._burst)
        self._then = now
        if amount > level:
            return False
        self._level = level - amount
        return True

    def full(self, now: float) -> bool:
        """Whether it is like a new bucket."""
        self.take(0, now)
        return self._level >= self._burst


class Quota:
    """A maximum for each key at one time; 0: no maximum."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._counts: Counter[str] = Counter()

    def full(self, key: str, *, spare: int = 0) -> bool:
        """Whether `key` has reached the maximum, when `spare` of its own do not count."""
        return 0 < self._most <= self._counts[key] - spare

    def over(self, key: str) -> bool:
        """Whether `key` is over the maximum."""
        return 0 < self._most < self._counts[key]

    def count(self, key: str) -> int:
        """How many `key` has."""
        return self._counts[key]

    def take(self, key: str) -> None:
        """Count one more for `key`."""
        self._counts[key] += 1

    def give_back(self, key: str) -> None:
        """Count one less."""
        self._counts[key] -= 1
        if not self._counts[key]:
            del self._counts[key]


class Throttle:
    """A bucket for each key.

    A key is remembered until its bucket is full, because a full bucket is like a new
    one. Where there are too many keys, the one that has been silent longest is
    forgotten: a key can only gain a burst by staying silent while many others speak.
    """

    def __init__(self, rate: float, burst: float, most: int) -> None:
        """Give each key `rate` a second and `burst` at once, and remember at most so many."""
        self._rate = rate
        self._burst = burst
        self._most = most
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, key: str, amount: float, now: float) -> bool:
        """Take `amount` for `key`; False if it has less, and then nothing is taken."""
        if not amount:
            return True
        bucket = self._buckets.get(key)
        if bucket is None:
            self._make_room(now)
            bucket = self._buckets[key] = Bucket(self._rate, self._burst, now)
        else:
            self._buckets.move_to_end(key)
        return bucket.take(amount, now)

    def _make_room(self, now: float) -> None:
        # Two for each new key: the table shrinks, and no key takes long.
        for _ in range(bounds.KEYS_FORGOTTEN_AT_ONCE):
            key = next(iter(self._buckets), None)
            if key is None:
                return
            if len(self._buckets) < self._most and not self._buckets[key].full(now):
                return
            del self._buckets[key]
