"""Numbers a participant's frames in both directions; keeps what its client may still lack.

Plain state without I/O: a transport asks it what to write next.
"""

from collections.abc import Callable
from enum import Enum
from typing import Generic, NamedTuple, TypeVar

from dyad_server.core import bounds

T = TypeVar("T")


class Arrival(Enum):
    """How a frame's number compares with the numbers before."""

    NEW = "new"
    DUPLICATE = "duplicate"
    GAP = "gap"


class Numbered(NamedTuple, Generic[T]):
    """An item to write, with its number; 0 if it has none."""

    seq: int
    what: T


class Session(Generic[T]):
    """Numbers items to write, and keeps them until they are no longer needed.

    Items come out of `take` in the order in which they went into `put`. Unless the
    session is resumable, an item comes out once and is forgotten. In a resumable
    session it is kept until it is acknowledged, and comes out again after a `rewind`.

    Attributes:
        resumable: whether written items are kept until they are acknowledged.
        received: the highest number received from the client; the `ack` to send.
        kept_bytes: how much is kept, as counted by `size_of`.
    """

    __slots__ = (
        "_ack_sent",
        "_bound_bytes",
        "_bound_frames",
        "_first",
        "_kept",
        "_last",
        "_size_of",
        "_unacked_bytes",
        "_unwritten",
        "_written_to",
        "kept_bytes",
        "received",
        "resumable",
    )

    def __init__(self, bound_bytes: int, bound_frames: int, size_of: Callable[[T], int]) -> None:
        """Keep at most `bound_bytes`, and at most `bound_frames` for a disconnected client.

        `size_of` says how many bytes of memory an item takes.
        """
        self._size_of = size_of
        self._bound_bytes = bound_bytes
        self._bound_frames = bound_frames
        self._last = 0
        # The last item is number `_last`. Numbers are not stored: each would take as
        # much memory as a small frame. An empty list takes a tenth of an empty deque.
        self._kept: list[T] = []
        self._unwritten = 0
        self._written_to = 0
        self._first: Numbered[T] | None = None
        self._ack_sent = 0
        self._unacked_bytes = 0
        self.resumable = False
        self.received = 0
        self.kept_bytes = 0

    def keep_until_acknowledged(self, *, keep: bool) -> None:
        """Be resumable from now on, or not."""
        self.resumable = keep

    def arrive(self, seq: int, size: int = 0) -> Arrival:
        """Note the number of a frame from the client; 0: it has none."""
        if seq == 0:
            return Arrival.NEW
        if seq <= self.received:
            return Arrival.DUPLICATE
        if seq > self.received + 1:
            return Arrival.GAP
        self.received = seq
        self._unacked_bytes += size
        return Arrival.NEW

    def put(self, what: T, *, away: bool = False) -> bool:
        """Number `what`, and keep it for the next `take`.

        Args:
            what: the item.
            away: the client is disconnected.

        Returns:
            False if that is more than may be kept, so that the session must end.
        """
        self._last += 1
        self._kept.append(what)
        self._unwritten += 1
        self.kept_bytes += self._size_of(what)
        return self.kept_bytes <= self._bound_bytes and (
            not away or len(self._kept) <= self._bound_frames
        )

    def put_first(self, what: T) -> None:
        """Let `what` be the first item of the next `take`, without a number."""
        self._first = Numbered(0, what)

    @property
    def waiting(self) -> bool:
        """Whether `take` has anything to give."""
        return self._unwritten > 0 or self._first is not None

    def take(self) -> list[Numbered[T]]:
        """All items that have not been written, in order, to be written together."""
        kept = self._kept
        unwritten = kept[len(kept) - self._unwritten :]
        first = self._last - self._unwritten + 1
        taken = [Numbered(seq, what) for seq, what in enumerate(unwritten, first)]
        self._unwritten = 0
        self._written_to = self._last
        if self._first is not None:
            taken.insert(0, self._first)
            self._first = None
        if not self.resumable:
            kept.clear()
            self.kept_bytes = 0
        return taken

    def acknowledged(self, seq: int) -> bool:
        """Forget what the client has received, up to number `seq`.

        Returns:
            False if `seq` was never written.
        """
        if seq > self._written_to:
            return False
        self._forget(seq)
        return True

    def rewind(self, seq: int) -> bool:
        """Let the items after `seq` come out of `take` again.

        Returns:
            False if `seq` was never sent, or what follows is no longer kept; then
            nothing has changed.
        """
        if not self._last - len(self._kept) <= seq <= self._written_to:
            return False
        self._forget(seq)
        self._unwritten = len(self._kept)
        return True

    @property
    def ack_due(self) -> bool:
        """Whether so much was received that an acknowledgement should be sent."""
        return self.resumable and (
            self.received - self._ack_sent >= bounds.ACK_FRAMES
            or self._unacked_bytes >= bounds.ACK_BYTES
        )

    def ack(self) -> int:
        """The acknowledgement to write now."""
        self._ack_sent = self.received
        self._unacked_bytes = 0
        return self.received

    def state(self) -> tuple[int, int, int, list[T]]:
        """The last number, how far it was written, what was received, and the kept items."""
        return self._last, self._written_to, self.received, list(self._kept)

    def restore(self, last: int, written_to: int, received: int, kept: list[T]) -> None:
        """Become the resumable session that had this `state`."""
        self._last, self._written_to, self.received = last, written_to, received
        self._kept = [*kept]
        self.kept_bytes = sum(map(self._size_of, self._kept))
        self._unwritten = len(self._kept)
        self.resumable = True

    def _forget(self, seq: int) -> None:
        kept = self._kept
        forgotten = max(len(kept) - (self._last - seq), 0)
        self.kept_bytes -= sum(map(self._size_of, kept[:forgotten]))
        del kept[:forgotten]
        self._unwritten = min(self._unwritten, len(kept))
