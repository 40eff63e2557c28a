"""Serves RPCs on `grpc.aio`: one of the two adapters of `rpc_server` and `rpc_stream`."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from functools import partial
from typing import Any

import grpc

from dyad_server.grpc_api.acceptor import is_bare, services
from dyad_server.grpc_api.rpc_stream import Handler, Metadata, Methods, begin, end_unexpectedly

Context = grpc.aio.ServicerContext[Any, Any]
Ending = tuple[grpc.StatusCode, str, Metadata]


class AioServer:
    """An `RpcServer` on `grpc.aio`."""

    def __init__(self, server: grpc.aio.Server) -> None:
        """Serve on a server from `acceptor.make_server`."""
        self._server = server

    @property
    def services(self) -> list[str]:
        """See `RpcServer`; those of the embedding program too."""
        return services(self._server)

    def add(self, methods: Methods) -> None:
        """See `RpcServer`.

        All methods take a stream of requests, which is the same on the wire. With a unary
        request, gRPC would wait for the message before it calls the handler, so a client
        that never sends it would never be asked for a token.
        """
        for path, handle in methods.items():
            _, service, name = path.split("/")
            handler: grpc.RpcMethodHandler[Any, Any] = grpc.stream_stream_rpc_method_handler(
                _streaming(handle)
            )
            self._server.add_registered_method_handlers(service, {name: handler})

    def listen(self, address: str, credentials: grpc.ServerCredentials | None) -> int:
        """See `RpcServer`."""
        if credentials is None:
            return self._server.add_insecure_port(address)
        return self._server.add_secure_port(address, credentials)

    async def start(self) -> None:
        """See `RpcServer`."""
        await self._server.start()

    async def stop(self, seconds: float | None) -> None:
        """See `RpcServer`."""
        await self._server.stop(seconds)


class AioStream:
    """A `Stream` on a context of `grpc.aio`."""

    __slots__ = (
        "_busy",
        "_context",
        "_ended",
        "_ending",
        "_lead",
        "_over",
        "_read",
        "_reader",
        "_writing",
    )

    def __init__(self, context: Context) -> None:
        self._context = context
        self._ending: Ending | None = None
        self._lead: Metadata = ()
        # Gets the value of `_ending` once no write is under way.
        self._ended: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()
        self._over: Callable[[], None] = _nothing
        self._read: Callable[[bytes | None], None] = _ignore
        self._reader: asyncio.Task[None] | None = None
        self._writing = False
        # How much is under way: the handler, and at most one read and one write.
        self._busy = 1

    @property
    def metadata(self) -> Metadata:
        """See `Stream`."""
        return tuple(self._context.invocation_metadata() or ())

    @property
    def peer(self) -> str:
        """See `Stream`."""
        return self._context.peer()

    def read(self, then: Callable[[bytes | None], None]) -> None:
        """See `Stream`."""
        self._read = then
        if self._reader is None:
            self._busy += 1
            self._reader = asyncio.get_running_loop().create_task(self._keep_reading())

    async def _keep_reading(self) -> None:
        """Read as long as each message leads to another read: a task for each would cost more.

        Nothing cancels this task, because a cancelled read leaks in gRPC.
        """
        try:
            while self._read is not _ignore:
                message: Any = None
                with contextlib.suppress(grpc.aio.BaseError, asyncio.CancelledError):
                    message = await self._context.read()
                then, self._read = self._read, _ignore
                # Anything but bytes is EOF.
                then(message if isinstance(message, bytes) else None)
        except Exception:
            end_unexpectedly(self)
            raise
        finally:
            self._reader = None
            self._done()

    def lead(self, metadata: Metadata) -> None:
        """See `Stream`."""
        self._lead = metadata

    def write(self, message: bytes, then: Callable[[bool], None]) -> None:
        """See `Stream`."""
        self._busy += 1
        self._writing = True
        work: Coroutine[Any, Any, None]
        work = self._write_first(message) if self._lead else self._context.write(message)
        wrote = partial(self._wrote, then)
        if is_bare(self._context):
            _Write(work, wrote).step()
        else:
            # An interceptor has wrapped the context, so this may be any coroutine.
            task = asyncio.get_running_loop().create_task(work)
            task.add_done_callback(lambda done: wrote(_failure(done)))

    async def _write_first(self, message: bytes) -> None:
        await self._send_lead()
        await self._context.write(message)

    async def _send_lead(self) -> None:
        lead, self._lead = self._lead, ()
        if lead:
            await self._context.send_initial_metadata(lead)

    def _wrote(self, then: Callable[[bool], None], failure: BaseException | None) -> None:
        self._writing = False
        try:
            then(failure is None)
            if not isinstance(failure, grpc.aio.BaseError | asyncio.CancelledError | None):
                # Not gRPC's, but of an interceptor's context.
                raise failure  # noqa: TRY301 - handled like a failure of `then`
        except Exception:
            end_unexpectedly(self)
            raise
        finally:
            self._end_unless_writing()
            self._done()

    def reply(self, message: bytes) -> None:
        """See `Stream`."""
        # The result of a unary handler would be written later, when the RPC is over here.
        self.write(message, lambda _: self.end(grpc.StatusCode.OK))

    def end(self, code: grpc.StatusCode, details: str = "", trailers: Metadata = ()) -> None:
        """See `Stream`."""
        if self._ending is None:
            self._ending = code, details, trailers
            self._end_unless_writing()

    def _end_unless_writing(self) -> None:
        # With a status during the first write, gRPC would send the headers twice. That
        # fails, so the client would wait for a status forever.
        if self._ending is not None and not self._writing and not self._ended.done():
            self._ended.set_result(self._ending)

    def on_over(self, call: Callable[[], None]) -> None:
        """See `Stream`."""
        self._over = call

    async def serve(self, handle: Handler) -> None:
        """Serve the RPC."""
        try:
            await begin(handle, self)
            code, details, trailers = await self._ended
            # These fail if the client has just left. That is no error.
            with contextlib.suppress(grpc.aio.InternalError):
                await self._send_lead()
                if code is not grpc.StatusCode.OK:
                    await self._context.abort(code, details, trailers)
        finally:
            self._done()

    def _done(self) -> None:
        """Note that the handler, a read or a write is over."""
        self._busy -= 1
        if not self._busy:
            over, self._over = self._over, _nothing
            over()


class _Write:
    """Runs a write of gRPC without a task, which would cost a tenth of a frame."""

    __slots__ = ("_work", "_wrote")

    def __init__(
        self, work: Coroutine[Any, Any, None], wrote: Callable[[BaseException | None], None]
    ) -> None:
        """Call `wrote` at the end of `work`, with what it raised."""
        self._work = work
        self._wrote = wrote

    def step(self, _: object = None) -> None:
        """Run it until it waits, and go on when that is done."""
        failure: BaseException | None = None
        try:
            waits_for = self._work.send(None)
        except StopIteration:
            pass
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - as a task does
            failure = error
        else:
            waits_for.add_done_callback(self.step)
            return
        self._wrote(failure)


def _failure(task: "asyncio.Task[None]") -> BaseException | None:
    return asyncio.CancelledError() if task.cancelled() else task.exception()


def _streaming(handle: Handler) -> Callable[[object, Context], AsyncIterator[bytes]]:
    """An async generator, the form that interceptors expect; it yields nothing.

    (If it yielded the messages, a client that leaves without reading would cause a
    traceback in the log.)
    """

    async def generator(_: object, context: Context) -> AsyncIterator[bytes]:
        await AioStream(context).serve(handle)
        nothing: list[bytes] = []
        for message in nothing:
            yield message

    return generator


def _nothing() -> None:
    pass


def _ignore(_: object) -> None:
    pass
