"""One `Signal` call: the only place that knows how gRPC behaves."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final, TypeVar, cast

import grpc

from dyad.errors import Ended, ended
from dyad.v1 import signaling_pb2 as pb
from dyad.v1 import signaling_pb2_grpc as pb_grpc

# A frozen server or a lost network is noticed within 8 seconds.
# `keepalive_timeout_ms` alone has no effect; `ping_timeout_ms` has.
_OPTIONS: Final = (
    ("grpc.keepalive_time_ms", 5_000),
    ("grpc.keepalive_timeout_ms", 3_000),
    ("grpc.http2.ping_timeout_ms", 3_000),
    ("grpc.http2.max_pings_without_data", 0),
    # Also how long it tries to connect.
    ("grpc.min_reconnect_backoff_ms", 8_000),
    # Without this, channels to one target share a connection and its back-off.
    ("grpc.use_local_subchannel_pool", 1),
)

# What grpc.aio says of a write that met the end of its call, and how long the
# server's own status may take to come after it.
_MADE_UP: Final = (grpc.StatusCode.INTERNAL, "Internal error from Core")
_SETTLE_SECONDS: Final = 1.0

# What a write to a call that is over may raise.
_OVER: Final = (grpc.aio.AioRpcError, grpc.aio.BaseError, asyncio.InvalidStateError)

T = TypeVar("T")


Dial = Callable[[str], AbstractAsyncContextManager["Stream"]]
"""Opens a stream with a token."""


@asynccontextmanager
async def open_stream(
    target: str, credentials: grpc.ChannelCredentials | None, token: str
) -> AsyncIterator["Stream"]:
    """A stream to `target` on a connection of its own; without credentials, in plain text."""
    channel = (
        grpc.aio.insecure_channel(target, options=_OPTIONS)
        if credentials is None
        else grpc.aio.secure_channel(target, credentials, options=_OPTIONS)
    )
    stream = Stream(channel, token)
    try:
        yield stream
    finally:
        stream.cancel()
        await channel.close()


class Stream:
    """A `Signal` call. Have one `read` under way at a time, and one `write`."""

    __slots__ = ("_call", "_outcome", "_responses")

    def __init__(self, channel: grpc.aio.Channel, token: str) -> None:
        metadata = grpc.aio.Metadata(("authorization", f"Bearer {token}"))
        self._outcome: asyncio.Future[Ended | None] = asyncio.get_running_loop().create_future()
        self._call = pb_grpc.SignalingStub(channel).Signal(metadata=metadata)
        self._call.add_done_callback(self._note_outcome)
        # Unlike its `read` this goes on past a write that failed: what the
        # server said before it ended the call, its status included, comes after.
        self._responses: AsyncIterator[pb.SignalResponse] = aiter(self._call)

    async def read(self) -> pb.SignalResponse | None:
        """The next message; None: the server ended the stream with OK.

        Raises:
            Ended: it ended otherwise.
        """
        try:
            return await anext(self._responses)
        except (StopAsyncIteration, grpc.aio.AioRpcError):
            pass  # The call is over; below is how.
        except asyncio.CancelledError:
            # The same, where the status is CANCELLED, unless this task is meant.
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
        outcome = await self._settled()
        if outcome is not None:
            raise outcome
        return None

    async def write(self, request: pb.SignalRequest) -> bool:
        """Send a message.

        Returns:
            False: the call is over, and only `read` knows why.
        """
        try:
            await self._call.write(request)
        except _OVER:
            return False
        return True

    async def finish(self) -> None:
        """Tell the server that no more will be written."""
        with contextlib.suppress(*_OVER):
            await self._call.done_writing()

    def cancel(self) -> None:
        """End the call here and now."""
        self._call.cancel()

    async def _settled(self) -> Ended | None:
        """How the call, which is over, ended; None: with OK."""
        until = asyncio.get_running_loop().time() + _SETTLE_SECONDS
        while not self._outcome.done():
            if asyncio.get_running_loop().time() > until:
                return ended(*_MADE_UP)
            await asyncio.sleep(_SETTLE_SECONDS / 100)
            self._note_outcome(self._call)
        return self._outcome.result()

    def _note_outcome(self, call: grpc.aio.Call) -> None:
        """Keep the status that the server sent.

        A write that meets the end of its call puts a status of its own in its
        place (https://github.com/grpc/grpc/issues/36066). Where that comes
        after, this was called before; where it comes before, the true one is
        not reported, and `_settled` looks for it.
        """
        code, details = _at_once(call.code()), _at_once(call.details())
        if self._outcome.done() or (code, details) == _MADE_UP:
            return
        if code is grpc.StatusCode.OK:
            self._outcome.set_result(None)
            return
        trailers = _at_once(call.trailing_metadata())
        retry_after = trailers.get("retry-after-ms") if trailers else None
        self._outcome.set_result(
            ended(code, details or "", None if retry_after is None else str(retry_after))
        )


def _at_once(coroutine: Coroutine[Any, Any, T]) -> T:
    """What a coroutine returns that has nothing to wait for."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return cast("T", done.value)
    raise RuntimeError("The call is done, but its status is missing.")
