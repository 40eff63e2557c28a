"""Traces for OpenTelemetry: spans for streams, joins and resumes. Needs the extra `otel`."""

import asyncio
import contextlib
import hashlib
import logging
import threading
from collections.abc import Callable, Sequence

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, Span, SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AttributeValue

from dyad_server.core.clock import Clock
from dyad_server.core.connection_ids import node_of
from dyad_server.core.events import Member
from dyad_server.core.participant import Connection, Participant
from dyad_server.errors import Ended, Reason
from dyad_server.ops import bounds
from dyad_server.ops.pseudonyms import Pseudonyms

log = logging.getLogger("dyad.traces")

SERVICE = "dyad.v1.Signaling"
# As OpenTelemetry's conventions say for the server's side of a gRPC call.
_ERRORS = {
    "UNKNOWN",
    "DEADLINE_EXCEEDED",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
}
_W3C = TraceContextTextMapPropagator()


class _Rarely(logging.Filter):
    """Lets a line pass now and then: a dead collector would write several for each batch."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock
        self._next = clock.monotonic()

    def filter(self, record: logging.LogRecord) -> bool:
        """See `logging.Filter`."""
        now = self._clock.monotonic()
        if now < self._next:
            return False
        self._next = now + bounds.EXPORT_LINE_SECONDS
        return True


class TraceExport:
    """Sends spans to a collector, from a thread of its own. The variables `OTEL_…` say where.

    What waits is bounded (`OTEL_BSP_MAX_QUEUE_SIZE`); further spans are dropped.

    Attributes:
        tracer: makes the spans.
    """

    def __init__(self, version: str, clock: Clock) -> None:
        """Read the variables.

        Raises:
            ValueError: one of them is unfit.
        """
        own = Resource({"service.name": "dyad", "service.version": version})
        resource = own.merge(OTELResourceDetector().detect())
        # `stop` bounds how long the last export may take; the SDK's own hook would not.
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self.tracer = self._provider.get_tracer("dyad", version)
        self._exporter = OTLPSpanExporter()
        self._rarely = _Rarely(clock)

    def start(self) -> None:
        """Start the thread."""
        logging.getLogger(OTLPSpanExporter.__module__).addFilter(self._rarely)
        self._provider.add_span_processor(BatchSpanProcessor(self._exporter))

    async def stop(self) -> None:
        """Export what is left, for a moment."""
        loop = asyncio.get_running_loop()
        flushed = asyncio.Event()

        def flush() -> None:
            self._provider.shutdown()
            logging.getLogger(OTLPSpanExporter.__module__).removeFilter(self._rarely)
            # Nobody waits for it any more, if that took too long.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(flushed.set)

        threading.Thread(target=flush, name="dyad-traces", daemon=True).start()
        try:
            async with asyncio.timeout(bounds.EXPORT_STOP_SECONDS):
                await flushed.wait()
        except TimeoutError:
            log.warning("the collector did not take the last spans in time")
            self._exporter.shutdown()  # type: ignore[no-untyped-call]


class TraceObserver:
    """A `ports.Observer` that makes spans; none for a frame.

    A stream's span lasts as long as the stream. Joins and resumes are its children. The
    spans of two participants are linked to each other, also where those are on two nodes.
    """

    def __init__(
        self,
        tracer: trace.Tracer,
        status_of: Callable[[Ended], str],
        pseudonyms: Pseudonyms,
        clock: Clock,
        remote_peer: Callable[[Participant], str],
    ) -> None:
        """Name statuses, users and rooms as the log does; `remote_peer` as in `Hub`."""
        self._tracer = tracer
        self._remote_peer = remote_peer
        self._status_of = status_of
        self._pseudonyms = pseudonyms
        self._clock = clock
        # Of the streams that are open, by the id of the connection.
        self._spans: dict[str, Span] = {}

    def stream_opened(self, connection: Connection) -> None:
        """See `ports.Observer`."""
        attributes: dict[str, AttributeValue] = {
            "rpc.system": "grpc",
            "rpc.service": SERVICE,
            "rpc.method": connection.transport,
            "dyad.stream": connection.stream_id,
        }
        if node := node_of(connection.id):
            attributes["dyad.node"] = node
        self._spans[connection.id] = span = self._tracer.start_span(
            f"{SERVICE}/{connection.transport}",
            _context(*connection.caller),
            SpanKind.SERVER,
            attributes,
        )
        self._name(span, "dyad.user", connection.participant.identity.user_id)
        carrier: dict[str, str] = {}
        _W3C.inject(carrier, trace.set_span_in_context(span, Context()))
        connection.trace_as(carrier.get("traceparent", ""))

    def stream_ended(self, connection: Connection, reason: Reason, seconds: float) -> None:
        """See `ports.Observer`."""
        span = self._spans.pop(connection.id)
        failure = connection.failure
        status = "none" if failure is None else self._status_of(failure)
        span.set_attributes(
            {
                "dyad.status": status,
                "dyad.reason": str(reason),
                "dyad.frames_in": connection.frames_in,
                "dyad.frames_out": connection.frames_out,
                "dyad.resumed": connection.resumed,
            }
        )
        self._name(span, "dyad.room", connection.participant.last_room_id)
        if status in _ERRORS or reason is Reason.LOST:
            span.set_status(StatusCode.ERROR, str(reason))
        span.end()

    def refused(self, failure: Ended) -> None:
        """See `ports.Observer`: no span, since anybody can cause refusals."""

    def joined(self, participant: Participant, outcome: str, peer: Member | None = None) -> None:
        """See `ports.Observer`."""
        outcome = outcome.replace(" ", "_")
        connection, asked_at = participant.connection, participant.seat_asked_at
        links = [] if peer is None else _links(peer.traceparent)
        self._step("join_room", participant, connection, asked_at, outcome, links=links, peer=peer)

    def met(self, participant: Participant, seconds: float, peer: Member) -> None:
        """See `ports.Observer`."""
        connection = participant.connection
        if connection is not None:
            attributes: dict[str, AttributeValue] = {
                "dyad.peer": _hashed(peer),
                "dyad.waited_seconds": round(seconds, 3),
                **self._where(participant),
            }
            span = self._spans[connection.id]
            span.add_event("peer joined", attributes)
            for link in _links(peer.traceparent):
                span.add_link(link.context)

    def reserved(self) -> None:
        """See `ports.Observer`: the span of the stream that broke has ended by now."""

    def resumed(self, participant: Participant) -> None:
        """See `ports.Observer`."""
        connection = participant.connection
        if connection is not None:
            links = _links(connection.continues)
            self._step(
                "resume", participant, connection, connection.opened_at, "resumed", links=links
            )

    def expired(self) -> None:
        """See `ports.Observer`: the span of the stream that broke has ended by now."""

    def resume_refused(self, participant: Participant, failure: Ended) -> None:
        """See `ports.Observer`."""
        connection = participant.connection
        if connection is not None:
            outcome = str(failure.reason)
            self._step("resume", participant, connection, connection.opened_at, outcome)

    def handed_off(self, *, kept: bool) -> None:
        """See `ports.Observer`: the drain has ended the span of the stream."""

    def _step(
        self,
        name: str,
        participant: Participant,
        connection: Connection | None,
        began_at: float,
        outcome: str,
        *,
        links: Sequence[Link] = (),
        peer: Member | None = None,
    ) -> None:
        """A step of a stream, which began at a time of the monotonic clock and is over."""
        if connection is None:
            return
        began = self._clock.unix_time() - (self._clock.monotonic() - began_at)
        parent = trace.set_span_in_context(self._spans[connection.id], Context())
        span = self._tracer.start_span(name, parent, links=links, start_time=round(began * 1e9))
        span.set_attribute("dyad.outcome", outcome)
        span.set_attribute("dyad.member", _hashed(participant.member))
        span.set_attributes(self._where(participant))
        if peer is not None:
            span.set_attribute("dyad.peer", _hashed(peer))
        self._name(span, "dyad.room", participant.last_room_id)
        span.end()

    def _where(self, participant: Participant) -> dict[str, AttributeValue]:
        """Where its peer is, if that is another node: then each frame crosses nodes."""
        node = self._remote_peer(participant)
        return {"dyad.peer_node": node} if node else {}

    def _name(self, span: Span, attribute: str, text: str) -> None:
        if pseudonym := self._pseudonyms.of(text):
            span.set_attribute(attribute, pseudonym)


def _context(traceparent: str, tracestate: str = "") -> Context:
    carrier = {"traceparent": traceparent, "tracestate": tracestate}
    return _W3C.extract(carrier, Context())


def _links(traceparent: str) -> list[Link]:
    """A link to the span of that name, if there is one."""
    span = trace.get_current_span(_context(traceparent)).get_span_context()
    return [Link(span)] if span.is_valid else []


def _hashed(member: Member) -> str:
    """A member by the same name on all nodes: its id is random, so this needs no key."""
    size = bounds.MEMBER_HASH_BYTES
    return hashlib.blake2b(member.id.encode(), digest_size=size).hexdigest()
