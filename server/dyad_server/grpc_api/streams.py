"""Helps handlers that read and write their stream themselves."""

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
    """Wrap `handler` in an async generator, the form that interceptors expect.

    For example, OpenTelemetry's interceptor iterates over what a handler returns. The
    generator yields nothing, because the handler writes by itself. (If it yielded the
    messages, a client that leaves without reading would cause a traceback in the log.)
    """

    async def generator(requests: AsyncIterator[Request], context: Context) -> AsyncIterator[Any]:
        await handler(requests, context)
        nothing: list[Any] = []
        for response in nothing:
            yield response

    return generator


async def next_message(requests: AsyncIterator[Request], seconds: float) -> Request | None:
    """Read the next message; None if the client has closed its side.

    The rest of the stream is not read, so it does not use memory here.

    Raises:
        OutOfTime: no message arrived within `seconds`. The caller must then end the
            stream. The read goes on until then, because a cancelled read leaks in gRPC.
    """
    reading = asyncio.get_running_loop().create_task(_read(requests))
    reading.add_done_callback(_retrieve)
    done, _ = await asyncio.wait({reading}, timeout=seconds)
    if not done:
        raise OutOfTime(f"No message arrived within {seconds:g} s.")
    return await reading


async def write(context: Context, message: object) -> None:
    """Write a message; do nothing if the client has left."""
    with suppress(grpc.aio.BaseError):
        await context.write(message)


async def _read(requests: AsyncIterator[Request]) -> Request | None:
    return await anext(requests, None)


def _retrieve(reading: "asyncio.Task[Any]") -> None:
    # The stream may have ended meanwhile; the handler notices that itself.
    if not reading.cancelled():
        reading.exception()
