"""A collector of traces: receives OTLP over HTTP, and keeps the spans."""

import asyncio
import gzip
import os
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.support.http_server import answering
from tests.support.until import PATIENCE, until


def value(attribute: AnyValue) -> object:
    """What an attribute says."""
    kind = attribute.WhichOneof("value")
    return None if kind is None else getattr(attribute, kind)


def attributes(span: Span | Span.Event) -> dict[str, object]:
    """What a span, or an event of it, says."""
    return {each.key: value(each.value) for each in span.attributes}


class Collector:
    """What it has received.

    Attributes:
        address: its endpoint.
        spans: all spans.
        resources: the attributes of each resource that has sent spans.
        received: the requests as they came.
    """

    def __init__(self) -> None:
        self.address = ""
        self.spans: list[Span] = []
        self.resources: list[dict[str, object]] = []
        self.received = b""

    @property
    def environment(self) -> dict[str, str]:
        """The environment of a program that exports to it, soon after each span."""
        return {
            **os.environ,
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{self.address}",
            "OTEL_BSP_SCHEDULE_DELAY": "50",
        }

    def take(self, body: bytes) -> None:
        """Take an export."""
        self.received += body
        for each in ExportTraceServiceRequest.FromString(body).resource_spans:
            self.resources.append({a.key: value(a.value) for a in each.resource.attributes})
            self.spans += [span for scope in each.scope_spans for span in scope.spans]

    def named(self, name: str, **said: object) -> list[Span]:
        """The spans of this name that say this, where `_` stands for a dot."""
        wanted = {f"dyad.{key}": each for key, each in said.items()}
        return [span for span in self.spans if span.name == name and wanted.items() <= _said(span)]

    async def gets(self, name: str, number: int = 1, **said: object) -> list[Span]:
        """Wait for so many spans of this name that say this."""
        async with asyncio.timeout(PATIENCE):
            await until(lambda: len(self.named(name, **said)) >= number)
        return self.named(name, **said)


def _said(span: Span) -> "set[tuple[str, object]]":
    return set(attributes(span).items())


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector while the context lasts."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            assert self.path == "/v1/traces"
            collector.take(body)
            answer = ExportTraceServiceResponse().SerializeToString()
            self.send_response(200)
            self.send_header("content-type", "application/x-protobuf")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
            """Log nothing."""

    with answering(Handler) as address:
        collector.address = address
        yield collector
