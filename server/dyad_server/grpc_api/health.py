"""gRPC's health service, bounded because it needs no token.

It answers for two names: the whole server, and Dyad's service. A client has one second
to send its request, and the number of RPCs is bounded in total and per address. A client
that does not read its `Watch` delays no other client.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from grpc_health.v1 import health_pb2

from dyad_server.grpc_api import bounds
from dyad_server.grpc_api.client_address import Origin
from dyad_server.grpc_api.streams import Context, next_message, streaming, write
from dyad_server.grpc_api.tokenless import Places

SERVICE = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
WHOLE_SERVER = ""

Response = health_pb2.HealthCheckResponse

# Stands for every unknown name, because a name may be as long as a message.
_UNKNOWN = "unknown"


class Health:
    """The status of the server and of one service, and the clients that watch it."""

    def __init__(self, service: str, origin: Origin) -> None:
        self._statuses: dict[str, int] = dict.fromkeys(
            (WHOLE_SERVER, service), Response.NOT_SERVING
        )
        self._checks = Places(
            origin, at_once=bounds.HEALTH_CHECKS, per_address=bounds.HEALTH_CHECKS_PER_ADDRESS
        )
        self._watches = Places(
            origin, at_once=bounds.HEALTH_WATCHES, per_address=bounds.HEALTH_WATCHES_PER_ADDRESS
        )
        self._changed = asyncio.Event()
        self._finished = False

    def add(self, server: grpc.aio.Server) -> None:
        """Serve `Check` and `Watch`.

        Both handlers take a request stream, which is the same on the wire. With a unary
        handler, gRPC would wait for the message before it calls the handler.
        """
        handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
            "Check": grpc.stream_stream_rpc_method_handler(
                streaming(self._check), self._name, Response.SerializeToString
            ),
            "Watch": grpc.stream_stream_rpc_method_handler(
                streaming(self._watch), self._name, Response.SerializeToString
            ),
        }
        server.add_registered_method_handlers(SERVICE, handlers)

    def tell(self, service: str, *, serving: bool) -> None:
        """Set whether `service` is serving, and tell its watchers if that changed."""
        status = Response.SERVING if serving else Response.NOT_SERVING
        if self._finished or self._statuses[service] == status:
            return
        self._statuses[service] = status
        self._wake()

    def finish(self) -> None:
        """Answer NOT_SERVING from now on, and end each `Watch` once it has been told."""
        self._statuses = dict.fromkeys(self._statuses, Response.NOT_SERVING)
        self._finished = True
        self._wake()

    def _wake(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def _check(self, requests: AsyncIterator[str], context: Context) -> None:
        async with self._checks.place(context):
            status = self._statuses.get(await self._asked(requests))
            if status is not None:
                await write(context, Response(status=status))
                return
        await context.abort(grpc.StatusCode.NOT_FOUND, "There is no such service.")

    async def _watch(self, requests: AsyncIterator[str], context: Context) -> None:
        async with self._watches.place(context):
            name = await self._asked(requests)
            told = None
            while True:
                changed = self._changed
                status = self._statuses.get(name, Response.SERVICE_UNKNOWN)
                if status != told:
                    told = status
                    await write(context, Response(status=status))
                elif self._finished:
                    return
                else:
                    await changed.wait()

    async def _asked(self, requests: AsyncIterator[str]) -> str:
        name = await next_message(requests, bounds.HEALTH_MESSAGE_SECONDS)
        return _UNKNOWN if name is None else name

    def _name(self, message: bytes) -> str:
        try:
            name = health_pb2.HealthCheckRequest.FromString(message).service
        except DecodeError:
            return _UNKNOWN
        return name if name in self._statuses else _UNKNOWN
