"""A proxy that ends each stream with a status of its own, without the trailer that Dyad sends."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc

from tests.support.until import PATIENCE

# From Dyad, each of these would end the session, or the resume.
_ENDS: tuple[tuple[grpc.StatusCode, tuple[tuple[str, str], ...]], ...] = (
    (grpc.StatusCode.ABORTED, ()),
    (grpc.StatusCode.ABORTED, (("retry-after-ms", "-1"),)),
    (grpc.StatusCode.PERMISSION_DENIED, ()),
    (grpc.StatusCode.NOT_FOUND, ()),
)
_LASTING = ("/Signal", "/Listen")


@dataclass
class Front(grpc.GenericRpcHandler):
    """Answers every RPC with the next status.

    Attributes:
        port: the port that clients connect to, with HTTP/2.
    """

    port: int = 0
    _ended: int = 0
    _all: asyncio.Event = field(default_factory=asyncio.Event)

    def service(
        self, handler_call_details: grpc.HandlerCallDetails
    ) -> "grpc.RpcMethodHandler[Any, Any]":
        lasting = handler_call_details.method.endswith(_LASTING)

        async def end(_: Any, context: "grpc.aio.ServicerContext[Any, Any]") -> None:
            code, trailers = _ENDS[self._ended % len(_ENDS)]
            self._ended += lasting
            if self._ended == len(_ENDS):
                self._all.set()
            await context.abort(code, "The proxy says so.", trailers)

        return grpc.stream_stream_rpc_method_handler(end)

    async def has_sent_all(self) -> None:
        """Wait until attempts to connect have met every status."""
        async with asyncio.timeout(PATIENCE):
            await self._all.wait()


@asynccontextmanager
async def status_front() -> AsyncIterator[Front]:
    front = Front()
    server = grpc.aio.server(handlers=[front])
    front.port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield front
    finally:
        await server.stop(None)
