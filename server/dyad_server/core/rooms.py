"""The pairing state machine: two seats a room, who may sit, who is told what.

Each method takes an input and returns the outputs, to be delivered in that order.
Nothing here waits, reads a clock or uses a network, so a test can try every
interleaving.
"""

from dataclasses import dataclass

from dyad_server.core.events import (
    Departure,
    Evicted,
    Forwarded,
    Joined,
    Left,
    Member,
    Output,
    PeerJoined,
    PeerLeft,
    Refusal,
    refuse,
)


@dataclass(slots=True)
class _Room:
    # Politeness belongs to a seat: a member stays polite when its peer changes.
    seats: dict[bool, Member]

    def seat_of(self, member_id: str) -> bool | None:
        for polite, member in self.seats.items():
            if member.id == member_id:
                return polite
        return None

    def seat_of_user(self, user_id: str) -> bool | None:
        for polite, member in self.seats.items():
            if member.user_id == user_id:
                return polite
        return None


class Rooms:
    """All rooms of one engine. A room exists while it has a member."""

    def __init__(self) -> None:
        self._rooms: dict[str, _Room] = {}

    def __len__(self) -> int:
        return len(self._rooms)

    def enter(self, room_id: str, member: Member, *, create: bool, reply_to: int) -> list[Output]:
        """Give `member` the seat that its user has already, or else a free one.

        Args:
            room_id: the room.
            member: has no seat anywhere yet.
            create: whether to make the room if it does not exist.
            reply_to: the number of the frame that asks for it.
        """
        room = self._rooms.get(room_id)
        if room is None:
            if not create:
                return [refuse(member.id, room_id, reply_to, Refusal.ROOM_NOT_FOUND)]
            self._rooms[room_id] = _Room({False: member})
            return [Output(member.id, room_id, reply_to, Joined(None, polite=False))]
        own = room.seat_of_user(member.user_id)
        if own is not None:
            return self._replace(room_id, own, member, reply_to)
        if len(room.seats) > 1:
            return [refuse(member.id, room_id, reply_to, Refusal.ROOM_FULL)]
        ((taken, peer),) = room.seats.items()
        room.seats[not taken] = member
        return [
            Output(member.id, room_id, reply_to, Joined(peer, polite=not taken)),
            Output(peer.id, room_id, 0, PeerJoined(member)),
        ]

    def _replace(
        self,
        room_id: str,
        seat: bool,  # noqa: FBT001 - a seat is named by its politeness
        member: Member,
        reply_to: int,
    ) -> list[Output]:
        room = self._rooms[room_id]
        before = room.seats[seat]
        room.seats[seat] = member
        peer = room.seats.get(not seat)
        outputs = [
            Output(before.id, room_id, 0, Evicted()),
            Output(member.id, room_id, reply_to, Joined(peer, polite=seat)),
        ]
        if peer is not None:
            outputs += [
                Output(peer.id, room_id, 0, PeerLeft(before, Departure.REPLACED)),
                Output(peer.id, room_id, 0, PeerJoined(member)),
            ]
        return outputs

    def seats_user(self, room_id: str, user_id: str) -> bool:
        """Whether a session of the user has a seat in the room."""
        room = self._rooms.get(room_id)
        return room is not None and room.seat_of_user(user_id) is not None

    def resume(self, room_id: str, member_id: str) -> list[Output]:
        """Give a member its seat back; the peer is not told."""
        room = self._rooms.get(room_id)
        seat = room.seat_of(member_id) if room else None
        if room is None or seat is None:
            return [refuse(member_id, room_id, 0, Refusal.NOT_IN_ROOM)]
        peer = room.seats.get(not seat)
        return [Output(member_id, room_id, 0, Joined(peer, polite=seat, resumed=True))]

    def leave(
        self, room_id: str, member_id: str, reason: Departure, *, reply_to: int
    ) -> list[Output]:
        """Free the seat of `member_id`; the room ends with its last member.

        A member that was disconnected gets no acknowledgement.
        """
        room = self._rooms.get(room_id)
        seat = room.seat_of(member_id) if room else None
        if room is None or seat is None:
            return [refuse(member_id, room_id, reply_to, Refusal.NOT_IN_ROOM)]
        member = room.seats.pop(seat)
        if not room.seats:
            del self._rooms[room_id]
        outputs = [
            Output(peer.id, room_id, 0, PeerLeft(member, reason)) for peer in room.seats.values()
        ]
        if reason is Departure.LEFT:
            outputs.insert(0, Output(member_id, room_id, reply_to, Left()))
        return outputs

    def relay(self, room_id: str, member_id: str, payload: bytes, *, reply_to: int) -> list[Output]:
        """Pass `payload` to the peer."""
        room = self._rooms.get(room_id)
        seat = room.seat_of(member_id) if room else None
        if room is None or seat is None:
            return [refuse(member_id, room_id, reply_to, Refusal.NOT_IN_ROOM)]
        peer = room.seats.get(not seat)
        if peer is None:
            return [refuse(member_id, room_id, reply_to, Refusal.PEER_ABSENT)]
        return [Output(peer.id, room_id, 0, Forwarded(room.seats[seat], payload))]
