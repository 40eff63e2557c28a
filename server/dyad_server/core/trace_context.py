"""W3C trace context: how a span is named to other processes."""

from typing import NamedTuple


class TraceContext(NamedTuple):
    """A span of a client, which the client names in the metadata of its request.

    Attributes:
        traceparent: the ids of the trace and of the span; empty: there is none.
        tracestate: what tracing systems add to that.
    """

    traceparent: str = ""
    tracestate: str = ""


UNTRACED = TraceContext()
