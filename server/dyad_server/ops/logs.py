"""Log lines for whoever runs the server: one a session, none a frame, nothing personal."""

import logging

from dyad_server.core.events import Output
from dyad_server.errors import Ended

log = logging.getLogger("dyad")


def _quotes_no_header(record: logging.LogRecord) -> bool:
    return not str(record.msg).startswith("Invalid encoding on")


# gRPC logs a header that is no UTF-8, whole, and it may be a token.
logging.getLogger("grpc._cython.cygrpc").addFilter(_quotes_no_header)


def configure(level: str) -> None:
    """Write lines of `level` and above to standard error."""
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
        why = type(failure).__name__ if failure else "closed"
        log.debug("session ended why=%s participants=%d", why, participants)

    def reserved(self) -> None:
        """See `ports.Observer`."""
        log.debug("seat held")

    def resumed(self) -> None:
        """See `ports.Observer`."""
        log.debug("seat resumed")

    def handed_off(self, *, kept: bool) -> None:
        """See `ports.Observer`."""
        log.debug("seat handed over" if kept else "seat lost")

    def delivered(self, output: Output) -> None:
        """See `ports.Observer`."""
