"""An interceptor that records what it sees."""

from collections.abc import Awaitable, Callable
from typing import Any

import grpc


class Audit(grpc.aio.ServerInterceptor):
    """Records every method, and passes the RPC on."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    async def intercept_service(
        self,
        continuation: Callable[[Any], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        self.seen.append(handler_call_details.method)
        return await continuation(handler_call_details)
