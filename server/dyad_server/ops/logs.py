"""Log lines for operators: per session, never per frame, without personal data."""

import logging

from dyad_server.core.events import Output
from dyad_server.errors import Ended

log = logging.getLogger("dyad")


# Messages of gRPC that any client can cause.
_NOT_FOR_OPERATORS = (
    # A header that is not UTF-8, in full: it may be a token.
    "Invalid encoding on",
    # A traceback, for a client that leaves while it is answered.
    "ExecuteBatchError raised in core",
)


def _is_for_operators(record: logging.LogRecord) -> bool:
    return not str(record.msg).startswith(_NOT_FOR_OPERATORS)


logging.getLogger("grpc._cython.cygrpc").addFilter(_is_for_operators)


def configure(level: str) -> None:
    """Write log lines of `level` and above to standard error."""
    logging.basicConfig(
        level=level.upper(), format="%(asctime)s %(levelname)s %(name)s %(message)s"
    )


class LogObserver:
    """A `ports.Observer` that logs."""

    def opened(self, participants: int) -> None:
        """See `ports.Observer`."""
        log.debug("session opened participants=%d", participants)

    def closed(self, participants: int, failure: Ended | None) -> None:
        """See `ports.Observer`."""
        reason = type(failure).__name__ if failure else "closed"
        log.debug("session ended reason=%s participants=%d", reason, participants)

    def reserved(self) -> None:
        """See `ports.Observer`."""
        log.debug("seat reserved")

    def resumed(self) -> None:
        """See `ports.Observer`."""
        log.debug("seat resumed")

    def handed_off(self, *, kept: bool) -> None:
        """See `ports.Observer`."""
        log.debug("seat handed off" if kept else "seat lost")

    def delivered(self, output: Output) -> None:
        """See `ports.Observer`."""
