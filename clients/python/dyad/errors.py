"""All errors of this package.

`Refused` and `TooLarge` are about one frame: the call continues. `Ended` means that the
call is over. Its class says whether to call again.
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
    """The server, or the client itself, refused a frame. The call continues.

    `create` and `join` raise it. For `send_offer`, `send_answer` and `send_candidate`,
    which wait for no answer, it is an event.

    Attributes:
        code: for the program.
        message: for the person who reads the log.
        room_id: the room in which it happened, or empty.
    """

    __match_args__ = ("code", "message", "room_id")

    def __init__(self, code: Refusal, message: str, room_id: str = "") -> None:
        super().__init__(code, message, room_id)
        self.code = code
        self.message = message
        self.room_id = room_id

    def __str__(self) -> str:
        return f"{self.code.name}: {self.message}"


class TooLarge(DyadError):  # noqa: N818 - it names what is wrong with the frame
    """A frame is larger than the server accepts, and was not sent. The call continues.

    Sending it again does not help.

    Attributes:
        size: the bytes of the frame.
        most: the most bytes that the server accepts.
    """

    __match_args__ = ("size", "most")

    def __init__(self, size: int, most: int) -> None:
        super().__init__(size, most)
        self.size = size
        self.most = most

    def __str__(self) -> str:
        return (
            f"The frame has {self.size} bytes, and the server accepts {self.most}. "
            "It was not sent, and sending it again does not help."
        )


class Ended(DyadError):  # noqa: N818 - it names what happened to the call
    """The call is over, or could not begin.

    Attributes:
        code: the gRPC status it ended with.
        message: for the person who reads the log.
        should_retry: whether to call again, with nothing else changed.
        retry_after: how many seconds the server asks to wait before that, or None.
            Add some jitter.
        final: whether the server said not to reconnect, because the same user
            has the seat on another connection.
        foreign: whether the status comes from a proxy, or from gRPC itself, and not from Dyad.
    """

    should_retry: ClassVar[bool] = False

    def __init__(
        self,
        code: grpc.StatusCode,
        message: str,
        retry_after: float | None = None,
        *,
        final: bool = False,
        foreign: bool = False,
    ) -> None:
        super().__init__(code, message, retry_after)
        self.code = code
        self.message = message
        self.retry_after = retry_after
        self.final = final
        self.foreign = foreign

    def __str__(self) -> str:
        return f"{self.code.name}: {self.message}"


class Unauthenticated(Ended):
    """The token is missing or not valid. Call again with a new one."""


class Forbidden(Ended):
    """The token is good, but for another room."""


class Overloaded(Ended):
    """The user exceeded a limit. Call again, and send less.

    The server has other limits than `connect` was told, or the user has too many
    connections, or the app left events unread.
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
    """The server is stopping or out of reach. Call again after `retry_after`."""

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


def ended(
    code: grpc.StatusCode,
    message: str,
    retry_after_ms: str | None = None,
    *,
    foreign: bool = False,
) -> Ended:
    """Return the error for a gRPC status.

    Args:
        code: the status.
        message: its details.
        retry_after_ms: the trailer of that name, if there was one; a negative
            value says not to reconnect.
        foreign: see `Ended`.
    """
    try:
        retry_after = None if retry_after_ms is None else int(retry_after_ms) / 1000
    except ValueError:
        retry_after = None
    kind = _KINDS.get(code, Ended)
    final = retry_after is not None and retry_after < 0
    return kind(code, message, None if final else retry_after, final=final, foreign=foreign)


def as_cut(end: Ended) -> Ended:
    """Return how a call with a seat ended: what Dyad did not say is a broken connection."""
    if not end.foreign or isinstance(end, Unavailable):
        return end
    cut = Unavailable(end.code, end.message, foreign=True)
    cut.__cause__ = end
    return cut
