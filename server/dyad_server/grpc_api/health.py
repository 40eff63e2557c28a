"""gRPC's health service, bounded because it needs no token.

It answers for two names: the whole server, and Dyad's service. A client has one second
to send its request, and the number of RPCs is bounded in total and per address. A client
that does not read its `Watch` delays no other client.
"""

import asyncio

import grpc
from google.protobuf.message import DecodeError
from grpc_health.v1 import health_pb2

from dyad_server.grpc_api import bounds
from dyad_server.grpc_api.client_address import Origin
from dyad_server.grpc_api.rpc_limit import RpcLimit
from dyad_server.grpc_api.rpc_stream import Methods, Stream, receive, send

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
        self._checks = RpcLimit(
            origin, at_once=bounds.HEALTH_CHECKS, per_address=bounds.HEALTH_CHECKS_PER_ADDRESS
        )
        self._watches = RpcLimit(
            origin, at_once=bounds.HEALTH_WATCHES, per_address=bounds.HEALTH_WATCHES_PER_ADDRESS
        )
        self._changed = asyncio.Event()
        self._finished = False

    @property
    def methods(self) -> Methods:
        """`Check` and `Watch`."""
        return {
            f"/{SERVICE}/Check": self._check,
            f"/{SERVICE}/Watch": self._watch,
        }

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

    async def _check(self, stream: Stream) -> None:
        self._checks.take(stream)
        status = self._statuses.get(await self._asked(stream))
        if status is None:
            stream.end(grpc.StatusCode.NOT_FOUND, "There is no such service.")
        else:
            stream.reply(Response(status=status).SerializeToString())

    async def _watch(self, stream: Stream) -> None:
        self._watches.take(stream)
        name = await self._asked(stream)
        told = None
        while True:
            changed = self._changed
            status = self._statuses.get(name, Response.SERVICE_UNKNOWN)
            if status != told:
                told = status
                await send(stream, Response(status=status).SerializeToString())
            elif self._finished:
                stream.end(grpc.StatusCode.OK)
                return
            else:
                await changed.wait()

    async def _asked(self, stream: Stream) -> str:
        message = await receive(stream, bounds.HEALTH_MESSAGE_SECONDS)
        if message is None:
            return _UNKNOWN
        try:
            name = health_pb2.HealthCheckRequest.FromString(message).service
        except DecodeError:
            return _UNKNOWN
        return name if name in self._statuses else _UNKNOWN
