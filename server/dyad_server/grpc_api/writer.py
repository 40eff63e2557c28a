"""The writing side of one connection: sends waiting frames in order, then the status."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import grpc
from dyad.v1 import signaling_pb2 as pb
from google.protobuf.message import Message

from dyad_server.core.clock import Clock
from dyad_server.core.participant import Connection
from dyad_server.core.states import State
from dyad_server.errors import Ended, Overloaded
from dyad_server.grpc_api import codec, status
from dyad_server.grpc_api.time_limit import TimeLimit

Context = grpc.aio.ServicerContext[Any, Any]
Pack = Callable[[list[pb.Frame]], Message]


class StreamOutlet:
    """Writes to one stream, one message at a time, and ends it with its status.

    Frames that arrive during a write go out together, in the next message. The stream
    also ends with a status if its client does not read.
    """

    def __init__(self, context: Context, pack: Pack, limit: TimeLimit, clock: Clock) -> None:
        """Write messages made by `pack`, each within `limit`."""
        self._context = context
        self._pack = pack
        self._limit = limit
        self._clock = clock
        self._connection: Connection | None = None
        self._close: Callable[[Ended], None] = _ignore
        self._failure: Ended | None = None
        self._greeting: Message | None = None
        self._beat_due = False
        self._gone = False
        self._running: asyncio.Task[None] | None = None
        self.over = asyncio.Event()

    def attach(self, connection: Connection, close: Callable[[Ended], None]) -> None:
        """Write for `connection`; call `close` if it cannot be written to."""
        self._connection = connection
        self._close = close

    def greet(self, message: Message) -> None:
        """Send this message before all others.

        The outlet sends it, so that there is only one writer. If a stream is written to
        by two tasks, or ended during a write, gRPC sends no status and the client hangs.
        """
        self._greeting = message
        self.wake()

    def wake(self) -> None:
        """See `participant.Outlet`."""
        if self._running is None and not self.over.is_set():
            self._running = asyncio.get_running_loop().create_task(self._run())

    def beat(self) -> None:
        """See `participant.Outlet`."""
        self._beat_due = True
        self.wake()

    def end(self, failure: Ended) -> None:
        """See `participant.Outlet`."""
        if self._failure is None:
            self._failure = failure
            self.wake()

    async def finish(self) -> None:
        """Wait until all frames and the status are written, or cannot be written.

        This takes long if the client is connected but does not read.
        """
        while (running := self._running) is not None:
            await asyncio.shield(running)

    async def _run(self) -> None:
        try:
            await self._write()
            if self._failure is not None:
                await self._abort(self._failure)
        finally:
            self._running = None

    async def _write(self) -> None:
        try:
            while not self._gone and (message := self._next()) is not None:
                if self._connection is not None:
                    self._connection.sent(self._clock.monotonic())
                await self._limit.wait_for(self._context.write(message))
        except TimeoutError:
            self._gone = True
            self._close(Overloaded("The client has not read for too long."))
        except grpc.aio.BaseError:
            # The stream is gone. Its reader notices too, and closes the connection.
            self._gone = True

    def _next(self) -> Message | None:
        if self._greeting is not None:
            greeting, self._greeting = self._greeting, None
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
        frames: list[pb.Frame] = []
        if session.waiting:
            frames = [
                codec.write(numbered.what, numbered.seq, participant.resume_token)
                for numbered in session.take()
            ]
            frames[-1].ack = session.ack()
            if not frames[0].seq:
                # A resuming client must first know which frames have arrived.
                frames[0].ack = session.received
        elif session.ack_due:
            frames = [codec.bare_ack(session.ack())]
        elif not self._beat_due:
            return None
        self._beat_due = False
        return self._pack(frames)

    async def _abort(self, failure: Ended) -> None:
        self.over.set()
        with contextlib.suppress(grpc.aio.BaseError):
            await self._context.abort(
                status.STATUS[type(failure)], str(failure), status.trailers(failure)
            )


def _ignore(_: Ended) -> None:
    pass
