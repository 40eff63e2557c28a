"""Converts the contract's frames to commands, and events to frames.

A frame that the server forwards is not encoded again. The fields that the server sets are
written after it: where a field comes twice, the last one counts
(https://protobuf.dev/programming-guides/encoding/#last-one-wins).
"""

from collections.abc import Sequence
from functools import lru_cache

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
from dyad_server.grpc_api.field_scan import content_field, number_field

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
_SENDER = pb.Frame.SENDER_FIELD_NUMBER
_SEQ = pb.Frame.SEQ_FIELD_NUMBER
_ACK = pb.Frame.ACK_FIELD_NUMBER
_USER_ID = pb.Participant.USER_ID_FIELD_NUMBER
_EMAIL = pb.Participant.EMAIL_FIELD_NUMBER


def read(serialized: bytes) -> Input:
    """Decode a client's serialized frame."""
    try:
        frame = pb.Frame.FromString(serialized)
    except DecodeError:
        return Input(0, 0, len(serialized), Invalid("The frame cannot be decoded."))
    room_id = frame.room_id
    if len(room_id) > bounds.ROOM_ID_CHARACTERS:
        # The refusal would repeat it, and wait in memory until it is read.
        event: Event = Invalid("The room_id is longer than a UUID.")
    else:
        event = _event(frame, room_id, serialized)
    return Input(frame.seq, frame.ack, len(serialized), event)


def _event(frame: pb.Frame, written: str, serialized: bytes) -> Event:
    event = frame.WhichOneof("event")
    # iOS writes UUIDs in upper case.
    room_id = written.lower()
    match event:
        case "offer" | "answer" | "ice_candidate":
            if written != room_id or frame.reply_to or frame.HasField("sender"):
                serialized = _corrected(frame, room_id)
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


def _corrected(frame: pb.Frame, room_id: str) -> bytes:
    """A frame to forward, without what only the server may say."""
    frame.room_id = room_id
    frame.ClearField("reply_to")
    frame.ClearField("sender")
    return frame.SerializeToString()


def write(output: Output, seq: int, ack: int, resume_token: str) -> bytes:
    """Encode `output` as frame number `seq`, which acknowledges `ack`.

    The acknowledgement of a join has `resume_token`.
    """
    event = output.event
    if isinstance(event, Forwarded):
        sender = _sender(event.who.user_id, event.who.email)
        return event.payload + sender + number_field(_SEQ, seq) + number_field(_ACK, ack)
    return _told(output, seq, ack, resume_token).SerializeToString()


def acknowledge(ack: int) -> bytes:
    """A frame that only acknowledges."""
    return number_field(_ACK, ack)


def message(number: int, frames: Sequence[bytes]) -> bytes:
    """A message with these frames in its field with this number, and nothing else."""
    return b"".join([content_field(number, frame) for frame in frames])


def _told(output: Output, seq: int, ack: int, resume_token: str) -> pb.Frame:
    frame = pb.Frame(room_id=output.room_id, seq=seq, ack=ack, reply_to=output.reply_to)
    _fill(frame, output.event, resume_token)
    return frame


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


@lru_cache(bounds.ENCODINGS)
def _sender(user_id: str, email: str) -> bytes:
    """The field `sender`, with both of its fields: an empty one counts as well."""
    participant = content_field(_USER_ID, user_id.encode()) + content_field(_EMAIL, email.encode())
    return content_field(_SENDER, participant)
