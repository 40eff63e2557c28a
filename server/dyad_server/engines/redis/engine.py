"""Rooms in Redis: for several nodes. Scripts in `scripts/`, the round trips in `membership`.

Who sits where is decided in Redis, by one script on one key. Two who sit on
the same node speak to each other without it; two on different nodes over a
`links` pair on the nodes' inboxes.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from dyad_server.core.events import (
    Departure,
    EngineUnavailable,
    Event,
    Evicted,
    Joined,
    Left,
    Member,
    OutOfSync,
    Output,
    Refusal,
    refuse,
)
from dyad_server.core.ports import Deliver
from dyad_server.engines.redis.membership import Bus
from dyad_server.engines.redis.pairing import Seating
from dyad_server.engines.redis.pipeline import Message
from dyad_server.engines.redis.reconcile import ROOM_LIFE_MS, TICK_SECONDS, Answer, Upkeep
from dyad_server.engines.redis.seats import Peer, Seat, read, written

_ENTER_SECONDS = 1.5
_RESUME_SECONDS = 1.0
# For the answer; the seat is freed also later.
_LEAVE_SECONDS = 1.0
_PERSIST_SECONDS = 60.0

MakeBus = Callable[
    [Callable[[list[Message]], None], Callable[[], None], Callable[[], None]],
    Bus,
]


class RedisBroker:
    """A `Broker` whose rooms several nodes share.

    Beside the promise of `Broker`: a message to a peer on another node comes
    once and in order, or both ends are told within 10 s. A node whose lease
    may have run out delivers nothing that came from another node.
    """

    def __init__(self, make_bus: MakeBus, deliver: Deliver) -> None:
        """Reach Redis by the bus that `make_bus` makes, and hand outputs to `deliver`."""
        self.bus = self._bus = make_bus(self._hear, self._renewed, self._expired)
        self._seating = Seating(self._bus, deliver, self._doubt, self._forgotten)
        self._upkeep = Upkeep(self._bus, self._seating)
        self._asked: Callable[[Message], None] = lambda _: None

    def answer_by(self, asked: Callable[[Message], None]) -> None:
        """Let `asked` hear what nodes ask each other."""
        self._asked = asked

    @property
    def node(self) -> str:
        """See `Broker.node`."""
        return self._bus.node

    @property
    def ready(self) -> bool:
        """Whether rooms can be entered now."""
        return self._upkeep.ready

    async def start(self) -> None:
        """Connect.

        Raises:
            ConfigError: Redis is not there, or is not fit.
        """
        await self._bus.start()
        self._upkeep.start()

    async def stop(self) -> None:
        """Say what is still to be said, and end."""
        await self._upkeep.stop()
        await self._bus.stop()

    def enter(self, room_id: str, member: Member, *, create: bool, reply_to: int) -> None:
        """See `Broker.enter`."""
        seat = Seat(member, room_id)
        self._seating.add(seat)
        self._ask(seat, [int(create), ROOM_LIFE_MS], reply_to, time.monotonic() + _ENTER_SECONDS)

    def leave(self, room_id: str, member_id: str, reason: Departure, *, reply_to: int) -> None:
        """See `Broker.leave`."""
        seat = self._seating.get(member_id)
        if seat is None or seat.room_id != room_id:
            self._refuse(room_id, member_id, reply_to, Refusal.NOT_IN_ROOM)
        elif seat.seated:
            self._seating.remove(seat)
            self._free(seat, reason, reply_to)
        elif reason is Departure.LEFT:
            seat.waiting.append(lambda: self.leave(room_id, member_id, reason, reply_to=reply_to))
        else:
            seat.gone = True

    def resume(self, room_id: str, member_id: str) -> None:
        """See `Broker.resume`."""
        seat = self._seating.get(member_id)
        if seat is None or seat.room_id != room_id or not seat.seated:
            self._seating.deliver(Output(member_id, room_id, 0, OutOfSync()))
            return

        def answered(answer: Answer) -> None:
            if not self._seating.has(seat):
                # What took the seat from it has told it so.
                return
            match answer:
                case [b"other"] if self.ready:
                    # Its user has just taken the seat, on another node.
                    self._seating.evict(member_id)
                case [b"none"] if self.ready:
                    self._seating.lose(seat)
                case _:
                    peer = seat.peer.member if seat.peer else None
                    self._seating.tell(seat, Joined(peer, seat.polite, resumed=True))

        patience = _RESUME_SECONDS if self._bus.up else 0.0
        arguments = [member_id, seat.member.user_id, ROOM_LIFE_MS]
        self._script("seat", room_id, arguments, answered, patience)

    def seats_user(self, room_id: str, user_id: str, then: Callable[[bool | None], None]) -> None:
        """See `Broker.seats_user`."""

        def answered(answer: Answer) -> None:
            known = answer in ([b"other"], [b"none"])
            then(answer == [b"other"] if known else None)

        self._script("seat", room_id, ["", user_id, ROOM_LIFE_MS], answered, _RESUME_SECONDS)

    def relay(self, room_id: str, member_id: str, payload: bytes, *, reply_to: int) -> None:
        """See `Broker.relay`."""
        seat = self._seating.get(member_id)
        if seat is None or seat.room_id != room_id:
            self._refuse(room_id, member_id, reply_to, Refusal.NOT_IN_ROOM)
        elif not seat.seated:
            seat.waiting.append(lambda: self.relay(room_id, member_id, payload, reply_to=reply_to))
        elif seat.peer is None:
            self._refuse(room_id, member_id, reply_to, Refusal.PEER_ABSENT)
        else:
            self._seating.relay(seat, seat.peer, payload)

    def _refuse(self, room_id: str, member_id: str, reply_to: int, why: Refusal) -> None:
        self._seating.deliver(refuse(member_id, room_id, reply_to, why))

    # Entering.

    def _ask(self, seat: Seat, terms: list[int], reply_to: int, deadline: float) -> None:
        """Ask for a seat on these `terms`, as soon as all who had one have it again."""
        left = deadline - time.monotonic()
        if seat.gone or left <= 0 or not self._bus.holds:
            self._entered(seat, reply_to, None)
            return

        def later() -> None:
            asyncio.get_running_loop().call_later(
                min(TICK_SECONDS, left), self._ask, seat, terms, reply_to, deadline
            )

        def answered(answer: Answer) -> None:
            if answer == [b"again"]:
                self._bus.hurry()
                later()
            else:
                self._entered(seat, reply_to, answer)

        if self.ready:
            arguments = [written(seat.member), *terms]
            self._script("enter", seat.room_id, arguments, answered, left)
        else:
            later()

    def _entered(self, seat: Seat, reply_to: int, answer: Answer) -> None:
        what = answer[0].decode() if answer else ""
        if answer is not None and what == "ok" and not seat.gone:
            self._seat(seat, reply_to, answer)
        else:
            self._seating.remove(seat)
            if what in ("ok", ""):
                # Perhaps it has a seat by now, and nobody sits in it.
                self._free(seat, Departure.DISCONNECTED)
            if not seat.gone:
                self._seating.deliver(_answer(seat, reply_to, what))
        while seat.waiting:
            seat.waiting.popleft()()
        self._seating.crossing.seated(seat.member.id)

    def _seat(self, seat: Seat, reply_to: int, answer: list[bytes]) -> None:
        _, term, polite, epoch, peer, evicted = answer
        seat.seated = True
        seat.polite = polite == b"1"
        seat.epoch = int(epoch)
        seat.peer = read(peer)
        self._seating.come(seat, reply_to, read(evicted))
        self._upkeep.assert_late(seat, int(term))

    # Leaving.

    def _free(self, seat: Seat, reason: Departure, reply_to: int = 0) -> None:
        """Free a seat in Redis, then tell whom it concerns; without Redis, only tell."""

        def freed(answer: Answer) -> None:
            if reason is Departure.LEFT:
                self._seating.tell(seat, Left(), reply_to)
            # Perhaps somebody came at the last moment, of whom this node had not heard.
            there = read(answer[1]) if answer and answer[0] == b"ok" else None
            if answer == [b"moved"]:
                return
            for peer in {p.member.id: p for p in (seat.peer, there) if p}.values():
                self._seating.part(seat, peer, reason)

        patience = _LEAVE_SECONDS if self._bus.up and self._bus.holds else 0.0
        self._script(
            "leave", seat.room_id, [seat.member.id], freed, patience, persist=_PERSIST_SECONDS
        )

    def _script(
        self,
        name: str,
        room_id: str,
        arguments: list[Any],
        then: Callable[[Answer], None],
        seconds: float,
        *,
        persist: float = 0.0,
    ) -> None:
        key = self._bus.key("room", room_id)
        self._bus.script(name, [key], arguments, then, seconds, persist=persist)

    # What the bus says.

    def _hear(self, messages: list[Message]) -> None:
        self._bus.check()
        if not self._bus.holds:
            return
        self._seating.crossing.hear(messages)
        for message in messages:
            if message[0] in ("ask", "answer"):
                self._asked(message)

    def _renewed(self) -> None:
        self._upkeep.renewed()

    def _expired(self) -> None:
        self._upkeep.expired()

    def _doubt(self, seat: Seat, peer: Peer) -> None:
        self._upkeep.look(seat, peer)

    def _forgotten(self, seat: Seat) -> None:
        self._upkeep.say_again(seat)

    # Handing over: see `fleet`.

    def may_come(self, member_id: str) -> AbstractContextManager[None]:
        """See `Seating.may_come`."""
        return self._seating.may_come(member_id)

    def release(self, member_id: str) -> tuple[Seat, list[Any]] | None:
        """See `Seating.release`."""
        return self._seating.release(member_id)

    def forsake(self, seat: Seat) -> None:
        """Free a seat that was released, and that no other node will take up."""
        self._free(seat, Departure.DISCONNECTED)

    def adopt(self, member: Member, room_id: str, state: list[Any], peer: bytes, term: int) -> None:
        """Take up a seat that another node released: see `Seating.adopt`.

        Args:
            member: whose.
            room_id: where.
            state: from `release`.
            peer: who is there now, as Redis has it.
            term: of this node's, in which Redis gave it the seat.
        """
        self._upkeep.assert_late(self._seating.adopt(member, room_id, state, peer), term)


def _answer(seat: Seat, reply_to: int, what: str) -> Output:
    if what == "full":
        return refuse(seat.member.id, seat.room_id, reply_to, Refusal.ROOM_FULL)
    if what == "not found":
        return refuse(seat.member.id, seat.room_id, reply_to, Refusal.ROOM_NOT_FOUND)
    event: Event = Evicted() if what == "replaced" else EngineUnavailable()
    return Output(seat.member.id, seat.room_id, reply_to, event)
