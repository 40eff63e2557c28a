"""All errors of this package.

`Refused` means that the server refused one frame: the call continues. `Ended` means
that the connection is over. Its class says whether to connect again.
"""

import enum
from typing import ClassVar, Final

import grpc


class DyadError(Exception):
    """The base of all errors of this package."""


class Refusal(enum.IntEnum):
    """Why a frame was refused; the numbers are the contract's."""

    UNSPECIFIED = 0
    INVALID_FRAME = 1
    ROOM_NOT_FOUND = 2
    ROOM_FULL = 3
    NOT_IN_ROOM = 4
    PEER_ABSENT = 5

    @classmethod
    def _missing_(cls, _value: object) -> "Refusal":
        """Read a value that only a newer server knows as UNSPECIFIED."""
        return cls.UNSPECIFIED


class Refused(DyadError):  # noqa: N818 - it names what happened to the frame
    """The server refused a frame, which had no effect. The call continues.

    `create`, `join` and `leave` raise it. For `send_offer`, `send_answer` and
    `send_candidate`, which wait for no answer, it is an event.

    Attributes:
        code: for the program.
        message: for the person who reads the log.
    """

    __match_args__ = ("code", "message")

    def __init__(self, code: Refusal, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return f"{self.code.name}: {self.message}"


class Ended(DyadError):  # noqa: N818 - it names what happened to the connection
    """The connection is over.

    Attributes:
        code: the gRPC status it ended with.
        message: for the person who reads the log.
        should_retry: whether to connect again, with nothing else changed.
        retry_after: how many seconds the server asks to wait before that, or None.
            Add some jitter.
        final: whether the server said not to reconnect, because the same user
            has the seat on another connection.
    """

    should_retry: ClassVar[bool] = False

    def __init__(
        self,
        code: grpc.StatusCode,
        message: str,
        retry_after: float | None = None,
        *,
        final: bool = False,
    ) -> None:
        super().__init__(code, message, retry_after)
        self.code = code
        self.message = message
        self.retry_after = retry_after
        self.final = final

    def __str__(self) -> str:
        return f"{self.code.name}: {self.message}"


class Unauthenticated(Ended):
    """The token is missing or not valid. Connect again with a new one."""


class Forbidden(Ended):
    """The token is good, but for another room."""


class Overloaded(Ended):
    """The client exceeded a limit. Connect again, and send less.

    It sent a frame that is too large or too many frames, or left events unread.
    """

    should_retry = True


class TimedOut(Ended):
    """No room was entered in time, or no peer joined in time."""


class TakenOver(Ended):
    """The seat was taken over, or client and server are out of sync.

    With `final`, another connection of the same user took the seat: another tab or
    another device. Tell the user, and join again only if they ask for it.
    """


class Unavailable(Ended):
    """The server is stopping or out of reach. Connect again after `retry_after`."""

    should_retry = True


_KINDS: Final[dict[grpc.StatusCode, type[Ended]]] = {
    grpc.StatusCode.UNAUTHENTICATED: Unauthenticated,
    grpc.StatusCode.PERMISSION_DENIED: Forbidden,
    grpc.StatusCode.RESOURCE_EXHAUSTED: Overloaded,
    grpc.StatusCode.DEADLINE_EXCEEDED: TimedOut,
    grpc.StatusCode.ABORTED: TakenOver,
    grpc.StatusCode.UNAVAILABLE: Unavailable,
    # Networks and proxies that drop a connection cause these.
    grpc.StatusCode.CANCELLED: Unavailable,
    grpc.StatusCode.INTERNAL: Unavailable,
    grpc.StatusCode.UNKNOWN: Unavailable,
}


def ended(code: grpc.StatusCode, message: str, retry_after_ms: str | None = None) -> Ended:
    """Return the error for a gRPC status.

    Args:
        code: the status.
        message: its details.
        retry_after_ms: the trailer of that name, if there was one; a negative
            value says not to reconnect.
    """
    try:
        retry_after = None if retry_after_ms is None else int(retry_after_ms) / 1000
    except ValueError:
        retry_after = None
    kind = _KINDS.get(code, Ended)
    if retry_after is not None and retry_after < 0:
        return kind(code, message, final=True)
    return kind(code, message, retry_after)
