"""All of Dyad's exceptions, as one small tree.

A subclass of `Ended` ends a stream or a request; `grpc_api.status` maps it to a gRPC
status. A refused frame does not end its stream, so it is an event, not an exception.
"""

import sys
from enum import StrEnum

from dyad_server import bounds


class Reason(StrEnum):
    """Why a stream or a request ended, as metrics and logs name it."""

    # The token.
    TOKEN_MISSING = "token_missing"  # noqa: S105 - not a password
    TOKEN_MALFORMED = "token_malformed"  # noqa: S105 - the same
    TOKEN_TOO_LONG = "token_too_long"  # noqa: S105 - the same
    TOKEN_KEY = "token_key"  # noqa: S105 - the same
    TOKEN_SIGNATURE = "token_signature"  # noqa: S105 - the same
    TOKEN_CLAIM = "token_claim"  # noqa: S105 - the same
    TOKEN_ISSUER = "token_issuer"  # noqa: S105 - the same
    TOKEN_AUDIENCE = "token_audience"  # noqa: S105 - the same
    TOKEN_EARLY = "token_early"  # noqa: S105 - the same
    TOKEN_EXPIRED = "token_expired"  # noqa: S105 - the same
    TOKEN_ROOM = "token_room"  # noqa: S105 - the same
    # Limits.
    RATE = "rate"
    FRAME_TOO_LARGE = "frame_too_large"
    NOT_READ = "not_read"
    TOO_MUCH_WAITING = "too_much_waiting"
    OPENED_TOO_FAST = "opened_too_fast"
    SERVER_FULL = "server_full"
    USER_STREAMS = "user_streams"
    USER_REQUESTS = "user_requests"
    ADDRESS_STREAMS = "address_streams"
    OPEN_REQUESTS = "open_requests"
    # Time.
    NO_JOIN = "no_join"
    NO_PEER = "no_peer"
    NO_MESSAGE = "no_message"
    LEASE = "lease"
    # Seats.
    NO_SESSION = "no_session"
    SEAT_GONE = "seat_gone"
    FRAMES_GONE = "frames_gone"
    OUT_OF_SYNC = "out_of_sync"
    REPLACED = "replaced"
    RESUMED = "resumed"
    # The server.
    KEYS_AWAY = "keys_away"
    ENGINE_AWAY = "engine_away"
    NODE_AWAY = "node_away"
    TOO_MANY_RECONNECTS = "too_many_reconnects"
    DRAINING = "draining"
    # Without a failure: its client ended the stream.
    CLOSED = "closed"
    LOST = "lost"


class DyadError(Exception):
    """The base of all. Its text is one sentence without personal data."""


def the_extra(name: str) -> str:
    """Name an extra of this distribution, and how to add it where the server is installed."""
    return f"the extra `{name}`: `{sys.executable} -m pip install 'dyad-signaling-server[{name}]'`"


class ConfigError(DyadError):
    """The server cannot start with this configuration.

    Attributes:
        sentences: what is wrong, one sentence or more for each finding.
    """

    def __init__(self, *sentences: str) -> None:
        super().__init__(" ".join(sentences))
        self.sentences = sentences


class Ended(DyadError):  # noqa: N818 - it names what happened to the stream
    """A stream or a request has ended. The subclass says whether to reconnect.

    Attributes:
        reason: for metrics and logs; each class has a usual one.
    """

    reason: Reason

    def __init__(self, sentence: str, reason: Reason | None = None) -> None:
        super().__init__(sentence)
        self.reason = reason or self.reason


class Unauthenticated(Ended):
    """There is no token, or it is not good. Reconnect with a new token."""

    reason = Reason.TOKEN_MALFORMED


class Forbidden(Ended):
    """The token is good, but for another room."""

    reason = Reason.TOKEN_ROOM


class SessionNotFound(Ended):
    """The session does not exist, or is another user's: the same answer for both."""

    reason = Reason.NO_SESSION


class Overloaded(Ended):
    """A limit was exceeded: too large, too fast, too many, or not read."""

    reason = Reason.RATE


class OutOfTime(Ended):
    """A time limit was exceeded."""

    reason = Reason.NO_MESSAGE


class SeatLost(Ended):
    """The seat is lost: the client must join again. Reconnecting does not give it back."""

    reason = Reason.SEAT_GONE


class Replaced(SeatLost):
    """Another connection of the same user has the seat. Do not reconnect."""

    reason = Reason.REPLACED


class Unavailable(Ended):
    """The session may go on, but not on this connection or not now. Reconnect later.

    Attributes:
        within: seconds over which clients are told to spread their reconnects.
    """

    reason = Reason.ENGINE_AWAY

    def __init__(
        self,
        sentence: str,
        reason: Reason | None = None,
        *,
        within: float = bounds.SPREAD_SECONDS,
    ) -> None:
        super().__init__(sentence, reason)
        self.within = within


class Draining(Unavailable):
    """This server is stopping; another one, or this one after its restart, can continue."""

    reason = Reason.DRAINING
