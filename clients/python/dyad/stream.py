"""One `Signal` call: the only place that knows how gRPC behaves."""

import asyncio
from typing import Final

import grpc

from dyad.errors import Ended, ended
from dyad.v1 import signaling_pb2 as pb
from dyad.v1 import signaling_pb2_grpc as pb_grpc

# A server that froze, or a network that went, is noticed within 13 seconds.
# `keepalive_timeout_ms` alone has no effect; `ping_timeout_ms` has.
_OPTIONS: Final = (
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 3_000),
    ("grpc.http2.ping_timeout_ms", 3_000),
    ("grpc.http2.max_pings_without_data", 0),
)

# How long the status that the server sent may take to replace the one that a
# failed write made up.
_SETTLE_SECONDS: Final = 1.0


def open_channel(target: str, credentials: grpc.ChannelCredentials | None) -> grpc.aio.Channel:
    """A channel to `target`; without credentials, in plain text."""
    if credentials is None:
        return grpc.aio.insecure_channel(target, options=_OPTIONS)
    return grpc.aio.secure_channel(target, credentials, options=_OPTIONS)


class Stream:
    """A `Signal` call. Have one `read` under way at a time, and one `write`."""

    __slots__ = ("_call", "_write_failed")

    def __init__(self, channel: grpc.aio.Channel, token: str) -> None:
        stub = pb_grpc.SignalingStub(channel)
        metadata = grpc.aio.Metadata(("authorization", f"Bearer {token}"))
        self._call = stub.Signal(metadata=metadata)
        self._write_failed = False

    async def read(self) -> pb.SignalResponse | None:
        """The next message; None: the server ended the call, and all is well.

        Raises:
            Ended: it ended otherwise.
        """
        try:
            response = await self._call.read()
        except grpc.aio.AioRpcError as failure:
            raise await self._ended(failure) from None
        return response if isinstance(response, pb.SignalResponse) else None

    async def write(self, request: pb.SignalRequest) -> bool:
        """Send a message.

        Returns:
            False: the call is over, and only `read` knows why.
        """
        try:
            await self._call.write(request)
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            self._write_failed = True
            return False
        return True

    async def finish(self) -> None:
        """Tell the server that no more will be written."""
        await self._call.done_writing()

    def cancel(self) -> None:
        """End the call here and now."""
        self._call.cancel()

    async def _ended(self, failure: grpc.aio.AioRpcError) -> Ended:
        code, details = failure.code(), failure.details()
        trailers = failure.trailing_metadata()
        if self._write_failed and code is grpc.StatusCode.INTERNAL:
            # A write that meets the end of its call puts INTERNAL over the
            # server's status until that one is in.
            deadline = asyncio.get_running_loop().time() + _SETTLE_SECONDS
            while asyncio.get_running_loop().time() < deadline:
                code = await self._call.code()
                if code is not grpc.StatusCode.INTERNAL:
                    break
                await asyncio.sleep(0.01)
            details = await self._call.details()
            trailers = await self._call.trailing_metadata()
        retry_after = trailers.get("retry-after-ms") if trailers else None
        return ended(code, details or "", None if retry_after is None else str(retry_after))
