"""gRPC's reflection service, bounded in streams, request size and time."""

from collections.abc import AsyncIterator, Iterable
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from grpc_reflection.v1alpha import reflection, reflection_pb2

from dyad_server.grpc_api import bounds
from dyad_server.grpc_api.client_address import Origin
from dyad_server.grpc_api.rpc_limit import RpcLimit
from dyad_server.grpc_api.rpc_stream import Methods, Stream, receive, send

SERVICE = reflection.SERVICE_NAME

Request = reflection_pb2.ServerReflectionRequest
Response = reflection_pb2.ServerReflectionResponse

# The servicer refuses an empty request.
_NO_REQUEST = Request()


class Reflection:
    """Serves the schema of `services`, over a bounded number of streams."""

    def __init__(self, services: Iterable[str], origin: Origin) -> None:
        self._answers = reflection.aio.ReflectionServicer((*services, SERVICE))
        self._limit = RpcLimit(
            origin,
            at_once=bounds.REFLECTION_STREAMS,
            per_address=bounds.REFLECTION_STREAMS_PER_ADDRESS,
        )

    @property
    def methods(self) -> Methods:
        """`ServerReflectionInfo`."""
        return {f"/{SERVICE}/ServerReflectionInfo": self._info}

    async def _info(self, stream: Stream) -> None:
        self._limit.take(stream)
        # A generator, although its annotation says otherwise. It makes no use of a context.
        answers: Any = self._answers.ServerReflectionInfo(_in_time(stream), None)
        async for answer in answers:
            await send(stream, answer.SerializeToString())
        stream.end(grpc.StatusCode.OK)


async def _in_time(stream: Stream) -> AsyncIterator[Request]:
    while (message := await receive(stream, bounds.REFLECTION_MESSAGE_SECONDS)) is not None:
        yield _request(message)


def _request(message: bytes) -> Request:
    if len(message) > bounds.REFLECTION_REQUEST_BYTES:
        return _NO_REQUEST
    try:
        return Request.FromString(message)
    except DecodeError:
        return _NO_REQUEST
