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


def read(packed: bytes) -> Input:
    """Decode a client's serialized frame."""
    try:
        frame = pb.Frame.FromString(packed)
    except DecodeError:
        return Input(0, 0, len(packed), Invalid("The frame cannot be decoded."))
    if len(frame.room_id) > bounds.ROOM_ID_CHARACTERS:
        # The refusal would repeat it, and wait in memory until it is read.
        event: Event = Invalid("The room_id is longer than a UUID.")
    else:
        event = _event(frame, packed)
    return Input(frame.seq, frame.ack, len(packed), event)


def _event(frame: pb.Frame, packed: bytes) -> Event:
    event = frame.WhichOneof("event")
    # iOS writes UUIDs in upper case.
    room_id = frame.room_id.lower()
    match event:
        case "offer" | "answer" | "ice_candidate":
            return Relay(room_id, packed)
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


def write(output: Output, seq: int, resume_token: str) -> pb.Frame:
    """The frame number `seq` for `output`; the acknowledgement of a join has `resume_token`."""
    event = output.event
    if isinstance(event, Forwarded):
        # The sender's frame is forwarded with its unknown fields. Only the fields
        # that the server sets are overwritten.
        frame = pb.Frame.FromString(event.payload)
        frame.sender.CopyFrom(_participant(event.who))
        frame.ack = 0
    else:
        frame = _frame(event, resume_token)
    frame.room_id = output.room_id
    frame.seq = seq
    frame.reply_to = output.reply_to
    return frame


def _frame(event: events.Event, resume_token: str) -> pb.Frame:
    match event:
        case Joined(peer, polite, resumed):
            known = None if peer is None else _participant(peer)
            return pb.Frame(
                join_room=pb.JoinRoom(
                    polite=polite, peer=known, resumed=resumed, resume_token=resume_token
                )
            )
        case PeerJoined(who):
            return pb.Frame(sender=_participant(who), join_room=pb.JoinRoom())
        case Left():
            return pb.Frame(leave_room=pb.LeaveRoom())
        case PeerLeft(who, reason):
            leave = pb.LeaveRoom(reason=_REASONS[reason])
            return pb.Frame(sender=_participant(who), leave_room=leave)
        case Refused(code, message):
            return pb.Frame(error=pb.Error(code=_CODES[code], message=message))
        case _:
            raise TypeError("an event that ends a stream has no frame")


def bare_ack(seq: int) -> pb.Frame:
    """A frame that only acknowledges."""
    return pb.Frame(ack=seq)


def _participant(member: Member) -> pb.Participant:
    return pb.Participant(user_id=member.user_id, email=member.email)
