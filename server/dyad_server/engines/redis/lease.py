"""A node's standing in Redis: its lease, and the generation of the data there.

Plain state, without I/O and with no clock but the one handed in: monotonic
seconds of this node, which are never compared with another's.
"""

LEASE_SECONDS = 6.0
# Off the lease's end, for the time that its renewal was on its way.
_MARGIN_SECONDS = 0.5


class Lease:
    """Until when no other node believes this one to be gone.

    Attributes:
        generation: of the data in Redis; another one: it has forgotten.
        term: counts up when all who sit here must be asserted anew; what was
            said in an earlier term is void.
        fenced: whether the lease ran out, and was not regained since.
        lapsed: whether others may have believed this node gone since the term
            began, because the lease ran out or because Redis lost it.
    """

    def __init__(self, settle_seconds: float) -> None:
        """Make one; a generation so many seconds old is known to all nodes."""
        self.generation = ""
        self.term = 1
        self.fenced = False
        self.lapsed = False
        self._until = 0.0
        self._back = b""
        self._settle_seconds = settle_seconds
        self._settled_at = 0.0

    def renewed(
        self, asked_at: float, now: float, generation: str, age_seconds: float, back: bytes
    ) -> None:
        """Take note of what Redis answered to a renewal.

        Args:
            asked_at: when it was asked.
            now: when it answered.
            generation: of its data.
            age_seconds: of that, as far as the clocks of two Redis agree.
            back: when this node was last back after others may have believed it
                gone, by the clock of Redis; empty: never. It is compared with the
                answer before, because an answer can be lost.
        """
        if self.generation != generation:
            self.generation = generation
            self._settled_at = now + self._settle_seconds - max(0.0, age_seconds)
        if back != self._back:
            self._back = back
            self.lapsed = self.lapsed or bool(back)
        self._until = asked_at + LEASE_SECONDS - _MARGIN_SECONDS

    def begin_term(self) -> None:
        """Declare void what was said so far."""
        self.term += 1
        self.lapsed = False

    def ran_out(self, now: float) -> bool:
        """Whether it may have run out by `now`; says so once, until it is regained."""
        if not self._until or now <= self._until:
            return False
        self.lapsed = True
        first, self.fenced = not self.fenced, True
        return first

    def regain(self, now: float) -> None:
        """Take note that all who sit here are asserted; in vain if the lease lapsed meanwhile."""
        if now <= self._until and not self.lapsed:
            self.fenced = False

    def holds(self, now: float) -> bool:
        """Whether nobody can believe this node to be gone, nor did since the term began."""
        return not self.fenced and now <= self._until

    def unsettled_for(self, now: float) -> float:
        """Seconds until all nodes have had time to notice the generation; 0: they have."""
        return max(0.0, self._settled_at - now)
