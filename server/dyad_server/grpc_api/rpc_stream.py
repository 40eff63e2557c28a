"""The port between the handlers of RPCs and gRPC: one RPC, without anything of `grpc.aio`.

A handler is a coroutine that begins an RPC. It either ends the RPC itself, or returns while
the RPC goes on. In the second case the RPC continues in what the handler has passed to
`read`, `write` and `on_over`, so an RPC that waits needs no task.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

import grpc

from dyad_server.errors import Ended, OutOfTime
from dyad_server.grpc_api import status

Metadata = tuple[tuple[str, str | bytes], ...]


def only_value(metadata: Metadata, key: str) -> str:
    """The value of this key; empty unless there is exactly one, and it is text."""
    values = [value for name, value in metadata if name == key]
    return values[0] if len(values) == 1 and isinstance(values[0], str) else ""


class Stream(Protocol):
    """One RPC. Only one read and one write may be under way at a time."""

    @property
    def metadata(self) -> Metadata:
        """The metadata of the request; perhaps nothing once the handler has returned."""

    @property
    def peer(self) -> str:
        """The client's address, as gRPC writes it: `ipv4:1.2.3.4:5`."""

    def read(self, then: Callable[[bytes | None], None]) -> None:
        """Read a message, and call `then` with it.

        `then` gets None if the client has closed its side, or the RPC is over.
        """

    def lead(self, metadata: Metadata) -> None:
        """Send this metadata before the first message, or before the status; before any write."""

    def write(self, message: bytes, then: Callable[[bool], None]) -> None:
        """Write a message, and call `then` when the next one may be written.

        `then` gets False if the RPC is over. It may be called before `write` returns.
        """

    def reply(self, message: bytes) -> None:
        """Write the only message, and end with OK."""

    def end(self, code: grpc.StatusCode, details: str = "", trailers: Metadata = ()) -> None:
        """End the RPC, after the write that is under way; only the first call counts.

        A client that does not read gets the status once it does.
        """

    def on_over(self, call: Callable[[], None]) -> None:
        """Call `call` once the RPC is over and gRPC keeps none of its messages.

        The client has the status, or is gone. No read or write continues after that.
        """


Handler = Callable[[Stream], Awaitable[None]]
"""Begins each RPC of a method. It is cancelled if the client leaves before it returns."""

Methods = Mapping[str, Handler]
"""The handler of each method, by path: `/package.Service/Method`."""


async def begin(handler: Handler, stream: Stream) -> None:
    """Begin an RPC; if the handler raises an `Ended`, the RPC ends with its status."""
    try:
        await handler(stream)
    except Ended as failure:
        end_with(stream, failure)


def end_with(stream: Stream, failure: Ended) -> None:
    """End an RPC with the status of this failure."""
    stream.end(status.STATUS[type(failure)], str(failure), status.trailers(failure))


def end_unexpectedly(stream: Stream) -> None:
    """End an RPC after an exception that should not happen."""
    stream.end(grpc.StatusCode.UNKNOWN, "Unexpected error.")


async def receive(stream: Stream, seconds: float) -> bytes | None:
    """Wait for the next message; None if the client has closed its side.

    Raises:
        OutOfTime: no message arrived within `seconds`. The read goes on, so the caller
            must end the RPC.
    """
    message: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()
    stream.read(lambda read: None if message.done() else message.set_result(read))
    try:
        async with asyncio.timeout(seconds):
            return await message
    except TimeoutError:
        raise OutOfTime(f"No message arrived within {seconds:g} s.") from None


async def send(stream: Stream, message: bytes) -> None:
    """Write a message; do nothing if the client has left."""
    written: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
    stream.write(message, lambda ok: None if written.done() else written.set_result(ok))
    await written
