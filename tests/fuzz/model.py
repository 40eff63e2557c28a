"""The contract as a model: the outputs for each input, as docs/protocol.md describes them.

The model does not use the server's code. A `World` gives the same inputs to both, and any
difference between their outputs is a bug in one of them.
"""

from dataclasses import dataclass, field

from dyad.v1 import signaling_pb2 as pb

ROOM_ID_CHARACTERS = 36


@dataclass(frozen=True)
class User:
    name: str
    claim: str = ""
    """The room that its token names."""

    def said(self) -> pb.Participant:
        return pb.Participant(user_id=self.name, email=f"{self.name}@x")


@dataclass(eq=False)
class Seat:
    """A participant's session.

    Attributes:
        told: every frame that it is ever sent, in order; the first has number 1.
        written: how many of them were written to one of its connections.
        forgotten: how many of them the server no longer keeps.
        received: the highest number that came from it.
        room: the room of its seat; empty if it has none.
        tokens: the valid resume tokens: the newest, and the one before that
            until the client has answered.
        away: its connection is gone, and its seat is reserved.
        ended: the status with which the session ended, or "" if the client ended it.
    """

    user: User
    told: list[pb.Frame] = field(default_factory=list)
    written: int = 0
    forgotten: int = 0
    received: int = 0
    room: str = ""
    polite: bool = False
    resumable: bool = False
    tokens: list[str] = field(default_factory=list)
    spoke: bool = False
    away: bool = False
    ended: str | None = None

    def tell(self, frame: pb.Frame) -> None:
        self.told.append(frame)

    def refuse(self, room: str, seq: int, code: "pb.Error.Code") -> None:
        self.tell(pb.Frame(room_id=room, reply_to=seq, error=pb.Error(code=code)))

    def wrote(self) -> None:
        """Its connection has written everything in `told`."""
        self.written = len(self.told)
        if not self.resumable:
            self.forgotten = self.written

    def acknowledged(self, ack: int) -> bool:
        if ack > self.written:
            return False
        self.forgotten = max(self.forgotten, ack)
        return True


