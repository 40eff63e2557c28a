"""Everything that can go wrong, as one small tree.

`Refused` means that the server refused one frame; the call goes on. `Ended`
means that the connection is over, and its class says whether to connect again.
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
    """The server refused a frame, which had no effect. The call goes on.

    Raised where an answer is awaited (`create`, `join`, `leave`); an event
    where none is (`send_offer`, `send_answer`, `send_candidate`).

    Attributes:
        code: for the program.
        message: for the person reading its log.
    """

    __match_args__ = ("code", "message")

    def __init__(self, code: Refusal, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return f"{self.code.name}: {self.message}"


class Ended(DyadError):  # noqa: N818 - it names what happened to the call
    """The connection is over.

    Attributes:
        code: the gRPC status it ended with.
        message: for the person reading the log.
        should_retry: whether to connect again without any change.
        retry_after: how many seconds to wait before that, if the server said
            so. Add some jitter.
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
    """A limit was exceeded: too large, too fast, or not read. Slow down, then reconnect."""

    should_retry = True


class TimedOut(Ended):
    """No room was entered in time, or no peer joined in time."""


class TakenOver(Ended):
    """The seat was taken over, or the two ends can no longer be kept in step.

    With `final`, the same user took the seat on another connection: another
    tab or another device. Tell the person, and join again only if they ask to.
    """


class Unavailable(Ended):
    """The server is going away or out of reach. Reconnect after `retry_after`."""

    should_retry = True


_KINDS: Final[dict[grpc.StatusCode, type[Ended]]] = {
    grpc.StatusCode.UNAUTHENTICATED: Unauthenticated,
    grpc.StatusCode.PERMISSION_DENIED: Forbidden,
    grpc.StatusCode.RESOURCE_EXHAUSTED: Overloaded,
    grpc.StatusCode.DEADLINE_EXCEEDED: TimedOut,
    grpc.StatusCode.ABORTED: TakenOver,
    grpc.StatusCode.UNAVAILABLE: Unavailable,
    # What a network or a proxy makes of a connection that it drops.
    grpc.StatusCode.CANCELLED: Unavailable,
    grpc.StatusCode.INTERNAL: Unavailable,
    grpc.StatusCode.UNKNOWN: Unavailable,
}


def ended(code: grpc.StatusCode, message: str, retry_after_ms: str | None = None) -> Ended:
    """The error for a gRPC status.

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
