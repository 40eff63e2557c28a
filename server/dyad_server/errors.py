"""All of Dyad's exceptions, as one small tree.

A subclass of `Ended` ends a stream or a request; `grpc_api.status` maps it to a gRPC
status. A refused frame does not end its stream, so it is an event, not an exception.
"""

from dyad_server import bounds


class DyadError(Exception):
    """The base of all. Its text is one sentence without personal data."""


class ConfigError(DyadError):
    """The server cannot start with this configuration.

    Attributes:
        sentences: what is wrong, one sentence or more for each finding.
    """

    def __init__(self, *sentences: str) -> None:
        super().__init__(" ".join(sentences))
        self.sentences = sentences


class Ended(DyadError):  # noqa: N818 - it names what happened to the stream
    """A stream or a request has ended. The subclass says whether to reconnect."""


class Unauthenticated(Ended):
    """There is no token, or it is not good. Reconnect with a new token."""


class Forbidden(Ended):
    """The token is good, but for another room."""


class SessionNotFound(Ended):
    """The session does not exist, or is another user's: the same answer for both."""


class Overloaded(Ended):
    """A limit was exceeded: too large, too fast, too many, or not read."""


class OutOfTime(Ended):
    """A time limit was exceeded."""


class SeatLost(Ended):
    """The seat is lost: the client must join again. Reconnecting does not give it back."""


class Replaced(SeatLost):
    """Another connection of the same user has the seat. Do not reconnect."""


class Unavailable(Ended):
    """The session may go on, but not on this connection or not now. Reconnect later.

    Attributes:
        within: seconds over which clients are told to spread their reconnects.
    """

    def __init__(self, sentence: str, within: float = bounds.SPREAD_SECONDS) -> None:
        super().__init__(sentence)
        self.within = within


class Draining(Unavailable):
    """This server is stopping; another one, or this one after its restart, can continue."""
