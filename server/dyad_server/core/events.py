"""What a member is told, and why a request was refused."""

from dataclasses import dataclass, field
from enum import Enum


class Refusal(Enum):
    """Why a request was refused; the contract's `Error.Code`."""

    INVALID_FRAME = "invalid frame"
    ROOM_NOT_FOUND = "room not found"
    ROOM_FULL = "room full"
    NOT_IN_ROOM = "not in room"
    PEER_ABSENT = "peer absent"


class Departure(Enum):
    """Why a member left; the contract's `LeaveRoom.Reason`."""

    LEFT = "left"
    DISCONNECTED = "disconnected"
    REPLACED = "replaced"


@dataclass(frozen=True, slots=True)
class Member:
    """A participant's session, as the member of a room.

    Attributes:
        id: the session's, unique among all sessions.
        user_id: the token's `sub`. One user has one seat in a room.
        email: the token's `email`, or empty.
        traceparent: names the stream on which it entered, for traces; empty: it is not traced.
    """

    id: str
    user_id: str
    email: str = field(default="", repr=False)
    traceparent: str = ""


@dataclass(frozen=True, slots=True)
class Joined:
    """To the newcomer: you are in the room. `peer` was there already.

    With `resumed`, to a member with a reserved seat: the seat is yours again.
    """

    peer: Member | None
    polite: bool
    resumed: bool = False


@dataclass(frozen=True, slots=True)
class PeerJoined:
    """To the member who was there already: your peer has joined."""

    who: Member


@dataclass(frozen=True, slots=True)
class Left:
    """To the member who hung up: you have left the room."""


@dataclass(frozen=True, slots=True)
class Evicted:
    """To a member: another session of the same user has taken your seat."""


@dataclass(frozen=True, slots=True)
class PeerLeft:
    """To the member who stays: your peer has left."""

    who: Member
    reason: Departure


# Made for each frame. Making a frozen one takes three times as long.
@dataclass(slots=True)
class Forwarded:
    """To the peer: a frame from `who`.

    The payload is bytes, because a parsed object keeps its whole message alive.
    """

    who: Member
    payload: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Refused:
    """To the sender of a request: it was refused, and nothing has changed."""

    code: Refusal
    message: str


@dataclass(frozen=True, slots=True)
class EngineUnavailable:
    """To a newcomer: the engine that keeps the rooms cannot be reached."""


@dataclass(frozen=True, slots=True)
class OutOfSync:
    """To a member: you and your peer can no longer be kept in sync."""


Event = (
    Joined
    | PeerJoined
    | Left
    | Evicted
    | PeerLeft
    | Forwarded
    | Refused
    | EngineUnavailable
    | OutOfSync
)


# Made for each frame. Making a frozen one takes three times as long.
@dataclass(slots=True)
class Output:
    """An event for a member.

    Attributes:
        to: the id of the member it is for.
        room_id: the room it is about.
        reply_to: on an acknowledgement or a refusal, the number of the frame
            that it answers; else 0.
        event: what to tell.
    """

    to: str
    room_id: str
    reply_to: int
    event: Event


_SENTENCES = {
    Refusal.ROOM_NOT_FOUND: "There is no such room, or no longer.",
    Refusal.ROOM_FULL: "Two are in the room already.",
    Refusal.NOT_IN_ROOM: "You are not in that room.",
    Refusal.PEER_ABSENT: "The peer is not in the room, so nobody can receive this.",
}


def refuse(to: str, room_id: str, reply_to: int, code: Refusal) -> Output:
    """The output that refuses a request, with a sentence for its sender."""
    return Output(to, room_id, reply_to, Refused(code, _SENTENCES[code]))
