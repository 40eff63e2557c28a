"""The streams of one call, for handlers that read and write by themselves."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeVar

import grpc

from dyad_server.errors import OutOfTime

Context = grpc.aio.ServicerContext[Any, Any]
Request = TypeVar("Request")
Handler = Callable[[AsyncIterator[Request], Context], Awaitable[None]]


def streaming(handler: Handler[Request]) -> Callable[[AsyncIterator[Request], Context], Any]:
    """The handler of a streaming call in the shape that interceptors know: a generator.

    It yields nothing, because the handler writes by itself. OpenTelemetry's
    interceptor, for one, iterates over what a handler returns. And where gRPC
    writes what a generator yields, a client that leaves without reading puts a
    traceback in the log.
    """

    async def generator(requests: AsyncIterator[Request], context: Context) -> AsyncIterator[Any]:
        await handler(requests, context)
        nothing: list[Any] = []
        for response in nothing:
            yield response

    return generator


async def next_message(requests: AsyncIterator[Request], seconds: float) -> Request | None:
    """The next message of a call; None if the client has sent its last.

    The rest of the stream is not read, so it stays with its sender.

    Raises:
        OutOfTime: no message came within `seconds`. The caller must end the call:
            the read goes on until then, because gRPC leaks a read that is cancelled.
    """
    reading = asyncio.get_running_loop().create_task(_read(requests))
    reading.add_done_callback(_retrieve)
    done, _ = await asyncio.wait({reading}, timeout=seconds)
    if not done:
        raise OutOfTime(f"No message came within {seconds:g} s.")
    return await reading


async def write(context: Context, message: object) -> None:
    """Write to a call, or do nothing if its client has left."""
    with suppress(grpc.aio.BaseError):
        await context.write(message)


async def _read(requests: AsyncIterator[Request]) -> Request | None:
    return await anext(requests, None)


def _retrieve(reading: "asyncio.Task[Any]") -> None:
    # The call may have ended meanwhile; its handler has noticed that itself.
    if not reading.cancelled():
        reading.exception()
