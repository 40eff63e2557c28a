"""Bounds on calls that need no token: how many at once, and how long until they say something."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, TypeVar

import grpc

from dyad_server import status
from dyad_server.errors import Ended, OutOfTime, Overloaded
from dyad_server.limits import Quota
from dyad_server.origin import Origin

Context = grpc.aio.ServicerContext[Any, Any]
Request = TypeVar("Request")
Handler = Callable[[AsyncIterator[Request], Context], Awaitable[None]]

_ALL = ""


class Places:
    """At most so many calls at once, in all and from one address.

    A place is held until its handler has ended. While a client does not read,
    its handler does not end: gRPC has no way to drop a call whose last message
    was not taken.
    """

    def __init__(self, origin: Origin, *, at_once: int, per_address: int) -> None:
        self._origin = origin
        self._in_all = Quota(at_once)
        self._addresses = Quota(per_address)

    @asynccontextmanager
    async def place(self, context: Context) -> AsyncIterator[None]:
        """Hold a place for this call; what fails inside as `Ended` becomes its status.

        Where there is no place left, that is RESOURCE_EXHAUSTED.
        """
        try:
            with self._taken(context):
                yield
        except Ended as failure:
            code = status.STATUS[type(failure)]
            await context.abort(code, str(failure), status.trailers(failure))

    @contextmanager
    def _taken(self, context: Context) -> Iterator[None]:
        address = self._origin.address(context.peer(), context.invocation_metadata())
        if self._in_all.full(_ALL) or self._addresses.full(address):
            raise Overloaded("There are too many such calls already.")
        self._in_all.take(_ALL)
        self._addresses.take(address)
        try:
            yield
        finally:
            self._in_all.give_back(_ALL)
            self._addresses.give_back(address)


def streaming(handler: Handler[Request]) -> Callable[[AsyncIterator[Request], Context], Any]:
    """A handler that writes by itself in the shape that interceptors know: a generator.

    OpenTelemetry's, for one, iterates over what a handler returns. And where gRPC
    itself writes what a generator yields, a client that leaves without reading
    puts a traceback in the log.
    """

    async def generator(requests: AsyncIterator[Request], context: Context) -> AsyncIterator[Any]:
        await handler(requests, context)
        nothing: list[Any] = []
        for response in nothing:
            yield response

    return generator


async def write(context: Context, message: object) -> None:
    """Write to a call, or nothing where its client has left."""
    with suppress(grpc.aio.BaseError):
        await context.write(message)


async def next_message(requests: AsyncIterator[Request], seconds: float) -> Request | None:
    """The next message of a call; None where it sends no more.

    Raises:
        OutOfTime: none came for `seconds`. The call is to be ended then: the read
            goes on until it is, because gRPC leaks a read that is cancelled.
    """
    reading = asyncio.get_running_loop().create_task(_read(requests))
    reading.add_done_callback(_retrieve)
    done, _ = await asyncio.wait({reading}, timeout=seconds)
    if not done:
        raise OutOfTime(f"Nothing was sent for {seconds:g} s.")
    return await reading


async def _read(requests: AsyncIterator[Request]) -> Request | None:
    return await anext(requests, None)


def _retrieve(reading: "asyncio.Task[Any]") -> None:
    # That the call ended meanwhile is no news.
    if not reading.cancelled():
        reading.exception()
