"""A `grpc.aio` server that a call of no known method cannot stop.

grpc.aio 1.85 decodes the path of such a call in the one task that accepts all
calls. A single byte that is no UTF-8, from anybody, without a token, ends that
task: the process lives on and serves nobody new. Here those calls are answered
before that task sees them; the others come registered, their paths known.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any

import grpc
from grpc._cython import cygrpc  # type: ignore[attr-defined]  # it has no types


def make_server(options: Sequence[tuple[str, int]]) -> grpc.aio.Server:
    """A server with these channel arguments; it serves registered methods only."""
    server: Any = grpc.aio.server(options=options)
    server._server = _Acceptor(  # noqa: SLF001 - gRPC has no other way in
        asyncio.get_running_loop(), None, (), (), options, None
    )
    made: grpc.aio.Server = server
    return made


class _Acceptor(cygrpc.AioServer):  # type: ignore[misc]  # as above
    """What accepts calls: for each method a future stands for its next call, for None an unknown's.

    The one for None never comes to pass.
    """

    def _make_request_call_future(self, method: bytes | None) -> "asyncio.Future[Any]":
        if method is None:
            return asyncio.get_running_loop().create_task(self._refuse_unknown())
        future: asyncio.Future[Any] = super()._make_request_call_future(method)
        return future

    async def _refuse_unknown(self) -> None:
        refusing: set[asyncio.Task[None]] = set()
        while True:
            call = await self._request_call()
            task = asyncio.get_running_loop().create_task(_refuse(call))
            refusing.add(task)
            task.add_done_callback(refusing.discard)


async def _refuse(call: Any) -> None:
    context = cygrpc._ServicerContext(  # noqa: SLF001 - as above
        call, None, None, asyncio.get_running_loop()
    )
    with contextlib.suppress(grpc.aio.BaseError):
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "There is no such method.")
