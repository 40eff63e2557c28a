"""An event loop that waits for gRPC and for file descriptors in one place.

It waits in gRPC's completion queue. So the loop's own thread does gRPC's work, and what
completes need not be handed over from another thread, which is what most of the CPU of
`grpc.aio` goes into. A helper thread watches all other descriptors, and wakes the queue when
one of them is ready.
"""

import asyncio
import selectors
import socket
import threading
from collections.abc import Callable, Mapping
from time import monotonic, time
from typing import Any

from grpc._cython import cygrpc  # type: ignore[attr-defined]  # it has no types

from dyad_server.completion_queue import bounds, trial

_COMPLETE = cygrpc.CompletionType.operation_complete

Ready = list[tuple[selectors.SelectorKey, int]]


class QueueEventLoop(asyncio.SelectorEventLoop):
    """An asyncio event loop; `queue` is the completion queue that it polls."""

    def __init__(self, queue: Any, wake: Callable[[], None]) -> None:
        """Poll `queue`, which `wake` wakes from any thread."""
        self.queue = queue
        super().__init__(_Selector(queue, wake, self._failed))

    def _failed(self, error: Exception) -> None:
        self.call_exception_handler({"message": "An RPC has failed.", "exception": error})


def new_queue_event_loop() -> QueueEventLoop:
    """Make a queue, try it, and make a loop that polls it.

    Raises:
        Unfit: this grpcio does not work in this way.
    """
    queue = cygrpc.CompletionQueue()
    # Before there is a loop: asyncio writes a traceback about a loop that was not made.
    return QueueEventLoop(queue, trial.waker(queue))


class _Selector(selectors.BaseSelector):
    """Waits for `queue`, and calls the tag of each of its events."""

    def __init__(
        self, queue: Any, wake: Callable[[], None], failed: Callable[[Exception], None]
    ) -> None:
        self._queue = queue
        # All queues of a process read for each other. Nothing completes on this one.
        self._reader = cygrpc.CompletionQueue()
        # When the loop last began to work; 0 while it waits in the queue.
        self._busy_since = 0.0
        # When the loop is to read from the network next, if events are left over.
        self._read_at = 0.0
        self._wake = wake
        self._failed = failed
        self._others = selectors.DefaultSelector()
        # The helper has found a descriptor ready. From then on it is parked: the loop looks
        # at the descriptors itself, until none is ready.
        self._ready = False
        self._parked = False
        # Held while the helper is to stay parked. A lock: a semaphore is Python code.
        self._go_on = threading.Lock()
        self._go_on.acquire()
        self._closed = False
        self._end, self._other_end = socket.socketpair()
        self._others.register(self._end, selectors.EVENT_READ)
        self._helper = threading.Thread(target=self._help, name="dyad-helper", daemon=True)
        self._helper.start()

    def select(self, timeout: float | None = None) -> Ready:
        wait = bounds.LONGEST_WAIT_SECONDS if timeout is None else timeout
        ready: Ready = []
        if self._parked:
            ready = self._others.select(0)
            if not ready and wait > 0:
                self._parked = False
                self._go_on.release()
        self._handle_events(0.0 if ready else wait)
        if self._ready:
            self._ready, self._parked = False, True
            ready = self._others.select(0)
        return ready

    def _handle_events(self, wait: float) -> None:
        deadline = time() + wait if wait > 0 else 0.0
        self._busy_since = 0.0
        end = 0.0
        for _ in range(bounds.EVENTS):
            event = self._queue.poll(deadline)
            self._busy_since, deadline = monotonic(), 0.0
            if event.completion_type != _COMPLETE:
                return
            try:
                event.tag(event)
            except Exception as error:  # noqa: BLE001 - the failure of one RPC ends no other
                self._failed(error)
            end = end or self._busy_since + bounds.TURN_SECONDS
            if monotonic() > end:
                break
        # A queue that has events does not read from the network.
        if self._busy_since > self._read_at:
            self._read_at = self._busy_since + bounds.READ_PAUSE_SECONDS
            self._read()

    def _read(self) -> None:
        for _ in range(bounds.READS):
            self._reader.poll(0.0)

    def _help(self) -> None:
        difference = time() - monotonic()
        while not self._closed:
            ready = self._others.select(bounds.BUSY_SECONDS)
            before, difference = difference, time() - monotonic()
            if ready and not self._closed:
                self._ready = True
                self._wake()
                while not self._go_on.acquire(timeout=bounds.BUSY_SECONDS):
                    self._read_if_busy()
            elif abs(difference - before) > bounds.CLOCK_SET_SECONDS:
                self._wake()
            self._read_if_busy()

    def _read_if_busy(self) -> None:
        """Read from the network in place of a loop that has been busy for long.

        Otherwise pings would not be answered in time, nor their answers seen.
        """
        if 0 < self._busy_since < monotonic() - bounds.BUSY_SECONDS:
            self._read()

    def close(self) -> None:
        self._closed = True
        if self._go_on.locked():
            self._go_on.release()
        self._other_end.send(b"\0")
        self._helper.join()
        for queue in (self._queue, self._reader):
            queue.shutdown()
            deadline = time() + bounds.CLOSE_SECONDS
            while queue.poll(deadline).completion_type == _COMPLETE:
                pass
        self._others.close()
        self._end.close()
        self._other_end.close()

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._others.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._others.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._others.modify(fileobj, events, data)

    def get_key(self, fileobj: Any) -> selectors.SelectorKey:
        return self._others.get_key(fileobj)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._others.get_map()
