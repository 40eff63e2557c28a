"""Converts the contract's frames to commands, and events to frames."""

from dyad.v1 import signaling_pb2 as pb
from google.protobuf.message import DecodeError

from dyad_server.core import events
from dyad_server.core.commands import Acknowledge, Enter, Event, Input, Invalid, Leave, Relay
from dyad_server.core.events import (
    Departure,
    Forwarded,
    Joined,
    Left,
    Member,
    Output,
    PeerJoined,
    PeerLeft,
    Refusal,
    Refused,
)
from dyad_server.grpc_api import bounds

_CODES = {
    Refusal.INVALID_FRAME: pb.Error.CODE_INVALID_FRAME,
    Refusal.ROOM_NOT_FOUND: pb.Error.CODE_ROOM_NOT_FOUND,
    Refusal.ROOM_FULL: pb.Error.CODE_ROOM_FULL,
    Refusal.NOT_IN_ROOM: pb.Error.CODE_NOT_IN_ROOM,
    Refusal.PEER_ABSENT: pb.Error.CODE_PEER_ABSENT,
}
_REASONS = {
    Departure.LEFT: pb.LeaveRoom.REASON_LEFT,
    Departure.DISCONNECTED: pb.LeaveRoom.REASON_DISCONNECTED,
    Departure.REPLACED: pb.LeaveRoom.REASON_REPLACED,
}


def read(serialized: bytes) -> Input:
    """Decode a client's serialized frame."""
    try:
        frame = pb.Frame.FromString(serialized)
    except DecodeError:
        return Input(0, 0, len(serialized), Invalid("The frame cannot be decoded."))
    if len(frame.room_id) > bounds.ROOM_ID_CHARACTERS:
        # The refusal would repeat it, and wait in memory until it is read.
        event: Event = Invalid("The room_id is longer than a UUID.")
    else:
        event = _event(frame, serialized)
    return Input(frame.seq, frame.ack, len(serialized), event)


def _event(frame: pb.Frame, serialized: bytes) -> Event:
    event = frame.WhichOneof("event")
    # iOS writes UUIDs in upper case.
    room_id = frame.room_id.lower()
    match event:
        case "offer" | "answer" | "ice_candidate":
            return Relay(room_id, serialized, event)
        case "join_room":
            join = frame.join_room
            return Enter(room_id, join.resumable, join.resume_token)
        case "leave_room":
            return Leave(room_id)
        case "error":
            return Invalid("Only the server sends an error.")
        case _ if frame.ack and not frame.seq:
            return Acknowledge()
        case _:
            return Invalid("The frame has no event that this server knows.")


def write(frame: pb.Frame, output: Output, seq: int, resume_token: str) -> None:
    """Fill an empty frame with `output`, as number `seq`.

    The acknowledgement of a join has `resume_token`.
    """
    event = output.event
    if isinstance(event, Forwarded):
        # The sender's frame is forwarded with its unknown fields. Only the fields
        # that the server sets are overwritten.
        frame.MergeFromString(event.payload)
        frame.ClearField("sender")
        _identify(frame.sender, event.who)
        frame.ack = 0
    else:
        _fill(frame, event, resume_token)
    frame.room_id = output.room_id
    frame.seq = seq
    frame.reply_to = output.reply_to


def _fill(frame: pb.Frame, event: events.Event, resume_token: str) -> None:
    match event:
        case Joined(peer, polite, resumed):
            join = frame.join_room
            join.SetInParent()
            join.polite = polite
            join.resumed = resumed
            join.resume_token = resume_token
            if peer is not None:
                _identify(join.peer, peer)
        case PeerJoined(who):
            _identify(frame.sender, who)
            frame.join_room.SetInParent()
        case Left():
            frame.leave_room.SetInParent()
        case PeerLeft(who, reason):
            _identify(frame.sender, who)
            frame.leave_room.reason = _REASONS[reason]
        case Refused(code, message):
            frame.error.code = _CODES[code]
            frame.error.message = message
        case _:
            raise TypeError("an event that ends a stream has no frame")


def _identify(participant: pb.Participant, member: Member) -> None:
    participant.user_id = member.user_id
    participant.email = member.email
