"""What a participant can ask of the hub, and who it is."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a token names: its `sub`, `email` (or empty) and `room` (or none)."""

    user_id: str
    email: str = field(default="", repr=False)
    room: str | None = None


@dataclass(frozen=True, slots=True)
class Enter:
    """Create a room, or join the one named, or with `resume_token` take a held seat again."""

    room_id: str
    resumable: bool = False
    resume_token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Leave:
    """Hang up."""

    room_id: str


@dataclass(frozen=True, slots=True)
class Relay:
    """Pass this to the peer: the frame as it came, serialized."""

    room_id: str
    payload: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """Nothing but the frame's `ack`."""


@dataclass(frozen=True, slots=True)
class Invalid:
    """Not a frame of the contract; `why` is a sentence for its sender."""

    why: str


Event = Enter | Leave | Relay | Acknowledge | Invalid


@dataclass(frozen=True, slots=True)
class Input:
    """One frame of a client's.

    Attributes:
        seq: its number; 0: none.
        ack: the highest number that the client has taken in.
        size: its bytes.
        event: what it asks for.
    """

    seq: int
    ack: int
    size: int
    event: Event
