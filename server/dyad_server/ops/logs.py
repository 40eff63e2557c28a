"""Log lines for operators: per session, never per frame, without personal data."""

import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime

from dyad_server.core.events import Member
from dyad_server.core.participant import Connection, Participant
from dyad_server.errors import Ended, Reason
from dyad_server.log_line import Line
from dyad_server.ops.pseudonyms import Pseudonyms

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


class JsonFormatter(logging.Formatter):
    """One JSON object for each line, in UTC, with the fields of a `Line` as keys."""

    def format(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter`."""
        line = record.msg if isinstance(record.msg, Line) else Line(record.getMessage())
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        shown = {
            "time": time.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": line.event,
            **line.fields,
        }
        if record.exc_info:
            shown["exception"] = self.formatException(record.exc_info)
        return json.dumps(shown, default=str)


_FORMATTERS: dict[str, Callable[[], logging.Formatter]] = {
    "text": lambda: logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"),
    "json": JsonFormatter,
}


def configure(level: str, shape: str) -> None:
    """Write log lines of `level` and above to standard error, as `text` or `json`."""
    handler = logging.StreamHandler()
    handler.setFormatter(_FORMATTERS[shape]())
    logging.basicConfig(level=level.upper(), handlers=[handler])


def set_level(level: str) -> None:
    """Write log lines of `level` and above from now on, and a line that says so."""
    root, wanted = logging.getLogger(), logging.getLevelNamesMapping()[level.upper()]
    root.setLevel(min(root.level, wanted))
    log.info(Line("log level changed", level=level))
    root.setLevel(wanted)


class LogObserver:
    """A `ports.Observer` that logs: one line for each stream that ends."""

    def __init__(self, status_of: Callable[[Ended], str], pseudonyms: Pseudonyms) -> None:
        """Log failures with their status, and users and rooms by their pseudonyms."""
        self._status_of = status_of
        self._hashed = pseudonyms.of

    def stream_opened(self, connection: Connection) -> None:
        """See `ports.Observer`."""
        if not log.isEnabledFor(logging.DEBUG):
            return
        user = self._hashed(connection.participant.identity.user_id)
        stream, transport = connection.stream_id, connection.transport
        log.debug(Line("stream opened", stream=stream, transport=transport, user=user))

    def stream_ended(self, connection: Connection, reason: Reason, seconds: float) -> None:
        """See `ports.Observer`."""
        if not log.isEnabledFor(logging.INFO):
            return
        participant, failure = connection.participant, connection.failure
        log.info(
            Line(
                "stream ended",
                stream=connection.stream_id,
                transport=connection.transport,
                status="none" if failure is None else self._status_of(failure),
                reason=str(reason),
                seconds=round(seconds, 1),
                frames_in=connection.frames_in,
                frames_out=connection.frames_out,
                resumed=connection.resumed,
                user=self._hashed(participant.identity.user_id),
                room=self._hashed(participant.last_room_id),
            )
        )

    def refused(self, failure: Ended) -> None:
        """See `ports.Observer`: anybody can cause these lines, so they are not for every day."""
        status = self._status_of(failure)
        log.debug(Line("refused", status=status, reason=str(failure.reason)))

    def joined(self, participant: Participant, outcome: str, peer: Member | None = None) -> None:
        """See `ports.Observer`."""
        log.debug(Line("join answered", outcome=outcome.replace(" ", "_")))

    def met(self, participant: Participant, seconds: float, peer: Member) -> None:
        """See `ports.Observer`."""
        log.debug(Line("second participant joined", seconds=round(seconds, 1)))

    def reserved(self) -> None:
        """See `ports.Observer`."""
        log.debug("seat reserved")

    def resumed(self, participant: Participant) -> None:
        """See `ports.Observer`."""
        log.debug("seat resumed")

    def expired(self) -> None:
        """See `ports.Observer`."""
        log.debug("reserved seat expired")

    def resume_refused(self, participant: Participant, failure: Ended) -> None:
        """See `ports.Observer`."""
        log.debug(Line("resume refused", reason=str(failure.reason)))

    def handed_off(self, *, kept: bool) -> None:
        """See `ports.Observer`."""
        log.debug("seat handed off" if kept else "seat lost")
