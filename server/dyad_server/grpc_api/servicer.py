"""The gRPC face: `Signal`, and `Listen` with `Send`, over the same hub."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, NoReturn, Protocol

import grpc
from dyad.v1 import signaling_pb2 as pb

from dyad_server.auth.verifier import Token, Verifier
from dyad_server.core.hub import TOO_MUCH, Hub
from dyad_server.core.limits import Quota
from dyad_server.core.participant import Connection
from dyad_server.errors import Ended, Overloaded
from dyad_server.grpc_api import codec, packed, status
from dyad_server.grpc_api.client_address import Origin
from dyad_server.grpc_api.streams import Context, next_message, streaming
from dyad_server.grpc_api.time_limit import TimeLimit
from dyad_server.grpc_api.writer import Pack, StreamOutlet

SERVICE = pb.DESCRIPTOR.services_by_name["Signaling"].full_name

# Between the headers of a call and its first message.
FIRST_MESSAGE_SECONDS = 5.0
# An unreadable message is answered as a frame without an event.
_UNREADABLE: packed.Fields = [(pb.SignalRequest.FRAMES_FIELD_NUMBER, slice(0, 0))]
_SIGNAL_FRAMES = pb.SignalRequest.FRAMES_FIELD_NUMBER
_SEND_FRAMES = pb.SendRequest.FRAMES_FIELD_NUMBER
_SESSION = pb.SendRequest.SESSION_ID_FIELD_NUMBER


@dataclass(frozen=True, slots=True)
class Terms:
    """What the transports hold a client to.

    Attributes:
        frame_bytes: the largest frame.
        write_timeout: seconds that a write may take.
        end_at_expiry: whether a connection ends when its token expires.
        frames_at_once: the most that one message may hold.
        calls_per_user: `Send` calls under way, and `Listen` calls that wait for
            their first message.
    """

    frame_bytes: int
    write_timeout: float
    end_at_expiry: bool
    frames_at_once: int
    calls_per_user: int


class Nodes(Protocol):
    """The other nodes, as the servicer sees them."""

    def elsewhere(self, session_id: str) -> bool:
        """Whether a session is another node's."""

    async def send(self, user_id: str, stale: bytes, session_id: str, message: bytes) -> None:
        """Pass a serialized `SendRequest` to the node whose session it is for; raises `Ended`."""


