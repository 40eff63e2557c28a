"""A stream that its client cancels."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from dyad_server.grpc_api.servicer import SignalingServicer
from dyad_server.grpc_api.streams import Context

from tests.conftest import ends, serving
from tests.support.ends import ListenEnd, pair
from tests.support.until import PATIENCE


async def test_a_stream_cut_by_the_client_ends_as_cancelled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A handler that swallows CancelledError leaks its stream inside gRPC. Only `Listen` is
    # tested: the handler of `Signal` first meets the end of its requests.
    cancelled = asyncio.Event()
    listen = SignalingServicer.Listen

    async def watched(
        servicer: SignalingServicer, requests: AsyncIterator[bytes], context: Context
    ) -> None:
        try:
            await listen(servicer, requests, context)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    monkeypatch.setattr(SignalingServicer, "Listen", watched)
    async with serving() as server, ends(server, ListenEnd) as connect:
        _, bob, _ = await pair(connect)
        bob.cut()
        async with asyncio.timeout(PATIENCE):
            await cancelled.wait()
