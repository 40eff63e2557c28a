"""Convert between the contract's frames and this client's values."""

from collections.abc import Callable
from typing import Final

from dyad.errors import Refusal, Refused
from dyad.events import (
    Answer,
    Candidate,
    Departure,
    Event,
    Offer,
    Participant,
    PeerJoined,
    PeerLeft,
    Room,
)
from dyad.v1 import signaling_pb2 as pb


def event(frame: pb.Frame) -> Event | None:
    """Return the event of a frame from the server, or None if this client does not know it."""
    kind = frame.WhichOneof("event")
    read = None if kind is None else _EVENTS.get(kind)
    return None if read is None else read(frame)


def room(frame: pb.Frame) -> Room:
    """Return the room in a `join_room` acknowledgement."""
    joined = frame.join_room
    peer = _participant(joined.peer) if joined.HasField("peer") else None
    return Room(frame.room_id, peer, joined.polite)


def refused(frame: pb.Frame) -> Refused:
    """Return the refusal in an `error` frame."""
    return Refused(Refusal(frame.error.code), frame.error.message, frame.room_id)


def ice_candidate(candidate: Candidate) -> pb.IceCandidate:
    """Return the contract's form of a candidate."""
    return pb.IceCandidate(
        candidate=candidate.candidate,
        sdp_mid=candidate.sdp_mid,
        sdp_m_line_index=candidate.sdp_m_line_index,
        username_fragment=candidate.username_fragment,
    )


def _candidate(frame: pb.Frame) -> Candidate:
    ice = frame.ice_candidate
    return Candidate(
        ice.candidate,
        ice.sdp_mid if ice.HasField("sdp_mid") else None,
        ice.sdp_m_line_index if ice.HasField("sdp_m_line_index") else None,
        ice.username_fragment if ice.HasField("username_fragment") else None,
        _participant(frame.sender),
        frame.room_id,
    )


def _participant(participant: pb.Participant) -> Participant:
    return Participant(participant.user_id, participant.email)


_EVENTS: Final[dict[str, Callable[[pb.Frame], Event]]] = {
    "join_room": lambda frame: PeerJoined(_participant(frame.sender), frame.room_id),
    "leave_room": lambda frame: PeerLeft(
        _participant(frame.sender), Departure(frame.leave_room.reason), frame.room_id
    ),
    "offer": lambda frame: Offer(frame.offer.sdp, _participant(frame.sender), frame.room_id),
    "answer": lambda frame: Answer(frame.answer.sdp, _participant(frame.sender), frame.room_id),
    "ice_candidate": _candidate,
    "error": refused,
}
