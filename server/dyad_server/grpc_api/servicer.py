"""The contract's three methods: `Signal`, and `Listen` with `Send`, on one hub."""

import grpc
from dyad.v1 import signaling_pb2 as pb

from dyad_server.auth.verifier import Token, Verifier
from dyad_server.core.hub import Hub
from dyad_server.core.limits import Quota
from dyad_server.core.participant import Connection
from dyad_server.core.trace_context import UNTRACED
from dyad_server.errors import Ended, Overloaded, Reason
from dyad_server.grpc_api import bounds
from dyad_server.grpc_api.client_address import Origin
from dyad_server.grpc_api.inbound_messages import Inbound, Terms
from dyad_server.grpc_api.routing_key import routing_key
from dyad_server.grpc_api.rpc_stream import Handler, Methods, Stream, receive
from dyad_server.grpc_api.stream_writer import StreamOutlet, WriteScheduler
from dyad_server.grpc_api.trace_context import trace_context

SERVICE = pb.DESCRIPTOR.services_by_name["Signaling"].full_name

STREAM_ID = "dyad-stream-id"
"""The metadata that tells the client the id of its stream in the log."""


class SignalingServicer:
    """Serves the contract's three methods.

    A stream ends with the status that `status.STATUS` gives its failure. A frame that
    is refused is answered with an `error` event, and the stream goes on.
    """

    def __init__(
        self,
        hub: Hub,
        inbound: Inbound,
        verifier: Verifier,
        origin: Origin,
        terms: Terms,
        *,
        traced: bool = False,
    ) -> None:
        """Serve `hub`; `traced`: read which span of its client a stream belongs to."""
        self._hub = hub
        self._inbound = inbound
        self._verifier = verifier
        self._origin = origin
        self._terms = terms
        self._traced = traced
        self._requests = Quota(terms.requests_per_user)
        self._scheduler = WriteScheduler(terms.write_timeout, hub.clock, hub.counts)

    @property
    def methods(self) -> Methods:
        """The contract's methods."""
        return {
            f"/{SERVICE}/Signal": self._counted(self.signal),
            f"/{SERVICE}/Listen": self._counted(self.listen),
            f"/{SERVICE}/Send": self._counted(self.send),
        }

    def _counted(self, handler: Handler) -> Handler:
        """A handler whose refusals are counted."""

        async def handle(stream: Stream) -> None:
            try:
                await handler(stream)
            except Ended as failure:
                self._hub.observer.refused(failure)
                raise

        return handle

    async def signal(self, stream: Stream) -> None:
        """`Signal`: one participant on one bidirectional stream."""
        token = await self._identify(stream)
        self._open(token, "Signal", stream).keep_reading()

    async def listen(self, stream: Stream) -> None:
        """`Listen`: what `Signal` answers, for a client that sends its frames by `Send`."""
        token = await self._identify(stream)
        self._count(token.account)
        try:
            await receive(stream, bounds.FIRST_MESSAGE_SECONDS)
        finally:
            self._requests.give_back(token.account)
        self._open(token, "Listen", stream).greet()

    async def send(self, stream: Stream) -> None:
        """`Send`: what `Signal` receives, for a session that `Listen` opened."""
        # The token that opened the session stays good for it until the session ends.
        token = await self._identify(stream, stale=True)
        self._count(token.account)
        # It counts until its client has read the answer, which uses memory until then.
        stream.on_over(lambda: self._requests.give_back(token.account))
        message = await receive(stream, bounds.FIRST_MESSAGE_SECONDS)
        await self._inbound.send(token, message or b"")
        stream.reply(b"")

    def _count(self, account: str) -> None:
        """Count one more request of `account`.

        Raises:
            Overloaded: too many are under way.
        """
        if self._requests.full(account):
            sentence = "This user has too many requests under way."
            raise Overloaded(sentence, Reason.USER_REQUESTS)
        self._requests.take(account)

    async def _identify(self, stream: Stream, *, stale: bool = False) -> Token:
        return await self._verifier.verify_metadata(stream.metadata, stale=stale)

    def _open(self, token: Token, transport: str, stream: Stream) -> "_OpenStream":
        hub = self._hub
        outlet = StreamOutlet(stream, transport, self._scheduler)
        address = self._origin.address(stream.peer, stream.metadata)
        key = routing_key(stream.metadata)
        caller = trace_context(stream.metadata) if self._traced else UNTRACED
        connection = hub.open(
            token.identity, outlet, address, token.digest, routing_key=key, caller=caller
        )
        stream.lead(((STREAM_ID, connection.stream_id),))
        outlet.attach(connection, lambda failure: hub.close(connection, failure))
        opened = _OpenStream(hub, self._inbound, stream, connection, outlet)
        stream.on_over(opened.over)
        if self._terms.end_at_expiry:
            hub.end_at(connection, token.until)
        return opened


class _OpenStream:
    """A stream whose connection is open, until the stream is over."""

    __slots__ = ("_connection", "_hub", "_inbound", "_outlet", "_stream")

    def __init__(
        self,
        hub: Hub,
        inbound: Inbound,
        stream: Stream,
        connection: Connection,
        outlet: StreamOutlet,
    ) -> None:
        self._hub = hub
        self._inbound = inbound
        self._stream = stream
        self._connection = connection
        self._outlet = outlet

    def greet(self) -> None:
        """Tell the client its session id."""
        self._outlet.greet(pb.ListenResponse(session_id=self._connection.id).SerializeToString())

    def keep_reading(self) -> None:
        """Act on each message that the stream brings, until the connection is over."""
        self._stream.read(self._take)

    def over(self) -> None:
        """Release the connection."""
        # gRPC cannot drop what it has accepted to write. It stays in memory until the
        # client reads it or disconnects, and counts for that client until now.
        self._outlet.stop()
        self._hub.close(self._connection)
        self._hub.release(self._connection)

    def _take(self, message: bytes | None) -> None:
        if message is not None:
            self._inbound.signal(self._connection, message)
            if self._hub.hears(self._connection):
                self._stream.read(self._take)
                return
        # The client sends nothing more, but may still read what waits for it.
        self._outlet.finish(self._part)

    def _part(self) -> None:
        self._hub.close(self._connection)
        self._outlet.finish(self._end)

    def _end(self) -> None:
        self._stream.end(grpc.StatusCode.OK)
