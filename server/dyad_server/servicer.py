"""The gRPC face: `Signal`, and `Listen` with `Send`, over the same hub."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, Protocol, TypeVar

import grpc
from dyad.v1 import signaling_pb2 as pb
from dyad.v1 import signaling_pb2_grpc as pb_grpc
from google.protobuf.message import DecodeError, Message

from dyad_server import status, wire
from dyad_server.auth import Verifier
from dyad_server.errors import Ended, OutOfTime, Overloaded
from dyad_server.hub import Hub
from dyad_server.inputs import Identity
from dyad_server.limits import Throttle
from dyad_server.origin import Origin
from dyad_server.outlet import Pack, StreamOutlet
from dyad_server.participant import Connection

Context = grpc.aio.ServicerContext[Any, Any]
Request = TypeVar("Request", bound=Message)

SERVICE = pb.DESCRIPTOR.services_by_name["Signaling"].full_name

# What a `Send` for another node's session costs on its way beside its bytes, and
# how many seconds of a session's rate one user may pass on at once.
_PASSING_BYTES = 1024
_PASSING_SECONDS = 5


@dataclass(frozen=True, slots=True)
class Terms:
    """What the transports hold a client to.

    Attributes:
        frame_bytes: the largest frame.
        write_timeout: seconds that a write may take.
        heartbeat: seconds between the heartbeats of `Listen`.
        lease: seconds a session lives without a `Send`.
        bytes_per_second: that one user may send to sessions on other nodes.
    """

    frame_bytes: int
    write_timeout: float
    heartbeat: float
    lease: float
    bytes_per_second: int


class Nodes(Protocol):
    """The other nodes, as the servicer sees them."""

    def elsewhere(self, session_id: str) -> bool:
        """Whether a session is another node's."""

    async def send(self, user_id: str, session_id: str, packed: bytes) -> None:
        """Pass a `SendRequest` to the node whose session it is for; raises `Ended`."""