class SignalingServicer:
    """Serves the contract's three calls.

    Each handler takes a stream of messages, also where the contract has one
    message: gRPC then calls it as soon as a call begins. It would read the one
    message first, and who sends none would hold a call without a token for ever.

    A call ends with the status that `status.STATUS` gives its failure; a frame
    that is refused is answered by an `error` event and the call goes on.
    """

    def __init__(self, hub: Hub, verifier: Verifier, origin: Origin, terms: Terms) -> None:
        self._hub = hub
        self._verifier = verifier
        self._origin = origin
        self._terms = terms
        self._calls = Quota(terms.calls_per_user)
        self._writes = TimeLimit(terms.write_timeout)
        # Set where there are other nodes.
        self.fleet: Nodes | None = None

    async def Signal(  # noqa: N802 - the contract's name
        self, _: object, context: Context
    ) -> None:
        """One participant on one bidirectional stream."""
        token = await self._identify(context)
        connection, outlet = await self._open(token, _signal_response, context)
        reading = asyncio.create_task(self._read(connection, context))
        try:
            # grpc.aio leaks 150 bytes where a read is cancelled, as this call is
            # when its client is gone. The read ends by itself then.
            await asyncio.shield(reading)
            # Half-closed: it can say no more, but what it was told before it
            # did is still its own.
            await outlet.finish()
        finally:
            await self._part(connection, outlet)
            await asyncio.wait({reading})

    async def Listen(  # noqa: N802 - as Signal
        self, requests: AsyncIterator[bytes], context: Context
    ) -> None:
        """What `Signal` answers, for a client whose frames come by `Send`."""
        token = await self._identify(context)
        async with self._under_way(token.account, context):
            await next_message(requests, FIRST_MESSAGE_SECONDS)
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
        """What `Signal` takes, for a session that `Listen` opened."""
        # The token that opened its session speaks for that as long as it lasts.
        token = await self._identify(context, stale=True)
        async with self._under_way(token.account, context):
            message = await next_message(requests, FIRST_MESSAGE_SECONDS)
            await self._send(token, message or b"")
        return pb.SendResponse()

    def take_packed_send(self, user_id: str, stale: bytes, message: bytes) -> Ended | None:
        """Act on a `SendRequest` that landed on another node; what ended it, if anything."""
        session_id, frames, count = self._parts_of_send(message)
        try:
            connection = self._hub.find(session_id, user_id, stale)
            self._take_send(connection, frames, count, len(message))
        except Ended as failure:
            return failure
        return None

    async def _send(self, token: Token, message: bytes) -> None:
        user_id, stale = token.identity.user_id, token.digest if token.stale else b""
        session_id, frames, count = self._parts_of_send(message)
        if self.fleet is not None and self.fleet.elsewhere(session_id):
            # The other node counts it too, but by then it has cost.
            self._charge(token.account, count, len(message))
            await self.fleet.send(user_id, stale, session_id, message)
            return
        try:
            connection = self._hub.find(session_id, user_id, stale)
        except Ended:
            self._charge(token.account, count, len(message))
            raise
        self._take_send(connection, frames, count, len(message))

    def _parts_of_send(self, message: bytes) -> tuple[str, Iterator[bytes], int]:
        """The session that a `SendRequest` is for, its frames, and how many it counts as."""
        fields = self._fields(message, beside=1)
        sessions = [where for number, where in fields if number == _SESSION]
        session_id = message[sessions[-1]] if sessions else b""
        frames = packed.contents(message, fields, _SEND_FRAMES)
        return session_id.decode("utf-8", "replace"), frames, max(len(fields) - 1, 1)

    def _take_send(
        self, connection: Connection, frames: Iterable[bytes], count: int, size: int
    ) -> None:
        if not self._hub.charge(connection, count, size):
            raise Overloaded(TOO_MUCH)
        self._take_in(connection, frames)
        if connection.failure is not None:
            raise connection.failure

    def _charge(self, account: str, count: int, size: int) -> None:
        if not self._hub.allows(account, count, size):
            raise Overloaded(TOO_MUCH)

    async def _read(self, connection: Connection, context: Context) -> None:
        # The outlet ended the call while a read was under way: it says how.
        with contextlib.suppress(grpc.aio.AbortError):
            while self._hub.hears(connection):
                message = await context.read()
                if message is grpc.aio.EOF:
                    break
                fields = self._fields(message)
                if self._hub.charge(connection, max(len(fields), 1), len(message)):
                    self._take_in(connection, packed.contents(message, fields, _SIGNAL_FRAMES))
                # Keep nothing of it until the next one comes.
                del message, fields

    def _fields(self, message: bytes, *, beside: int = 0) -> packed.Fields:
        """The fields of a message, all or more than it may have, `beside` so many others."""
        try:
            return packed.fields(message, self._terms.frames_at_once + beside)
        except ValueError:
            return _UNREADABLE

    def _take_in(self, connection: Connection, frames: Iterable[bytes]) -> None:
        """Take in frames, until one ends the connection."""
        for frame in frames:
            if not self._hub.hears(connection):
                break
            if len(frame) > self._terms.frame_bytes:
                self._hub.end(
                    connection.participant,
                    Overloaded(f"A frame is larger than {self._terms.frame_bytes} bytes."),
                )
                break
            self._hub.take_in(connection, codec.read(frame))

    @asynccontextmanager
    async def _under_way(self, account: str, context: Context) -> AsyncIterator[None]:
        """Count a call of a user's; what fails inside as `Ended` becomes its status.

        That is RESOURCE_EXHAUSTED if too many are under way.
        """
        try:
            with self._counted(account):
                yield
        except Ended as failure:
            await _abort(context, failure)

    @contextmanager
    def _counted(self, account: str) -> Iterator[None]:
        if self._calls.full(account):
            raise Overloaded("Too many calls of this user are under way.")
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
        outlet = StreamOutlet(context, pack, self._writes)
        address = self._origin.address(context.peer(), context.invocation_metadata())
        try:
            connection = self._hub.open(token.identity, outlet, address)
        except Ended as failure:
            await _abort(context, failure)
        connection.token = token.digest
        outlet.attach(connection, lambda failure: self._hub.close(connection, failure))
        if self._terms.end_at_expiry:
            self._hub.end_at(connection, token.until)
        return connection, outlet

    async def _part(self, connection: Connection, outlet: StreamOutlet) -> None:
        self._hub.close(connection)
        try:
            # gRPC cannot drop a call: what it has taken to write stays until the
            # client reads it or hangs up, and counts for its client as long.
            await outlet.finish()
        finally:
            self._hub.release(connection)


def add(servicer: SignalingServicer, server: grpc.aio.Server) -> None:
    """Serve the contract's calls on `server`."""
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
