"""The contract's three methods: `Signal`, and `Listen` with `Send`, on one hub."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, NoReturn

import grpc
from dyad.v1 import signaling_pb2 as pb

from dyad_server.auth.verifier import Token, Verifier
from dyad_server.core.hub import Hub
from dyad_server.core.limits import Quota
from dyad_server.core.participant import Connection
from dyad_server.errors import Ended, Overloaded
from dyad_server.grpc_api import bounds, status
from dyad_server.grpc_api.client_address import Origin
from dyad_server.grpc_api.inbound import Inbound, Terms
from dyad_server.grpc_api.streams import Context, next_message, streaming
from dyad_server.grpc_api.time_limit import TimeLimit
from dyad_server.grpc_api.writer import Pack, StreamOutlet

SERVICE = pb.DESCRIPTOR.services_by_name["Signaling"].full_name


class SignalingServicer:
    """Serves the contract's three methods.

    Each handler takes a stream of messages, even where the contract has a single
    message. gRPC calls such a handler when the stream begins. Otherwise it would read
    the message first, and a client that sends none could stay for ever without a token.

    A stream ends with the status that `status.STATUS` gives its failure. A frame that
    is refused is answered with an `error` event, and the stream goes on.
    """

    def __init__(
        self, hub: Hub, inbound: Inbound, verifier: Verifier, origin: Origin, terms: Terms
    ) -> None:
        self._hub = hub
        self._inbound = inbound
        self._verifier = verifier
        self._origin = origin
        self._terms = terms
        self._calls = Quota(terms.calls_per_user)
        self._writes = TimeLimit(terms.write_timeout, hub.clock)

    async def Signal(  # noqa: N802 - the contract's name
        self, _: object, context: Context
    ) -> None:
        """One participant on one bidirectional stream."""
        token = await self._identify(context)
        connection, outlet = await self._open(token, _signal_response, context)
        reading = asyncio.create_task(self._read(connection, context))
        try:
            # When the client is gone, this handler is cancelled and the read ends by
            # itself. grpc.aio leaks 150 bytes for each read that is cancelled.
            await asyncio.shield(reading)
            # The client has closed its side, but may still read what waits for it.
            await outlet.finish()
        finally:
            await self._part(connection, outlet)
            await asyncio.wait({reading})

    async def Listen(  # noqa: N802 - as Signal
        self, requests: AsyncIterator[bytes], context: Context
    ) -> None:
        """What `Signal` answers, for a client that sends its frames by `Send`."""
        token = await self._identify(context)
        async with self._under_way(token.account, context):
            await next_message(requests, bounds.FIRST_MESSAGE_SECONDS)
        connection, outlet = await self._open(token, _listen_response, context)
        try:
            outlet.greet(pb.ListenResponse(session_id=connection.id))
            await outlet.over.wait()
            await outlet.finish()
        finally:
            await self._part(connection, outlet)

    async def Send(  # noqa: N802 - as Signal
        self, requests: AsyncIterator[bytes], context: Context
    ) -> pb.SendResponse:
        """What `Signal` receives, for a session that `Listen` opened."""
        # The token that opened the session stays good for it until the session ends.
        token = await self._identify(context, stale=True)
        async with self._under_way(token.account, context):
            message = await next_message(requests, bounds.FIRST_MESSAGE_SECONDS)
            await self._inbound.send(token, message or b"")
        return pb.SendResponse()

    async def _read(self, connection: Connection, context: Context) -> None:
        # The outlet may end the stream during a read, with the right status.
        with contextlib.suppress(grpc.aio.AbortError):
            while self._hub.hears(connection):
                message = await context.read()
                if message is grpc.aio.EOF:
                    break
                self._inbound.signal(connection, message)
                # Do not keep it in memory until the next one comes.
                del message

    @asynccontextmanager
    async def _under_way(self, account: str, context: Context) -> AsyncIterator[None]:
        """Count a request of `account`; an `Ended` raised inside becomes its status.

        Too many requests under way end with RESOURCE_EXHAUSTED.
        """
        try:
            with self._counted(account):
                yield
        except Ended as failure:
            await _abort(context, failure)

    @contextmanager
    def _counted(self, account: str) -> Iterator[None]:
        if self._calls.full(account):
            raise Overloaded("This user has too many requests under way.")
        self._calls.take(account)
        try:
            yield
        finally:
            self._calls.give_back(account)

    async def _identify(self, context: Context, *, stale: bool = False) -> Token:
        try:
            metadata = context.invocation_metadata()
            return await self._verifier.verify_metadata(metadata, stale=stale)
        except Ended as failure:
            await _abort(context, failure)

    async def _open(
        self, token: Token, pack: Pack, context: Context
    ) -> tuple[Connection, StreamOutlet]:
        outlet = StreamOutlet(context, pack, self._writes, self._hub.clock)
        address = self._origin.address(context.peer(), context.invocation_metadata())
        try:
            connection = self._hub.open(token.identity, outlet, address, token.digest)
        except Ended as failure:
            await _abort(context, failure)
        outlet.attach(connection, lambda failure: self._hub.close(connection, failure))
        if self._terms.end_at_expiry:
            self._hub.end_at(connection, token.until)
        return connection, outlet

    async def _part(self, connection: Connection, outlet: StreamOutlet) -> None:
        self._hub.close(connection)
        try:
            # gRPC cannot drop what it has accepted to write. It stays in memory until the
            # client reads it or disconnects, and counts for that client until then.
            await outlet.finish()
        finally:
            self._hub.release(connection)


def add(servicer: SignalingServicer, server: grpc.aio.Server) -> None:
    """Serve the contract's methods on `server`."""
    handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
        "Signal": grpc.stream_stream_rpc_method_handler(
            streaming(servicer.Signal), None, pb.SignalResponse.SerializeToString
        ),
        "Listen": grpc.stream_stream_rpc_method_handler(
            streaming(servicer.Listen), None, pb.ListenResponse.SerializeToString
        ),
        "Send": grpc.stream_unary_rpc_method_handler(
            servicer.Send, None, pb.SendResponse.SerializeToString
        ),
    }
    server.add_registered_method_handlers(SERVICE, handlers)


def _signal_response(frames: list[pb.Frame]) -> pb.SignalResponse:
    return pb.SignalResponse(frames=frames)


def _listen_response(frames: list[pb.Frame]) -> pb.ListenResponse:
    return pb.ListenResponse(frames=frames)


async def _abort(context: Context, failure: Ended) -> NoReturn:
    await context.abort(status.STATUS[type(failure)], str(failure), status.trailers(failure))
