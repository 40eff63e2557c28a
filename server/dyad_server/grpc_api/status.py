"""The table of exceptions and gRPC statuses (https://grpc.io/docs/guides/status-codes/)."""

import random

import grpc

from dyad_server.errors import (
    Draining,
    Ended,
    Forbidden,
    OutOfTime,
    Overloaded,
    Replaced,
    SeatLost,
    SessionNotFound,
    Unauthenticated,
    Unavailable,
)
from dyad_server.grpc_api import bounds

STATUS: dict[type[Ended], grpc.StatusCode] = {
    Unauthenticated: grpc.StatusCode.UNAUTHENTICATED,
    Forbidden: grpc.StatusCode.PERMISSION_DENIED,
    SessionNotFound: grpc.StatusCode.NOT_FOUND,
    Overloaded: grpc.StatusCode.RESOURCE_EXHAUSTED,
    OutOfTime: grpc.StatusCode.DEADLINE_EXCEEDED,
    SeatLost: grpc.StatusCode.ABORTED,
    Replaced: grpc.StatusCode.ABORTED,
    Unavailable: grpc.StatusCode.UNAVAILABLE,
    Draining: grpc.StatusCode.UNAVAILABLE,
}

_NEVER = "-1"


def trailers(failure: Ended) -> tuple[tuple[str, str], ...]:
    """The trailing metadata of a status.

    `dyad-status` repeats the status as a number. It tells a client that this server sent
    the status, and not a proxy on the way. `retry-after-ms` says when to reconnect, if that
    is known; negative means never.
    """
    mark = ("dyad-status", str(STATUS[type(failure)].value[0]))
    if isinstance(failure, Replaced):
        return (mark, ("retry-after-ms", _NEVER))
    if isinstance(failure, Unavailable):
        # Spreads the reconnects of clients that are all ended at once.
        longest = max(bounds.RETRY_AFTER_MS, int(failure.within * 1000))
        wait = random.randint(bounds.RETRY_AFTER_MS, longest)  # noqa: S311 - need not be secret
        return (mark, ("retry-after-ms", str(wait)))
    return (mark,)
