"""Frames that a client, or an attacker, might send."""

import random
from collections.abc import Callable, Sequence

from dyad.v1 import signaling_pb2 as pb
from google.protobuf.message import Message

from tests.fuzz.model import ROOM_ID_CHARACTERS, Seat

_JUNK = ("", "x", "room", "0" * ROOM_ID_CHARACTERS, "é" * ROOM_ID_CHARACTERS, "y" * 100)
_HUGE = 2**64 - 1
_TEXTS = ("", "v=0", "candidate:1", "é\u2028\U0001f600", "x" * 300)
_EVENTS = ("join_room", "leave_room", "offer", "answer", "ice_candidate", "error", "ack", "")
# The enumerations include values that the contract does not define.
_CONTENT: dict[str, Callable[[random.Random], Message]] = {
    "join_room": lambda rng: pb.JoinRoom(resumable=rng.random() < 0.7),
    "leave_room": lambda rng: pb.LeaveRoom.FromString(bytes((8, rng.randrange(6)))),
    "offer": lambda rng: pb.SessionDescription(sdp=rng.choice(_TEXTS)),
    "answer": lambda rng: pb.SessionDescription(sdp=rng.choice(_TEXTS)),
    "ice_candidate": lambda rng: pb.IceCandidate(
        candidate=str(rng.random()), sdp_m_line_index=rng.choice((None, 0, 1, 2**32 - 1))
    ),
    "error": lambda rng: pb.Error.FromString(bytes((8, rng.randrange(8)))),
}


def frame(rng: random.Random, seat: Seat, rooms: Sequence[str]) -> pb.Frame:
    """A frame on this seat's connection: usually valid, sometimes not at all."""
    made = pb.Frame(room_id=_room(rng, seat, rooms), seq=_seq(rng, seat), ack=_ack(rng, seat))
    if rng.random() < 0.05:
        made.sender.user_id = "mallory"
        made.reply_to = rng.choice((1, _HUGE))
    # Without a seat, most events are refused early and find no bugs.
    weights = (1, 0.3, 3, 2, 5, 0.3, 1, 0.3) if seat.room else (8, 0.3, 0.5, 0.3, 1, 0.2, 1, 0.2)
    event = rng.choices(_EVENTS, weights)[0]
    if event == "ack":
        made.ack, made.seq = made.ack or seat.written, 0
    elif event:
        getattr(made, event).MergeFromString(_CONTENT[event](rng).SerializeToString())
        # Present even if all its fields are empty.
        getattr(made, event).SetInParent()
    if event == "join_room" and rng.random() < 0.03:
        made.join_room.resume_token = rng.choice([*seat.tokens, "nonsense"])
    return made


def resumption(rng: random.Random, token: str, room: str, acks: tuple[int, int]) -> pb.Frame:
    """A `join_room` that resumes; `acks` are the lowest and the highest valid `ack`."""
    least, most = acks
    ack = rng.choice((least, most, most, rng.randint(least, most), rng.randint(0, most + 2)))
    made = pb.Frame(room_id=room, ack=ack, seq=rng.choice((0,) * 15 + (1,)))
    made.join_room.resumable = True
    made.join_room.resume_token = token
    return made


def mutated(rng: random.Random, data: bytes) -> bytes:
    """These bytes with parts changed, removed, repeated or made up."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4, 8))):
        at = rng.randrange(len(changed) + 1)
        match rng.randrange(6):
            case 0 if changed:
                changed[at % len(changed)] ^= 1 << rng.randrange(8)
            case 1 if changed:
                changed[at % len(changed)] = rng.choice(
                    (0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256))
                )
            case 2:
                del changed[at : at + rng.randrange(1, 9)]
            case 3:
                changed[at:at] = rng.randbytes(rng.randrange(1, 9))
            case 4:
                changed[at:at] = changed[at : at + rng.randrange(1, 33)]
            case _:
                del changed[at:]
    return bytes(changed)


def _room(rng: random.Random, seat: Seat, rooms: Sequence[str]) -> str:
    room = _some_room(rng, seat, rooms)
    return room.upper() if rng.random() < 0.1 else room


def _some_room(rng: random.Random, seat: Seat, rooms: Sequence[str]) -> str:
    chance = rng.random()
    if seat.room and chance < 0.93:
        return seat.room
    if rooms and chance < 0.8:
        return rng.choice(rooms)
    if seat.room or chance < 0.95:
        return seat.user.claim
    return rng.choice(_JUNK)


def _seq(rng: random.Random, seat: Seat) -> int:
    following = seat.received + 1
    chance = rng.random()
    if chance < 0.85:
        return following
    if chance < 0.95:
        return 0
    return rng.choice((following + 1, max(following - 1, 0), rng.randrange(1, 40), _HUGE))


def _ack(rng: random.Random, seat: Seat) -> int:
    chance = rng.random()
    if chance < 0.6:
        return 0
    if chance < 0.98:
        return rng.randint(0, seat.written)
    return rng.choice((seat.written + 1, len(seat.told) + 1, _HUGE))
