"""How much one stream, one user, one address may ask for. Plain counting, no clock of its own."""

from collections import Counter, OrderedDict
from dataclasses import dataclass

_FORGOTTEN_AT_ONCE = 2
# What may come at once, in seconds of the rate.
BURST_SECONDS = 5
# For each stream a user has one `Send` under way; the rest is for what is on its way.
_CALLS_PER_STREAM = 4
# All streams of a user break at once, come back, and break again.
_OPENS_PER_STREAM = 2
# However few streams a user may have, one that breaks may do so again and again.
_OPENS_AT_ONCE = 10
# The connections of a user that is gone are not forgotten before its rates.
_USERS_PER_STREAM = 2


@dataclass(frozen=True, slots=True)
class Limits:
    """How long the hub waits for a participant, in seconds, and what it may cost.

    Each is the setting of the same name.

    Attributes:
        join_timeout: for a `join_room`.
        lone_timeout: for somebody else to come into a room.
        heartbeat: for something to be sent or heard; then a heartbeat is sent.
        lease: for something to be heard; then the connection is broken.
        resume_grace: for one whose connection broke; 0: none is waited for.
        drain_spread: over which those who are sent away come back.
        max_waiting_bytes: kept for one who reads slowly, or not at present.
        max_waiting_frames: the same in frames, for one who may resume.
        max_frames_per_second: that one user sends, over all its connections.
        max_bytes_per_second: the same.
        max_opens_per_second: connections that one user opens.
        max_streams: in all.
        max_streams_per_user: those that are held counted in.
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
        """The most frames that may come at once."""
        return self.max_frames_per_second * BURST_SECONDS

    @property
    def bytes_at_once(self) -> int:
        """The most bytes that may come at once."""
        return self.max_bytes_per_second * BURST_SECONDS

    @property
    def users(self) -> int:
        """How many users' rates are remembered."""
        return self.max_streams * _USERS_PER_STREAM

    @property
    def opens_at_once(self) -> int:
        """The most connections that one user may open at once."""
        return max(self.max_streams_per_user * _OPENS_PER_STREAM, _OPENS_AT_ONCE)

    @property
    def calls_per_user(self) -> int:
        """The most short calls of one user that may be under way."""
        return self.max_streams_per_user * _CALLS_PER_STREAM


class Bucket:
    """A token bucket: `rate` a second, and `burst` at once."""

    __slots__ = ("_burst", "_level", "_rate", "_then")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._level = burst
        self._then = now

    def take(self, amount: float, now: float) -> bool:
        """Take `amount`; False, and nothing taken, when there is less."""
        self._fill(now)
        if amount > self._level:
            return False
        self._level -= amount
        return True

    def full(self, now: float) -> bool:
        """Whether it is as good as a new one."""
        self._fill(now)
        return self._level >= self._burst

    def _fill(self, now: float) -> None:
        self._level = min(self._burst, self._level + (now - self._then) * self._rate)
        self._then = now


class Quota:
    """At most so many at once for each key; 0: any number."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held: Counter[str] = Counter()

    def full(self, key: str, *, spare: int = 0) -> bool:
        """Whether `key` may not have one more, where so many do not count."""
        return 0 < self._most <= self._held[key] - spare

    def over(self, key: str) -> bool:
        """Whether `key` has more than it may."""
        return 0 < self._most < self._held[key]

    def count(self, key: str) -> int:
        """How many `key` has."""
        return self._held[key]

    def take(self, key: str) -> None:
        """Count one more for `key`."""
        self._held[key] += 1

    def give_back(self, key: str) -> None:
        """Count one less."""
        self._held[key] -= 1
        if not self._held[key]:
            del self._held[key]


class Throttle:
    """A bucket for each key.

    It remembers a key until its bucket is full, for then it is as good as a new
    one. Where there are too many others, the longest silent is forgotten: to get
    a burst before its time, a key has to say nothing while so many others do.
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
        """Let `key` take `amount`; False, and nothing taken, when it has less."""
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
        # Two for each that comes, so that the table shrinks and no call takes long.
        for _ in range(_FORGOTTEN_AT_ONCE):
            key = next(iter(self._buckets), None)
            if key is None:
                return
            if len(self._buckets) < self._most and not self._buckets[key].full(now):
                return
            del self._buckets[key]
