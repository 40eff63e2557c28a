"""Log lines for operators: per session, never per frame, without personal data."""

import hashlib
import logging
import secrets
from collections.abc import Callable

from dyad_server.core.participant import Connection
from dyad_server.errors import Ended, Reason
from dyad_server.ops import bounds

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
    """A `ports.Observer` that logs: one line for each stream that ends.

    Users and rooms are hashed, with a key that only this process has. So lines about the
    same user can be found, and nobody can be recognized.
    """

    def __init__(self, status_of: Callable[[Ended], str]) -> None:
        """Log failures with their status."""
        self._status_of = status_of
        self._key = secrets.token_bytes(bounds.LOG_KEY_BYTES)

    def stream_opened(self, connection: Connection) -> None:
        """See `ports.Observer`."""
        user = self._hashed(connection.participant.identity.user_id)
        log.debug("stream opened transport=%s user=%s", connection.transport, user)

    def stream_ended(self, connection: Connection, reason: Reason, seconds: float) -> None:
        """See `ports.Observer`."""
        if not log.isEnabledFor(logging.INFO):
            return
        participant, failure = connection.participant, connection.failure
        log.info(
            "stream ended transport=%s status=%s reason=%s seconds=%.1f frames_in=%d "
            "frames_out=%d resumed=%s user=%s room=%s",
            connection.transport,
            "none" if failure is None else self._status_of(failure),
            reason,
            seconds,
            connection.frames_in,
            connection.frames_out,
            "yes" if connection.resumed else "no",
            self._hashed(participant.identity.user_id),
            self._hashed(participant.last_room_id),
        )

    def refused(self, failure: Ended) -> None:
        """See `ports.Observer`: anybody can cause these lines, so they are not for every day."""
        log.debug("refused status=%s reason=%s", self._status_of(failure), failure.reason)

    def joined(self, outcome: str) -> None:
        """See `ports.Observer`."""
        log.debug("join answered outcome=%s", outcome.replace(" ", "_"))

    def met(self, seconds: float) -> None:
        """See `ports.Observer`."""
        log.debug("second participant joined seconds=%.1f", seconds)

    def reserved(self) -> None:
        """See `ports.Observer`."""
        log.debug("seat reserved")

    def resumed(self) -> None:
        """See `ports.Observer`."""
        log.debug("seat resumed")

    def expired(self) -> None:
        """See `ports.Observer`."""
        log.debug("reserved seat expired")

    def resume_refused(self, failure: Ended) -> None:
        """See `ports.Observer`."""
        log.debug("resume refused reason=%s", failure.reason)

    def handed_off(self, *, kept: bool) -> None:
        """See `ports.Observer`."""
        log.debug("seat handed off" if kept else "seat lost")

    def _hashed(self, text: str) -> str:
        if not text:
            return "-"
        size = bounds.LOG_HASH_BYTES
        return hashlib.blake2b(text.encode(), digest_size=size, key=self._key).hexdigest()
