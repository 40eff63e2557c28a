"""The span of a client in the metadata of its request: W3C trace context."""

from dyad_server.core.trace_context import UNTRACED, TraceContext
from dyad_server.grpc_api import bounds
from dyad_server.grpc_api.rpc_stream import Metadata, only_value

PARENT, STATE = "traceparent", "tracestate"


def trace_context(metadata: Metadata) -> TraceContext:
    """The span that a request names; none unless there is exactly one `traceparent`.

    Whether it is well-formed is for the tracing to say. Its `tracestate` is left out if it
    is too long.
    """
    parent = only_value(metadata, PARENT)
    if not parent:
        return UNTRACED
    state = ",".join(value for name, value in metadata if name == STATE and isinstance(value, str))
    return TraceContext(parent, state if len(state) <= bounds.TRACE_STATE_CHARACTERS else "")
