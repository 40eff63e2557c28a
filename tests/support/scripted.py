"""A server that follows a script, for what the real server never does."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import grpc
from dyad.v1 import signaling_pb2 as pb

Context = grpc.aio.ServicerContext[pb.SignalRequest, pb.SignalResponse]
Script = Callable[[AsyncIterator[pb.SignalRequest], Context], Awaitable[None]]


@asynccontextmanager
async def scripted(script: Script) -> AsyncIterator[int]:
    """Run a server whose `Signal` is this script; yields its port."""
    signal = grpc.stream_stream_rpc_method_handler(
        script, pb.SignalRequest.FromString, pb.SignalResponse.SerializeToString
    )
    server = grpc.aio.server()
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("dyad.v1.Signaling", {"Signal": signal}),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield port
    finally:
        await server.stop(0)
