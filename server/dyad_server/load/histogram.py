"""Times in buckets: small however many there are, and exact to 2 %."""

import math
from collections import Counter

from dyad_server.load import bounds

_LOG_GROWTH = math.log(bounds.GROWTH)


class Histogram:
    """Counts times, in seconds.

    Attributes:
        greatest: the longest time, exactly.
        counts: how many times are in each bucket.
    """

    def __init__(self) -> None:
        self.greatest = 0.0
        self.counts: Counter[int] = Counter()

    def __len__(self) -> int:
        return self.counts.total()

    def add(self, seconds: float) -> None:
        """Count a time."""
        self.greatest = max(self.greatest, seconds)
        ratio = max(seconds, bounds.LEAST_TIME) / bounds.LEAST_TIME
        self.counts[math.ceil(math.log(ratio) / _LOG_GROWTH)] += 1

    def merge(self, other: "Histogram") -> None:
        """Count the times of `other` too."""
        self.greatest = max(self.greatest, other.greatest)
        self.counts.update(other.counts)

    def quantile(self, share: float) -> float | None:
        """The time that `share` of all times do not exceed; None if there are no times."""
        left = math.ceil(share * len(self))
        for bucket in sorted(self.counts):
            left -= self.counts[bucket]
            if left <= 0:
                return min(bounds.LEAST_TIME * bounds.GROWTH**bucket, self.greatest)
        return None
