"""A stream that its client cancels, served on `grpc.aio`."""

import asyncio

import pytest
from dyad_server.grpc_api.aio import AioStream
from dyad_server.grpc_api.rpc_stream import Handler

from tests.conftest import ends, serving
from tests.support.ends import ListenEnd, pair
from tests.support.until import PATIENCE


async def test_a_stream_cut_by_the_client_ends_as_cancelled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A handler that swallows CancelledError leaks its stream inside gRPC.
    cancelled = asyncio.Event()
    serve = AioStream.serve

    async def watched(stream: AioStream, handle: Handler) -> None:
        try:
            await serve(stream, handle)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    monkeypatch.setattr(AioStream, "serve", watched)
    async with serving(grpc_api="aio") as server, ends(server, ListenEnd) as connect:
        _, bob, _ = await pair(connect)
        bob.cut()
        async with asyncio.timeout(PATIENCE):
            await cancelled.wait()
