"""What a participant can ask for, and who it is."""

from dataclasses import dataclass, field
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Identity:
    """The user of a token: its `sub`, its `email` or an empty string, its `room` or None."""

    user_id: str
    email: str = field(default="", repr=False)
    room: str | None = None


@dataclass(frozen=True, slots=True)
class Enter:
    """Create a room, join the named one, or with `resume_token` resume a reserved seat."""

    kind: ClassVar = "join_room"
    room_id: str
    resumable: bool = False
    resume_token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Leave:
    """Hang up."""

    kind: ClassVar = "leave_room"
    room_id: str


# Made for each frame. Making a frozen one takes three times as long.
@dataclass(slots=True)
class Relay:
    """Pass this frame to the peer, serialized as it came; `kind` is one of `KINDS`."""

    KINDS: ClassVar = ("offer", "answer", "ice_candidate")

    room_id: str
    payload: bytes = field(repr=False)
    kind: str


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """Nothing: the frame has only an `ack`."""

    kind: ClassVar = "ack"


@dataclass(frozen=True, slots=True)
class Invalid:
    """A frame that the contract does not have; `sentence` tells its sender why."""

    kind: ClassVar = "invalid"
    sentence: str


Event = Enter | Leave | Relay | Acknowledge | Invalid


# Made for each frame. Making a frozen one takes three times as long.
@dataclass(slots=True)
class Input:
    """A frame of a client.

    Attributes:
        seq: its number; 0 if it has none.
        ack: the highest number that the client has received.
        size: its bytes.
        event: the request.
    """

    seq: int
    ack: int
    size: int
    event: Event
