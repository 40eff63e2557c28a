"""Heartbeats and leases of all connections: one ticker, whatever the transport.

Nothing here waits or reads a clock. A connection that talks costs two time
stamps; one that is idle is looked at once a heartbeat.
"""

from collections import defaultdict, deque
from collections.abc import Callable

from dyad_server.core.participant import Connection

# The ticker ticks so many times a heartbeat, and one may be so much late. What
# is sent and answered together costs half of what it does one by one: gRPC's
# threads wake less often.
_TICKS = 8
# But not so many together that others have to wait: then a pause.
_AT_ONCE = 100
_PAUSE_SECONDS = 0.01


class Heartbeats:
    """The open connections, ordered by when each is to be looked at next.

    Attributes:
        tick_seconds: when `tick` is to be called first.
    """

    def __init__(
        self, heartbeat: float, lease: float, broken: Callable[[Connection], None]
    ) -> None:
        """Keep nobody waiting for longer than `heartbeat`.

        Args:
            heartbeat: seconds in which nothing was sent or heard, after which
                a message without frames is sent.
            lease: seconds in which nothing was heard, after which a connection is broken.
            broken: is called with that connection; it ends there.
        """
        self._heartbeat = heartbeat
        self._lease = lease
        self._broken = broken
        self.tick_seconds = heartbeat / _TICKS
        # By the number of the tick at which they are due.
        self._slots: defaultdict[int, dict[Connection, None]] = defaultdict(dict)
        self._due: deque[Connection] = deque()
        self._count = 0
        self._ticked = 0
        # When this process last went on after it had stood still: nobody could
        # be heard before.
        self._awake_since = 0.0

    def __len__(self) -> int:
        return self._count

    def watch(self, connection: Connection, now: float) -> None:
        """Look after a connection that was just opened."""
        if not self._count:
            self._ticked = self._number(now)
        self._count += 1
        connection.sent_at = connection.heard_at = connection.asked_at = now
        self._put(connection, now + self._heartbeat)

    def forget(self, connection: Connection) -> None:
        """It is over."""
        self._count -= 1
        if (slot := self._slots.get(connection.slot)) is not None:
            slot.pop(connection, None)
            if not slot:
                del self._slots[connection.slot]

    def tick(self, now: float) -> float:
        """Send what heartbeats are due, and end the connections whose lease is over.

        Returns:
            In how many seconds it is to be called again.
        """
        last, self._ticked = self._ticked, self._number(now)
        if (self._ticked - last) * self.tick_seconds > self._heartbeat / 2:
            self._awake_since = now
        for number in range(last + 1, self._ticked + 1):
            self._due.extend(self._slots.pop(number, ()))
        for _ in range(min(len(self._due), _AT_ONCE)):
            connection = self._due.popleft()
            if connection.open:
                self._look_at(connection, now)
        return _PAUSE_SECONDS if self._due else self.tick_seconds

    def _look_at(self, connection: Connection, now: float) -> None:
        # Who has never numbered a frame is a person with grpcurl, who cannot answer.
        silent_since = max(connection.heard_at, self._awake_since)
        expires = silent_since + self._lease
        if not connection.participant.session.taken_in:
            expires = now + self._lease
        elif expires <= now:
            self._broken(connection)
            return
        # One that only hears must get the chance to show that it is there.
        heard_at = max(connection.heard_at, connection.asked_at)
        due = min(connection.sent_at, heard_at) + self._heartbeat
        if due <= now:
            connection.asked_at = now
            connection.outlet.beat()
            due = now + self._heartbeat
        self._put(connection, min(due, expires))

    def _put(self, connection: Connection, due: float) -> None:
        connection.slot = max(self._number(due), self._ticked) + 1
        self._slots[connection.slot][connection] = None

    def _number(self, now: float) -> int:
        return int(now / self.tick_seconds)
