"""The state machine of rooms, in every order of events that Hypothesis finds."""

from collections import defaultdict
from typing import Any

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
    Refused,
)
from dyad_server.core.rooms import Rooms
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

# Seven sessions of five users.
PEOPLE = [Member(f"session-{n}", f"user-{n % 5}") for n in range(7)]
people = st.sampled_from(PEOPLE)


class Pairing(RuleBasedStateMachine):
    rooms = Bundle("rooms")

    def __init__(self) -> None:
        super().__init__()
        self.machine = Rooms()
        self.made = 0
        self.seated: dict[str, list[Member]] = {}
        self.where: dict[Member, str] = {}
        self.polite: dict[Member, bool] = {}
        self.said = 0
        # The peer that each member was told of, to compare with the real one.
        self.believes: dict[str, str | None] = defaultdict(lambda: None)

    def tell(self, outputs: list[Output]) -> list[Any]:
        for output in outputs:
            match output.event:
                case Joined(peer):
                    self.believes[output.to] = peer.id if peer else None
                case PeerJoined(who):
                    assert self.believes[output.to] is None
                    self.believes[output.to] = who.id
                case PeerLeft(who):
                    assert self.believes[output.to] == who.id
                    self.believes[output.to] = None
                case Left() | Evicted():
                    self.believes[output.to] = None
                case _:
                    pass
        return [(output.to, output.reply_to, output.event) for output in outputs]

    @rule(target=rooms, who=people)
    def create(self, who: Member) -> str:
        room_id = f"room-{self.made}"
        if who in self.where:
            return room_id
        self.made += 1
        told = self.tell(self.machine.enter(room_id, who, create=True, reply_to=1))
        assert told == [(who.id, 1, Joined(None, polite=False))]
        self.seated[room_id] = [who]
        self.where[who] = room_id
        self.polite[who] = False
        return room_id

    @rule(who=people, room_id=rooms)
    def join(self, who: Member, room_id: str) -> None:
        if who in self.where:
            return
        there = self.seated.get(room_id, [])
        told = self.tell(self.machine.enter(room_id, who, create=False, reply_to=2))
        own = next((one for one in there if one.user_id == who.user_id), None)
        if not there:
            assert _refusal(told) is Refusal.ROOM_NOT_FOUND
        elif own is not None:
            peer = next((one for one in there if one is not own), None)
            self.polite[who] = self.polite[own]
            told_peer = [] if peer is None else [PeerLeft(own, Departure.REPLACED), PeerJoined(who)]
            assert told == [
                (own.id, 0, Evicted()),
                (who.id, 2, Joined(peer, polite=self.polite[who])),
                *((peer.id, 0, event) for event in told_peer if peer is not None),
            ]
            there[there.index(own)] = who
            del self.where[own]
            self.where[who] = room_id
        elif len(there) > 1:
            assert _refusal(told) is Refusal.ROOM_FULL
        else:
            self.polite[who] = not self.polite[there[0]]
            assert told == [
                (who.id, 2, Joined(there[0], polite=self.polite[who])),
                (there[0].id, 0, PeerJoined(who)),
            ]
            there.append(who)
            self.where[who] = room_id

    @rule(who=people, room_id=rooms, reason=st.sampled_from(Departure))
    def leave(self, who: Member, room_id: str, reason: Departure) -> None:
        told = self.tell(self.machine.leave(room_id, who.id, reason, reply_to=3))
        if self.where.get(who) != room_id:
            assert _refusal(told) is Refusal.NOT_IN_ROOM
            return
        there = self.seated[room_id]
        there.remove(who)
        del self.where[who]
        expected: list[Any] = [(who.id, 3, Left())] if reason is Departure.LEFT else []
        assert told == expected + [(peer.id, 0, PeerLeft(who, reason)) for peer in there]
        self.believes[who.id] = None
        if not there:
            del self.seated[room_id]

    @rule(who=people, room_id=rooms)
    def relay(self, who: Member, room_id: str) -> None:
        self.said += 1
        payload = str(self.said).encode()
        told = self.tell(self.machine.relay(room_id, who.id, payload, reply_to=4))
        if self.where.get(who) != room_id:
            assert _refusal(told) is Refusal.NOT_IN_ROOM
            return
        peers = [peer for peer in self.seated[room_id] if peer is not who]
        if peers:
            assert told == [(peers[0].id, 0, Forwarded(who, payload))]
        else:
            assert _refusal(told) is Refusal.PEER_ABSENT

    @invariant()
    def a_room_exists_while_a_member_sits_in_it(self) -> None:
        assert len(self.machine) == len(self.seated)
        assert all(1 <= len(there) <= 2 for there in self.seated.values())

    @invariant()
    def no_user_has_two_seats_in_a_room(self) -> None:
        for there in self.seated.values():
            assert len({one.user_id for one in there}) == len(there)

    @invariant()
    def what_each_was_told_of_its_peer_is_true(self) -> None:
        for there in self.seated.values():
            for who in there:
                peers = [peer.id for peer in there if peer is not who]
                assert self.believes[who.id] == (peers[0] if peers else None)


def _refusal(told: list[Any]) -> Refusal:
    ((_, reply_to, event),) = told
    assert reply_to
    assert isinstance(event, Refused)
    return event.code


TestPairing = Pairing.TestCase
TestPairing.settings = settings(max_examples=200, stateful_step_count=50, deadline=None)
