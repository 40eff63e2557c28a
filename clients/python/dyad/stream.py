"""What carries messages to the server and back: one stream, here `Signal`.

No other module knows how gRPC behaves.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final, Protocol, TypeVar, cast

import grpc

from dyad import routing
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

# The status that grpc.aio makes up for a write on an RPC that has ended, and how long
# the server's own status may take to arrive after it.
_MADE_UP: Final = (grpc.StatusCode.INTERNAL, "Internal error from Core")
_SETTLE_SECONDS: Final = 1.0
# The trailer with which Dyad marks its own statuses. It repeats the status as a number.
_MARK: Final = "dyad-status"
# The metadata that names the stream as the server's log does.
_ID: Final = "dyad-stream-id"

# What gRPC says if one side uses TLS and the other does not, and what it means.
_HINTS: Final = {
    "WRONG_VERSION_NUMBER": "Maybe the server has no TLS: then pass plaintext=True.",
    "failed to connect to all addresses; last error: UNAVAILABLE": (
        "Maybe the server expects TLS: then do without plaintext=True."
    ),
}

# What a write on an RPC that has ended may raise.
_OVER: Final = (grpc.aio.AioRpcError, grpc.aio.BaseError, asyncio.InvalidStateError)

T = TypeVar("T")


class Stream(Protocol):
    """A stream to the server. At most one `read` and one `write` may be under way."""

    @property
    def id(self) -> str:
        """Its name in the server's log; empty until the server has sent something."""

    async def read(self) -> pb.SignalResponse | None:
        """Return the next message, or None if the server ended the stream with OK.

        Raises:
            Ended: the stream ended in another way.
        """

    async def opened(self) -> None:
        """Wait until the server may know of the stream, or the stream has ended."""

    async def write(self, request: pb.SignalRequest) -> bool:
        """Send a message.

        Returns:
            False if the stream has ended; `read` says why.
        """

    async def finish(self) -> None:
        """Tell the server that the client has written its last message."""

    def cancel(self, sentence: str = "The client ended the stream.") -> None:
        """End the stream at once. `read` raises `Unavailable` with the sentence."""


Dial = Callable[[str, str], AbstractAsyncContextManager[Stream]]
"""Opens a stream with a token and a routing key."""

Metadata = Callable[[], Mapping[str, str]]
"""Returns further metadata for a stream."""


@asynccontextmanager
async def open_stream(
    target: str,
    credentials: grpc.ChannelCredentials | None,
    token: str,
    routing_key: str,
    *,
    metadata: Metadata = dict,
) -> AsyncIterator["SignalStream"]:
    """Open a stream to `target` on a connection of its own. No credentials: plain text."""
    sent = {**metadata(), "authorization": f"Bearer {token}", routing.HEADER: routing_key}
    channel = (
        grpc.aio.insecure_channel(target, options=_OPTIONS)
        if credentials is None
        else grpc.aio.secure_channel(target, credentials, options=_OPTIONS)
    )
    stream = SignalStream(channel, sent)
    try:
        yield stream
    finally:
        stream.cancel()
        await channel.close()


class SignalStream:
    """A `Stream` that is a `Signal` RPC."""

    __slots__ = ("_outcome", "_responses", "_rpc", "id")

    def __init__(self, channel: grpc.aio.Channel, metadata: Mapping[str, str]) -> None:
        self.id = ""
        self._outcome: asyncio.Future[Ended | None] = asyncio.get_running_loop().create_future()
        self._rpc = pb_grpc.SignalingStub(channel).Signal(
            metadata=grpc.aio.Metadata(*metadata.items())
        )
        self._rpc.add_done_callback(self._note_outcome)
        # Unlike the RPC's `read`, this continues after a write that failed, so it also
        # returns what the server sent before it ended the stream, and its status.
        self._responses: AsyncIterator[pb.SignalResponse] = aiter(self._rpc)

    async def read(self) -> pb.SignalResponse | None:
        """See `Stream`."""
        try:
            response = await anext(self._responses)
            if not self.id:
                self._note_id(await self._rpc.initial_metadata())
        except (StopAsyncIteration, grpc.aio.AioRpcError):
            pass  # The stream has ended. `_settled` says how.
        except asyncio.CancelledError:
            pass  # The stream has ended with CANCELLED, unless this task is being cancelled.
        else:
            return response
        # While an RPC is being prepared, grpc.aio catches the cancellation of its reader.
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise asyncio.CancelledError
        outcome = await self._settled()
        if outcome is not None:
            raise outcome
        return None

    async def opened(self) -> None:
        """See `Stream`."""
        with contextlib.suppress(*_OVER):
            await self._rpc.wait_for_connection()

    async def write(self, request: pb.SignalRequest) -> bool:
        """See `Stream`."""
        try:
            await self._rpc.write(request)
        except _OVER:
            return False
        return True

    async def finish(self) -> None:
        """See `Stream`."""
        with contextlib.suppress(*_OVER):
            await self._rpc.done_writing()

    def cancel(self, sentence: str = "The client ended the stream.") -> None:
        """See `Stream`."""
        if not self._outcome.done():
            self._outcome.set_result(ended(grpc.StatusCode.CANCELLED, sentence))
        self._rpc.cancel()

    async def _settled(self) -> Ended | None:
        """Return how the stream ended, or None if it ended with OK. It must have ended."""
        until = asyncio.get_running_loop().time() + _SETTLE_SECONDS
        while not self._outcome.done():
            if asyncio.get_running_loop().time() > until:
                return ended(*_MADE_UP, foreign=True)
            await asyncio.sleep(_SETTLE_SECONDS / 100)
            self._note_outcome(self._rpc)
        return self._outcome.result()

    def _note_outcome(self, rpc: grpc.aio.Call) -> None:
        """Keep the status that the server sent.

        A write on an RPC that has ended replaces the server's status with one of its
        own (https://github.com/grpc/grpc/issues/36066). If that happens after the
        server's status arrived, this was called in time. If it happens before, grpc
        does not report the server's status, and `_settled` looks for it.
        """
        code, details = _at_once(rpc.code()), _at_once(rpc.details())
        if self._outcome.done() or (code, details) == _MADE_UP:
            return
        # The stream may have ended without a message.
        self._note_id(_at_once(rpc.initial_metadata()))
        if code is grpc.StatusCode.OK:
            self._outcome.set_result(None)
            return
        trailers = _at_once(rpc.trailing_metadata()) or grpc.aio.Metadata()
        retry_after = trailers.get("retry-after-ms")
        self._outcome.set_result(
            ended(
                code,
                _explained(details or ""),
                None if retry_after is None else str(retry_after),
                foreign=trailers.get(_MARK) != str(code.value[0]),
            )
        )

    def _note_id(self, headers: grpc.aio.Metadata | None) -> None:
        if headers is not None:
            self.id = str(headers.get(_ID, self.id))


def _explained(details: str) -> str:
    """Return what gRPC says, with a sentence for the person who reads it."""
    hints = [hint for said, hint in _HINTS.items() if said in details]
    return " ".join([details, *hints])


def _at_once(coroutine: Coroutine[Any, Any, T]) -> T:
    """Return the result of a coroutine that has nothing to wait for."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return cast("T", done.value)
    raise RuntimeError("The RPC has ended, but its status is missing.")