class Model:
    """All seats in all rooms."""

    def __init__(self) -> None:
        self.rooms: dict[str, list[Seat]] = {}
        self.new_room = ""

    def receive(self, seat: Seat, frame: pb.Frame) -> None:
        """Act on a frame from a connection of this seat, other than a resume."""
        seat.spoke = True
        del seat.tokens[1:]
        seq = frame.seq
        again = 0 < seq <= seat.received
        gap = seq > seat.received + 1
        if not again and not gap:
            seat.received = seq or seat.received
        if (frame.ack and not seat.acknowledged(frame.ack)) or gap:
            seat.refuse(seat.room, seq, pb.Error.CODE_INVALID_FRAME)
        elif not again:
            self._act(seat, frame)

    def resume(self, fresh: Seat, frame: pb.Frame) -> Seat | None:
        """Act on a `join_room` with a resume token, on a connection of `fresh`.

        Returns:
            The seat of the token. It has ended if frames that the client needs are gone.
        """
        if fresh.spoke or frame.seq:
            fresh.refuse(fresh.room, frame.seq, pb.Error.CODE_INVALID_FRAME)
            return None
        seat = self._owner(frame.join_room.resume_token, fresh.user, frame.room_id.lower())
        fresh.ended = "" if seat else "ABORTED"
        if seat is None:
            return None
        if not seat.forgotten <= frame.ack <= seat.written:
            fresh.ended = "ABORTED"
            self.end(seat)
            return seat
        seat.acknowledged(frame.ack)
        seat.away = False
        return seat

    def close(self, seat: Seat) -> None:
        """Act on a lost connection of this seat."""
        if seat.room and seat.resumable:
            seat.away = True
        else:
            self.end(seat)

    def end(self, seat: Seat, status: str = "") -> None:
        """End the session and free its seat."""
        seat.ended = status
        self._leave(seat, pb.LeaveRoom.REASON_DISCONNECTED)

    def peer(self, seat: Seat) -> Seat | None:
        others = [other for other in self.rooms.get(seat.room, ()) if other is not seat]
        return others[0] if others else None

    def _owner(self, token: str, user: User, room: str) -> Seat | None:
        for seat in self.rooms.get(room, ()):
            if token in seat.tokens and seat.user == user:
                return seat
        return None

    def _act(self, seat: Seat, frame: pb.Frame) -> None:
        room, seq, event = frame.room_id.lower(), frame.seq, frame.WhichOneof("event")
        inside = seat.room and room == seat.room
        if event is None and frame.ack and not seq and len(room) <= ROOM_ID_CHARACTERS:
            return
        if len(room) > ROOM_ID_CHARACTERS or event in (None, "error"):
            seat.refuse(seat.room, seq, pb.Error.CODE_INVALID_FRAME)
        elif event == "join_room":
            self._enter(seat, frame)
        elif not inside:
            seat.refuse(room, seq, pb.Error.CODE_NOT_IN_ROOM)
        elif event == "leave_room":
            seat.tell(pb.Frame(room_id=room, reply_to=seq, leave_room=pb.LeaveRoom()))
            self._leave(seat, pb.LeaveRoom.REASON_LEFT)
            if seat.away:
                seat.ended = ""
        elif (peer := self.peer(seat)) is None:
            seat.refuse(room, seq, pb.Error.CODE_PEER_ABSENT)
        else:
            passed = pb.Frame()
            passed.CopyFrom(frame)
            passed.room_id = room
            passed.ack = passed.reply_to = 0
            passed.sender.CopyFrom(seat.user.said())
            peer.tell(passed)

    def _enter(self, seat: Seat, frame: pb.Frame) -> None:
        claim, room, seq = seat.user.claim, frame.room_id.lower(), frame.seq
        if seat.room:
            seat.refuse(seat.room, seq, pb.Error.CODE_INVALID_FRAME)
            return
        if claim and room not in ("", claim):
            self.end(seat, "PERMISSION_DENIED")
            return
        create = not room or room == claim
        # Only the server knows the id of a new room.
        room = room or claim or self.new_room
        there = self.rooms.get(room)
        before = next((s for s in there or () if s.user == seat.user), None)
        if there is None and not create:
            seat.refuse(room, seq, pb.Error.CODE_ROOM_NOT_FOUND)
        elif there is None:
            self._sit(seat, room, frame, polite=False)
        elif before is not None:
            there[there.index(before)] = seat
            before.ended, before.tokens, before.room = "ABORTED", [], ""
            self._sit(seat, room, frame, polite=before.polite)
            if peer := self.peer(seat):
                _tell_left(peer, before, room, pb.LeaveRoom.REASON_REPLACED)
                _tell_joined(peer, seat)
        elif len(there) > 1:
            seat.refuse(room, seq, pb.Error.CODE_ROOM_FULL)
        else:
            self._sit(seat, room, frame, polite=not there[0].polite)
            _tell_joined(there[0], seat)

    def _sit(self, seat: Seat, room: str, frame: pb.Frame, *, polite: bool) -> None:
        seat.room, seat.polite = room, polite
        seats = self.rooms.setdefault(room, [])
        if seat not in seats:
            seats.append(seat)
        seat.resumable = frame.join_room.resumable
        seat.tell(joined(self, seat, reply_to=frame.seq))

    def _leave(self, seat: Seat, reason: "pb.LeaveRoom.Reason") -> None:
        if not seat.room:
            return
        room, peer = seat.room, self.peer(seat)
        self.rooms[room].remove(seat)
        if peer is None:
            del self.rooms[room]
        else:
            _tell_left(peer, seat, room, reason)
        seat.room, seat.resumable, seat.tokens = "", False, []


def joined(model: Model, seat: Seat, *, reply_to: int = 0, resumed: bool = False) -> pb.Frame:
    """The acknowledgement of a join, without its resume token."""
    peer = model.peer(seat)
    known = None if peer is None else peer.user.said()
    join = pb.JoinRoom(peer=known, polite=seat.polite, resumed=resumed)
    return pb.Frame(room_id=seat.room, reply_to=reply_to, join_room=join)


def _tell_joined(seat: Seat, who: Seat) -> None:
    seat.tell(pb.Frame(room_id=seat.room, sender=who.user.said(), join_room=pb.JoinRoom()))


def _tell_left(seat: Seat, who: Seat, room: str, reason: "pb.LeaveRoom.Reason") -> None:
    leave = pb.LeaveRoom(reason=reason)
    seat.tell(pb.Frame(room_id=room, sender=who.user.said(), leave_room=leave))
