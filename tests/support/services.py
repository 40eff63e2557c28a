"""Stubs for gRPC's own services: their packages have no typed stubs for grpc.aio."""

import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_reflection.v1alpha.reflection_pb2 import (
    ServerReflectionRequest,
    ServerReflectionResponse,
)

CHECK = "/grpc.health.v1.Health/Check"
WATCH = "/grpc.health.v1.Health/Watch"
REFLECT = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"


class HealthStub:
    def __init__(self, channel: grpc.aio.Channel) -> None:
        request, response = HealthCheckRequest.SerializeToString, HealthCheckResponse.FromString
        self.Check: grpc.aio.UnaryUnaryMultiCallable[HealthCheckRequest, HealthCheckResponse] = (
            channel.unary_unary(CHECK, request, response)
        )
        self.Watch: grpc.aio.UnaryStreamMultiCallable[HealthCheckRequest, HealthCheckResponse] = (
            channel.unary_stream(WATCH, request, response)
        )


def reflecting(
    channel: grpc.aio.Channel,
) -> grpc.aio.StreamStreamCall[ServerReflectionRequest, ServerReflectionResponse]:
    """Open a reflection stream."""
    call: grpc.aio.StreamStreamMultiCallable[ServerReflectionRequest, ServerReflectionResponse] = (
        channel.stream_stream(
            REFLECT, ServerReflectionRequest.SerializeToString, ServerReflectionResponse.FromString
        )
    )
    return call()
