"""The writing side of one connection: sends waiting frames in order, then the status."""

import asyncio
from collections.abc import Callable

from dyad.v1 import signaling_pb2 as pb

from dyad_server.core.clock import Clock
from dyad_server.core.counts import Counts
from dyad_server.core.participant import Connection
from dyad_server.core.states import State
from dyad_server.errors import Ended, Overloaded, Reason
from dyad_server.grpc_api import codec
from dyad_server.grpc_api.rpc_stream import Stream, end_unexpectedly, end_with
from dyad_server.grpc_api.time_limit import TimeLimit

# The number of the field with the frames, in the messages of each method.
_FRAMES = {
    "Signal": pb.SignalResponse.FRAMES_FIELD_NUMBER,
    "Listen": pb.ListenResponse.FRAMES_FIELD_NUMBER,
}


class WriteScheduler:
    """Lets outlets write, once in each turn of the loop, and limits how long a write takes.

    Attributes:
        limit: of each write.
        clock: of the server.
        counts: of the server; how long messages wait until they are written.
    """

    def __init__(self, seconds: float, clock: Clock, counts: Counts) -> None:
        """Let each write take at most `seconds`."""
        self.limit = TimeLimit(seconds, clock)
        self.clock = clock
        self.counts = counts
        self._waiting: list[StreamOutlet] = []

    def soon(self, outlet: "StreamOutlet") -> None:
        """Let `outlet` write in the next turn of the loop.

        Everything that comes for it in this turn goes into the same message.
        """
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._write)
        self._waiting.append(outlet)

    def _write(self) -> None:
        waiting, self._waiting = self._waiting, []
        for outlet in waiting:
            try:
                outlet.run()
            except Exception as error:  # noqa: BLE001 - the failure of one stream ends no other
                outlet.fail()
                asyncio.get_running_loop().call_exception_handler(
                    {"message": "A stream could not be written to.", "exception": error}
                )


class StreamOutlet:
    """Writes to one stream, one message at a time, and ends it with its status.

    Frames that arrive during a write go out together, in the next message. The stream
    also ends with a status if its client does not read.
    """

    __slots__ = (
        "_beat_due",
        "_broken",
        "_close",
        "_connection",
        "_failure",
        "_field",
        "_finished",
        "_frames",
        "_greeting",
        "_over",
        "_running",
        "_scheduler",
        "_stream",
        "_waited_since",
        "_waits_since",
        "transport",
    )

    def __init__(self, stream: Stream, transport: str, scheduler: WriteScheduler) -> None:
        """Write the messages of `transport`: `Signal` or `Listen`."""
        self.transport = transport
        self._stream = stream
        self._field = _FRAMES[transport]
        self._scheduler = scheduler
        self._connection: Connection | None = None
        self._close: Callable[[Ended], None] = _ignore
        self._failure: Ended | None = None
        self._greeting = b""
        # Of the message that is being written: its frames, and when the first of them came.
        # And when the first frame of the next message came, at the earliest.
        self._frames = 0
        self._waited_since = self._waits_since = 0.0
        self._beat_due = False
        # Nothing can be written any more, except perhaps a status.
        self._broken = False
        # The stream has its status, or has ended without one.
        self._over = False
        # From the call to `wake` until nothing is left to write.
        self._running = False
        self._finished: Callable[[], None] | None = None

    def attach(self, connection: Connection, close: Callable[[Ended], None]) -> None:
        """Write for `connection`; call `close` if it cannot be written to."""
        self._connection = connection
        self._close = close

    def greet(self, message: bytes) -> None:
        """Send this message before all others.

        The outlet sends it, so that there is only one writer. With two writes at once,
        gRPC sends no status and the client hangs.
        """
        self._greeting = message
        self.wake()

    def wake(self) -> None:
        """See `participant.Outlet`."""
        if not self._running and not self._over:
            self._running = True
            self._waits_since = self._scheduler.clock.monotonic()
            self._scheduler.soon(self)

    def beat(self) -> None:
        """See `participant.Outlet`."""
        self._beat_due = True
        self.wake()

    def end(self, failure: Ended) -> None:
        """See `participant.Outlet`."""
        if self._failure is None:
            self._failure = failure
            self.wake()

    def finish(self, then: Callable[[], None]) -> None:
        """Call `then` once all frames and the status are written, or cannot be written.

        This takes long if the client is connected but does not read.
        """
        if self._running:
            self._finished = then
        else:
            then()

    def stop(self) -> None:
        """Write nothing more: the stream is over."""
        self._broken = self._over = True
        self._scheduler.limit.end(self)
        # The connection refers to this outlet. A cycle of references would stay in memory until
        # Python looks for garbage.
        self._connection, self._close = None, _ignore

    def fail(self) -> None:
        """End the stream after an unexpected exception."""
        self.stop()
        end_unexpectedly(self._stream)

    def run(self) -> None:
        """Write the next message, or the end."""
        message = None if self._broken else self._next()
        if message is not None:
            now = self._scheduler.clock.monotonic()
            # What comes from now on waits for this write.
            self._waited_since, self._waits_since = self._waits_since, now
            if self._connection is not None:
                self._connection.sent(now, self._frames)
            self._scheduler.limit.begin(self)
            self._stream.write(message, self._written)
            return
        self._running = False
        if self._failure is not None:
            self._over = True
            end_with(self._stream, self._failure)
        if self._finished is not None:
            then, self._finished = self._finished, None
            then()

    def _written(self, ok: bool) -> None:  # noqa: FBT001 - a continuation of `Stream.write`
        scheduler = self._scheduler
        scheduler.limit.end(self)
        if self._frames:
            scheduler.counts.deliveries.note(scheduler.clock.monotonic() - self._waited_since)
        if self._running:
            self._broken = self._broken or not ok
            self.run()

    def out_of_time(self) -> None:
        """See `time_limit.Waiter`: a write has taken too long."""
        self._close(Overloaded("The client has not read for too long.", Reason.NOT_READ))
        self._broken = True
        self.run()

    def _next(self) -> bytes | None:
        self._frames = 0
        if self._greeting:
            greeting, self._greeting = self._greeting, b""
            return greeting
        connection = self._connection
        if connection is None:
            return None
        participant = connection.participant
        # Waiting frames belong to the current connection; at the end, to the last one.
        # Those of a participant that was handed off are the other node's to send.
        if participant.connection is not connection and participant.state is not State.OVER:
            return None
        session = participant.session
        if session.waiting:
            waiting, ack, token = session.take(), session.ack(), participant.resume_token
            frames = [codec.write(output, seq, ack, token) for seq, output in waiting]
        elif session.ack_due:
            frames = [codec.acknowledge(session.ack())]
        elif self._beat_due:
            frames = []
        else:
            return None
        self._beat_due = False
        self._frames = len(frames)
        return codec.message(self._field, frames)


def _ignore(_: Ended) -> None:
    pass
