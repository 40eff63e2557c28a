"""Interceptors of a program that embeds Dyad."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
from dyad_server import Config, serving
from dyad_server.grpc_api.servicer import SERVICE

from tests.conftest import SECRET, token
from tests.support.audit import Audit
from tests.support.ends import End, channel, end_of, join, leave
from tests.support.until import PATIENCE


class Reject(grpc.aio.ServerInterceptor):
    """Refuses every RPC of Dyad."""

    async def intercept_service(
        self,
        continuation: Callable[[Any], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        if SERVICE not in handler_call_details.method:
            return await continuation(handler_call_details)

        async def refuse(_: object, context: Any) -> AsyncIterator[Any]:
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, "Not here.")
            yield

        return grpc.stream_stream_rpc_method_handler(refuse)


class Slow(grpc.aio.ServerInterceptor):
    """Wraps the context of each RPC, and takes its time for each write."""

    async def intercept_service(
        self,
        continuation: Callable[[Any], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        inner = (await continuation(handler_call_details)).stream_stream

        async def handle(requests: object, context: Any) -> AsyncIterator[Any]:
            async for message in inner(requests, SlowContext(context)):
                yield message

        return grpc.stream_stream_rpc_method_handler(handle)


class SlowContext:
    def __init__(self, context: Any) -> None:
        self._context = context

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    async def write(self, message: object) -> None:
        async with asyncio.timeout(PATIENCE):
            await asyncio.sleep(0)
            await self._context.write(message)


async def test_an_interceptor_can_refuse_an_rpc(transport: type[End]) -> None:
    audit = Audit()
    config = Config(port=0, jwt_secret=SECRET)
    async with (
        serving(config, interceptors=[audit, Reject()]) as server,
        channel(server.port) as own,
    ):
        ended = await end_of(transport(own, token()))
        assert ended.code() is grpc.StatusCode.PERMISSION_DENIED
        assert ended.details() == "Not here."
        assert server.participants == 0
    assert audit.seen


async def test_an_interceptor_may_wrap_the_context(transport: type[End]) -> None:
    config = Config(port=0, jwt_secret=SECRET)
    async with (
        serving(config, interceptors=[Slow()]) as server,
        channel(server.port) as own,
    ):
        alice, bob = transport(own, token("alice")), transport(own, token("bob"))
        await alice.send(join())
        room_id = (await alice.hear()).room_id
        await bob.send(join(room_id))
        assert (await bob.hear()).join_room.peer.user_id == "alice"
        assert (await alice.hear()).sender.user_id == "bob"
        await bob.send(leave(room_id))
        assert (await alice.hear()).HasField("leave_room")
        ended = await end_of(transport(own, token(ttl=-60)))
        assert ended.code() is grpc.StatusCode.UNAUTHENTICATED
