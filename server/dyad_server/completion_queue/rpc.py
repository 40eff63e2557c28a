"""One RPC on the completion queue: an adapter of `grpc_api.rpc_stream`."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

import grpc
from grpc._cython import cygrpc  # type: ignore[attr-defined]  # it has no types

from dyad_server.grpc_api.rpc_stream import Handler, Metadata, begin, end_unexpectedly

T = TypeVar("T")

_RECEIVE_CLOSE = cygrpc.ReceiveCloseOnServerOperation
_RECEIVE = cygrpc.ReceiveMessageOperation
_SEND = cygrpc.SendMessageOperation
_SEND_METADATA = cygrpc.SendInitialMetadataOperation
_SEND_STATUS = cygrpc.SendStatusFromServerOperation
_OK = cygrpc.CallError.ok


class Rpc:
    """A `Stream` on a call of gRPC's core."""

    __slots__ = (
        "_answered",
        "_call",
        "_due",
        "_ended",
        "_lead",
        "_over",
        "_read",
        "_task",
        "_written",
        "metadata",
    )

    def __init__(self, call: Any, metadata: Metadata) -> None:
        self._call: Any = call
        self.metadata = metadata
        # None: it was sent.
        self._lead: Metadata | None = ()
        self._ended = False
        self._over: Callable[[], None] = _nothing
        self._read: Callable[[bytes | None], None] = _ignore
        self._written: Callable[[bool], None] = _ignore
        self._task: asyncio.Task[None] | None = None
        # Batches under way: the RPC is over when none is.
        self._due = 0
        self._start((_RECEIVE_CLOSE(0),), self._closed)

    @property
    def peer(self) -> str:
        """See `Stream`."""
        peer: bytes = b"" if self._call is None else self._call.peer()
        return peer.decode("utf-8", "replace")

    def handle(self, handler: Handler) -> None:
        """Begin the RPC."""
        self._task = asyncio.get_running_loop().create_task(self._begin(handler))

    async def _begin(self, handler: Handler) -> None:
        try:
            await begin(handler, self)
        except asyncio.CancelledError:
            # The client has left.
            raise
        except Exception:
            end_unexpectedly(self)
            raise
        finally:
            self._task = None
            # 2 KiB that a stream would keep as long as it lasts.
            self.metadata = ()

    def read(self, then: Callable[[bytes | None], None]) -> None:
        """See `Stream`."""
        self._read = then
        if not self._start((_RECEIVE(0),), self._received):
            self._read = _ignore
            then(None)

    def lead(self, metadata: Metadata) -> None:
        """See `Stream`."""
        self._lead = metadata

    def write(self, message: bytes, then: Callable[[bool], None]) -> None:
        """See `Stream`."""
        self._written = then
        if not self._start((*self._first(), _SEND(message, 0)), self._sent):
            self._written = _ignore
            then(False)  # noqa: FBT003 - a continuation

    def reply(self, message: bytes) -> None:
        """See `Stream`."""
        self._finish((_SEND(message, 0),), grpc.StatusCode.OK, "", ())

    def end(self, code: grpc.StatusCode, details: str = "", trailers: Metadata = ()) -> None:
        """See `Stream`."""
        self._finish((), code, details, trailers)

    def on_over(self, call: Callable[[], None]) -> None:
        """See `Stream`."""
        self._over = call

    def _finish(
        self, before: tuple[Any, ...], code: grpc.StatusCode, details: str, trailers: Metadata
    ) -> None:
        if self._ended:
            return
        self._ended = True
        status = _SEND_STATUS(trailers, code.value[0], details, 0)
        self._start((*self._first(), *before, status), self._done)

    def _first(self) -> tuple[Any, ...]:
        lead, self._lead = self._lead, None
        return () if lead is None else (_SEND_METADATA(lead, 0),)

    def _start(self, operations: tuple[Any, ...], then: Callable[[Any], None]) -> bool:
        if self._call is None or self._call.start_server_batch(operations, then) != _OK:
            return False
        self._due += 1
        return True

    def _received(self, event: Any) -> None:
        then, self._read = self._read, _ignore
        self._continue(then, event.batch_operations[0].message())

    def _sent(self, event: Any) -> None:
        then, self._written = self._written, _ignore
        self._continue(then, event.success)

    def _continue(self, then: Callable[[T], None], result: T) -> None:
        try:
            then(result)
        except Exception:
            end_unexpectedly(self)
            raise
        finally:
            self._done()

    def _closed(self, event: Any) -> None:
        if event.batch_operations[0].cancelled() and self._task is not None:
            self._task.cancel()
        self._done()

    def _done(self, _: Any = None) -> None:
        self._due -= 1
        if not self._due:
            # Now, and not when a cycle of references is collected: a call takes kilobytes.
            self._call = None
            over, self._over = self._over, _nothing
            over()


def _nothing() -> None:
    pass


def _ignore(_: object) -> None:
    pass
