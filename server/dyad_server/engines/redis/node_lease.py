"""A node's standing in Redis: its lease, and the generation of the data there.

Plain state, without I/O. The clock is handed in: monotonic seconds of this node,
which are never compared with those of another node.
"""

from dyad_server.engines.redis import bounds
from dyad_server.engines.redis.script_answers import Renewal


class NodeLease:
    """Until when no other node believes that this one is gone.

    Attributes:
        generation: of the data in Redis. A new one means that Redis has forgotten.
        term: counts up when all members of this node must be asserted again. What was
            asserted in an earlier term is void.
        fenced: whether the lease ran out and was not regained since.
        lapsed: whether others may have believed this node gone since the term
            began, because the lease ran out or because Redis lost it.
    """

    def __init__(self, settle_seconds: float) -> None:
        """Have no lease yet.

        Args:
            settle_seconds: how old a generation must be for all nodes to know it.
        """
        self.generation = ""
        self.term = 1
        self.fenced = False
        self.lapsed = False
        self._until = 0.0
        self._back = b""
        self._settle_seconds = settle_seconds
        self._settled_at = 0.0
        # By how much the clock of Redis is ahead of this node's.
        self._redis_ahead = 0.0

    def renewed(self, asked_at: float, now: float, renewal: Renewal) -> None:
        """Note the answer to a renewal.

        Args:
            asked_at: when it was asked.
            now: when it answered.
            renewal: the answer. Its `back` is compared with that of the answer
                before, because an answer can be lost.
        """
        if self.generation != renewal.generation:
            self.generation = renewal.generation
            # The clocks of two Redis may disagree.
            age = max(0.0, renewal.age_seconds)
            self._settled_at = now + self._settle_seconds - age
        if renewal.back != self._back:
            self._back = renewal.back
            self.lapsed = self.lapsed or bool(renewal.back)
        # Too little by the time that the answer took: `redis_ms` is never too late.
        self._redis_ahead = renewal.redis_seconds - now
        self._until = asked_at + bounds.LEASE_SECONDS - bounds.LEASE_MARGIN_SECONDS

    def begin_term(self) -> None:
        """Make void what was asserted so far."""
        self.term += 1
        self.lapsed = False

    def ran_out(self, now: float) -> bool:
        """Whether the lease may have run out by `now`; true once, until it is regained."""
        if not self._until or now <= self._until:
            return False
        self.lapsed = True
        first, self.fenced = not self.fenced, True
        return first

    def regain(self, now: float) -> None:
        """Note that all members are asserted; no use if the lease lapsed meanwhile."""
        if now <= self._until and not self.lapsed:
            self.fenced = False

    def holds(self, now: float) -> bool:
        """Whether no node can believe this one gone, and none did since the term began."""
        return not self.fenced and now <= self._until

    def redis_ms(self, at: float) -> int:
        """The time of Redis at `at`, in milliseconds: a moment too early, by its last answer."""
        return int((at + self._redis_ahead) * 1000)

    def unsettled_for(self, now: float) -> float:
        """Seconds until all nodes have had time to notice the generation; 0: they have."""
        return max(0.0, self._settled_at - now)