class SignalingServicer(pb_grpc.SignalingServicer):
    """Serves the contract's three calls.

    A call ends with the status that `status.STATUS` gives its failure; a frame
    that is refused is answered by an `error` event and the call goes on.
    """

    def __init__(self, hub: Hub, verifier: Verifier, origin: Origin, terms: Terms) -> None:
        self._hub = hub
        self._verifier = verifier
        self._origin = origin
        self._terms = terms
        self._passing = Throttle(terms.bytes_per_second, terms.bytes_per_second * _PASSING_SECONDS)
        self._leases: dict[str, float] = {}
        # Set where there are other nodes.
        self.fleet: Nodes | None = None

    async def Signal(  # type: ignore[override]  # noqa: N802 - writes by itself; the contract's name
        self, request_iterator: AsyncIterator[pb.SignalRequest], context: Context
    ) -> None:
        """One participant on one bidirectional stream."""
        connection, outlet = await self._open(_signal_response, context)
        reading = asyncio.create_task(self._read(connection, request_iterator))
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

    async def Listen(  # type: ignore[override]  # noqa: N802 - as Signal
        self, request: pb.ListenRequest, context: Context
    ) -> None:
        """What `Signal` answers, for a client whose frames come by `Send`."""
        del request
        connection, outlet = await self._open(_listen_response, context)
        session_id = connection.id
        self._leases[session_id] = time.monotonic()
        try:
            outlet.greet(pb.ListenResponse(session_id=session_id))
            while not outlet.over.is_set():
                lease_left = self._leases[session_id] + self._terms.lease - time.monotonic()
                try:
                    async with asyncio.timeout(min(self._terms.heartbeat, max(lease_left, 0))):
                        await outlet.over.wait()
                except TimeoutError:
                    if time.monotonic() - self._leases[session_id] >= self._terms.lease:
                        self._hub.close(connection, OutOfTime("Nothing was sent for too long."))
                        await outlet.over.wait()
                    else:
                        outlet.beat()
            await outlet.finish()
        finally:
            del self._leases[session_id]
            await self._part(connection, outlet)

    async def Send(  # noqa: N802 - the contract's name
        self, request: pb.SendRequest, context: Context
    ) -> pb.SendResponse:
        """What `Signal` takes, for a session that `Listen` opened."""
        identity = await self._identify(context)
        try:
            if self.fleet is not None and self.fleet.elsewhere(request.session_id):
                packed = request.SerializeToString()
                # Whose rate it counts for, only that node knows; it has cost by then.
                cost = len(packed) + _PASSING_BYTES
                if not self._passing.take(identity.user_id, cost, time.monotonic()):
                    raise Overloaded("Too much was sent in too short a time.")
                await self.fleet.send(identity.user_id, request.session_id, packed)
            else:
                self._take_send(identity.user_id, request)
        except Ended as failure:
            await _abort(context, failure)
        return pb.SendResponse()

    def take_packed_send(self, user_id: str, packed: bytes) -> Ended | None:
        """Act on a `SendRequest` that landed on another node; what ended it, if anything."""
        try:
            self._take_send(user_id, pb.SendRequest.FromString(packed))
        except Ended as failure:
            return failure
        return None

    def _take_send(self, user_id: str, request: pb.SendRequest) -> None:
        connection = self._hub.find(request.session_id, user_id)
        if request.session_id in self._leases:
            self._leases[request.session_id] = time.monotonic()
        failure = self._take_in(connection, request.frames)
        if failure is not None:
            raise failure

    async def _read(
        self, connection: Connection, requests: AsyncIterator[pb.SignalRequest]
    ) -> None:
        # The outlet ended the call while a read was under way: it says how.
        with contextlib.suppress(grpc.aio.AbortError):
            async for request in requests:
                self._take_in(connection, request.frames)

    def _take_in(self, connection: Connection, frames: Sequence[pb.Frame]) -> Ended | None:
        for frame in frames:
            size = frame.ByteSize()
            if size > self._terms.frame_bytes:
                self._hub.end(
                    connection.participant,
                    Overloaded(f"A frame is larger than {self._terms.frame_bytes} bytes."),
                )
                break
            self._hub.take_in(connection, wire.read(frame, size))
        return connection.failure

    async def _identify(self, context: Context) -> Identity:
        try:
            return await self._verifier.verify_metadata(context.invocation_metadata())
        except Ended as failure:
            await _abort(context, failure)

    async def _open(self, pack: Pack, context: Context) -> tuple[Connection, StreamOutlet]:
        identity = await self._identify(context)
        outlet = StreamOutlet(context, pack, self._terms.write_timeout)
        address = self._origin.address(context.peer(), context.invocation_metadata())
        try:
            connection = self._hub.open(identity, outlet, address)
        except Ended as failure:
            await _abort(context, failure)
        outlet.attach(connection, lambda failure: self._hub.close(connection, failure))
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
    """Serve the contract's calls on `server`, also to clients that send what is no message.

    The generated function has gRPC decode, which ends such a call, before
    anybody asked for its token, with an exception in the log and in its status.
    """
    handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
        "Signal": grpc.stream_stream_rpc_method_handler(
            servicer.Signal,
            _reading(pb.SignalRequest, otherwise=pb.SignalRequest(frames=[pb.Frame()])),
            pb.SignalResponse.SerializeToString,
        ),
        "Listen": grpc.unary_stream_rpc_method_handler(
            servicer.Listen,
            _reading(pb.ListenRequest, otherwise=pb.ListenRequest()),
            pb.ListenResponse.SerializeToString,
        ),
        "Send": grpc.unary_unary_rpc_method_handler(
            servicer.Send,
            _reading(pb.SendRequest, otherwise=pb.SendRequest()),
            pb.SendResponse.SerializeToString,
        ),
    }
    server.add_registered_method_handlers(SERVICE, handlers)


def _reading(kind: type[Request], *, otherwise: Request) -> Callable[[bytes], Request]:
    def read(message: bytes) -> Request:
        try:
            return kind.FromString(message)
        except DecodeError:
            return otherwise

    return read


def _signal_response(frames: list[pb.Frame]) -> pb.SignalResponse:
    return pb.SignalResponse(frames=frames)


def _listen_response(frames: list[pb.Frame]) -> pb.ListenResponse:
    return pb.ListenResponse(frames=frames)


async def _abort(context: Context, failure: Ended) -> NoReturn:
    await context.abort(status.STATUS[type(failure)], str(failure), status.trailers(failure))
