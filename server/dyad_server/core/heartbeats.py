"""Heartbeats and leases of all connections of both transports, by one ticker.

Nothing here waits or reads a clock. A busy connection costs two time stamps. An
idle one is looked at once in each heartbeat interval.
"""

from collections import defaultdict, deque
from collections.abc import Callable

from dyad_server.core import bounds
from dyad_server.core.participant import Connection


class Heartbeats:
    """The open connections, ordered by when each is due to be looked at.

    Attributes:
        tick_seconds: when `tick` is to be called first.
    """

    def __init__(
        self, heartbeat: float, lease: float, broken: Callable[[Connection], None]
    ) -> None:
        """Watch connections.

        Args:
            heartbeat: seconds without a message sent, or without one received,
                after which an empty message is sent.
            lease: seconds without a message received, after which a connection
                counts as broken.
            broken: is called with such a connection, and ends it.
        """
        self._heartbeat = heartbeat
        self._lease = lease
        self._broken = broken
        self.tick_seconds = heartbeat / bounds.HEARTBEAT_TICKS
        # By the number of the tick at which they are due.
        self._slots: defaultdict[int, dict[Connection, None]] = defaultdict(dict)
        self._slot_of: dict[Connection, int] = {}
        self._due: deque[Connection] = deque()
        self._ticked = 0
        # When this process last continued after it had been frozen: until then it
        # could receive nothing.
        self._awake_since = 0.0

    def __len__(self) -> int:
        return len(self._slot_of)

    def watch(self, connection: Connection, now: float) -> None:
        """Watch a connection that was just opened."""
        if not self._slot_of:
            self._ticked = self._number(now)
        connection.begin(now)
        self._put(connection, now + self._heartbeat)

    def forget(self, connection: Connection) -> None:
        """Stop watching a connection."""
        number = self._slot_of.pop(connection)
        if (slot := self._slots.get(number)) is not None:
            slot.pop(connection, None)
            if not slot:
                del self._slots[number]

    def tick(self, now: float) -> float:
        """Send the heartbeats that are due, and end the connections whose lease is over.

        Returns:
            Seconds until the next tick is due.
        """
        last, self._ticked = self._ticked, self._number(now)
        if (self._ticked - last) * self.tick_seconds > self._heartbeat / 2:
            self._awake_since = now
        for number in range(last + 1, self._ticked + 1):
            self._due.extend(self._slots.pop(number, ()))
        for _ in range(min(len(self._due), bounds.CONNECTIONS_A_TURN)):
            connection = self._due.popleft()
            if connection.open:
                self._look_at(connection, now)
        return bounds.TURN_PAUSE_SECONDS if self._due else self.tick_seconds

    def _look_at(self, connection: Connection, now: float) -> None:
        # A client that has never numbered a frame is a person with grpcurl, who cannot answer.
        silent_since = max(connection.heard_at, self._awake_since)
        expires = silent_since + self._lease
        if not connection.participant.session.received:
            expires = now + self._lease
        elif expires <= now:
            self._broken(connection)
            return
        # A client that only receives needs a heartbeat to answer, or its lease would end.
        heard_at = max(connection.heard_at, connection.asked_at)
        due = min(connection.sent_at, heard_at) + self._heartbeat
        if due <= now:
            connection.ask(now)
            due = now + self._heartbeat
        self._put(connection, min(due, expires))

    def _put(self, connection: Connection, due: float) -> None:
        number = self._slot_of[connection] = max(self._number(due), self._ticked) + 1
        self._slots[number][connection] = None

    def _number(self, now: float) -> int:
        return int(now / self.tick_seconds)
