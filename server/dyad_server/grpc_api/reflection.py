"""gRPC's reflection service, bounded in streams, request size and time."""

from collections.abc import AsyncIterator, Iterable
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from grpc_reflection.v1alpha import reflection, reflection_pb2

from dyad_server.grpc_api import bounds
from dyad_server.grpc_api.client_address import Origin
from dyad_server.grpc_api.streams import Context, next_message, streaming, write
from dyad_server.grpc_api.tokenless import Places

SERVICE = reflection.SERVICE_NAME

Request = reflection_pb2.ServerReflectionRequest
Response = reflection_pb2.ServerReflectionResponse

# The servicer refuses an empty request.
_NO_REQUEST = Request()


class Reflection:
    """Serves the schema of `services`, over a bounded number of streams."""

    def __init__(self, services: Iterable[str], origin: Origin) -> None:
        self._answers = reflection.aio.ReflectionServicer((*services, SERVICE))
        self._places = Places(
            origin,
            at_once=bounds.REFLECTION_STREAMS,
            per_address=bounds.REFLECTION_STREAMS_PER_ADDRESS,
        )

    def add(self, server: grpc.aio.Server) -> None:
        """Serve `ServerReflectionInfo`."""
        handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
            "ServerReflectionInfo": grpc.stream_stream_rpc_method_handler(
                streaming(self._info), _request, Response.SerializeToString
            )
        }
        server.add_registered_method_handlers(SERVICE, handlers)

    async def _info(self, requests: AsyncIterator[Request], context: Context) -> None:
        async with self._places.place(context):
            # A generator, although its annotation says otherwise.
            answers: Any = self._answers.ServerReflectionInfo(_in_time(requests), context)
            async for answer in answers:
                await write(context, answer)


async def _in_time(requests: AsyncIterator[Request]) -> AsyncIterator[Request]:
    while (request := await next_message(requests, bounds.REFLECTION_MESSAGE_SECONDS)) is not None:
        yield request


def _request(message: bytes) -> Request:
    if len(message) > bounds.REFLECTION_REQUEST_BYTES:
        return _NO_REQUEST
    try:
        return Request.FromString(message)
    except DecodeError:
        return _NO_REQUEST
