"""Keeps what Redis and this node's seats say of each other true, as time goes by.

Peers whose node is gone are found; rooms are kept from expiring; and when Redis
has forgotten or failed over, or this node's lease was gone, all who sit here
are said again before anybody else is seated.
"""

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from dyad_server.core.events import Departure
from dyad_server.engines.redis.membership import Bus
from dyad_server.engines.redis.pairing import Seating
from dyad_server.engines.redis.seats import Peer, Seat, written

ROOM_LIFE_MS = 120_000
TICK_SECONDS = 0.25
_LOOK_SECONDS = 2.0
# So long a peer's node has to say why it has no seat: that it left, or that Redis
# lost the room and it is still there.
_ABSENT_SECONDS = 3.0
_WATCH_TICKS = 4
_KEEP_TICKS = 32

Answer = list[bytes] | None


class Upkeep:
    """Looks after the seats of this node."""

    def __init__(self, bus: Bus, seating: Seating) -> None:
        """Look after `seating`, whose rooms are in the Redis that `bus` reaches."""
        self._bus = bus
        self._seating = seating
        # The generation and the term in which all who sit here are asserted,
        # and how many still have to be.
        self._generation = ""
        self._asserted = 0
        self._asserting = 0
        # Whose peers are being looked for.
        self._looking: set[str] = set()
        self._ticker: asyncio.Task[None] | None = None

    @property
    def ready(self) -> bool:
        """Whether rooms can be entered now."""
        bus = self._bus
        return bus.up and bus.settled and bus.holds and self._asserted == bus.lease.term

    def start(self) -> None:
        """Begin; once the bus has."""
        self._ticker = asyncio.get_running_loop().create_task(self._tick(), name="dyad-upkeep")

    async def stop(self) -> None:
        """End."""
        if self._ticker is not None:
            self._ticker.cancel()
            await asyncio.gather(self._ticker, return_exceptions=True)

    def expired(self) -> None:
        """The lease may have run out: others may sit where peers on other nodes did."""
        for seat, _ in self._seating.crossed():
            self._seating.lose(seat)

    async def _tick(self) -> None:
        ticks = 0
        while True:
            await asyncio.sleep(TICK_SECONDS)
            ticks += 1
            self._bus.check()
            if not self._bus.holds:
                continue
            now = time.monotonic()
            self._resend(now)
            if ticks % _WATCH_TICKS == 0:
                self._watch()
            self._keep(ticks % _KEEP_TICKS)
            if ticks % _KEEP_TICKS == 0:
                self._seating.forget(now)

    # Peers.

    def look(
        self, seat: Seat, peer: Peer, *, silent: bool = False, node_gone: bool = False
    ) -> None:
        """See where a peer is now.

        Args:
            seat: whose peer.
            peer: who.
            silent: it has not acknowledged for too long.
            node_gone: the node that it was on is gone.
        """
        seating = self._seating

        def seen(answer: Answer) -> None:
            self._looking.discard(seat.member.id)
            if seat.peer is not peer or not seating.has(seat) or seating.is_here(peer):
                return
            absent, peer.absent_since = peer.absent_since, None
            # One that is parked, or replaced, another node will speak of.
            match answer:
                case [b"absent"]:
                    peer.absent_since = time.monotonic() if absent is None else absent
                case [b"forgotten"]:
                    self._seat_is_lost(seat)
                case [b"gone"]:
                    seating.peer_left(seat.member.id, seat.peer_id, Departure.DISCONNECTED)
                case [b"there", node] if seating.where(seat.peer_id, node.decode()) != peer.node:
                    seating.peer_moved(seat, seat.peer_id, node.decode())
                case [b"there", _] if silent or (peer.doubtful and peer.node):
                    seating.lose(seat)

        # Until then its node may not have said again that it is there.
        if self.ready and seat.member.id not in self._looking:
            # Once at a time: where Redis is slow, more questions make it slower.
            self._looking.add(seat.member.id)
            key = self._bus.key("room", seat.room_id)
            since = peer.absent_since
            late = since is not None and time.monotonic() - since > _ABSENT_SECONDS
            arguments = [peer.member.id, int(late or node_gone)]
            self._bus.script("watch", [key], arguments, seen, _LOOK_SECONDS)

    def _resend(self, now: float) -> None:
        """Send again what stands unacknowledged, and look after those who are silent."""
        for who, to in self._seating.crossing.resend(now):
            seat = self._seating.get(who)
            if seat is not None and seat.peer is not None and seat.peer_id == to:
                self.look(seat, seat.peer, silent=True)
            elif seat is not None:
                self._seating.crossing.drop((who, to))

    def _watch(self) -> None:
        """See whether the nodes of peers are there."""
        bus = self._bus
        peers: dict[str, list[Seat]] = {}
        for seat, peer in self._seating.crossed():
            if peer.doubtful or not peer.node or peer.absent_since is not None:
                self.look(seat, peer)
            else:
                peers.setdefault(peer.node, []).append(seat)

        def watched(seats: list[Seat], there: Any) -> None:
            if there == 0:
                for seat in seats:
                    if seat.peer is not None:
                        self.look(seat, seat.peer, node_gone=True)

        for node, seats in peers.items():
            bus.script("there", [bus.key("node", node)], [node], partial(watched, seats), 1.0)

    def _keep(self, turn: int) -> None:
        """Keep the rooms of those whose turn it is, and look after their peers."""
        for seat in self._seating:
            if not seat.seated or hash(seat.member.id) % _KEEP_TICKS != turn:
                continue
            here = seat.peer is not None and self._seating.is_here(seat.peer)
            if not here or not seat.polite:
                # Of two who are both here, one keeps the room for both.
                members = [seat.member.id, seat.peer_id] if here else [seat.member.id]
                key = self._bus.key("room", seat.room_id)
                arguments = [ROOM_LIFE_MS, *members]
                self._bus.script("keep", [key], arguments, self._kept, _LOOK_SECONDS)
            if seat.peer is not None and not here:
                self.look(seat, seat.peer)

    def _kept(self, answer: Answer) -> None:
        for member_id in answer[1:] if answer and answer[0] == b"ok" else []:
            seat = self._seating.get(member_id.decode())
            if seat is not None:
                self._seat_is_lost(seat)

    # Saying again who sits here.

    def _seat_is_lost(self, seat: Seat) -> None:
        """Redis has lost a seat: its room was evicted, or expired by a step of the clock."""
        self.say_again(seat)
        peer = seat.peer
        if peer is None:
            return
        here = self._seating.get(peer.member.id)
        if here is not None:
            self.say_again(here)
        else:
            # Its node may not have noticed yet, and must before anybody looks for it.
            self._seating.send(seat, peer, ["forgotten"])

    def say_again(self, seat: Seat) -> None:
        """Say in Redis that somebody sits here."""
        if self.ready and seat.seated and self._seating.has(seat):
            assertion = self._assertion(seat, lambda _: None)
            self._bus.script("assert", *assertion, _LOOK_SECONDS)

    def renewed(self) -> None:
        """Assert all who sit here, if Redis has forgotten or this node's lease was gone."""
        lease = self._bus.lease
        known = lease.generation == self._generation and not (lease.fenced or lease.lapsed)
        if known or self._asserting:
            return
        self._generation = lease.generation
        seats = [seat for seat in self._seating if seat.seated]
        self._asserting = len(seats) + 1
        self._bus.begin_term([self._assertion(seat, self._one_more) for seat in seats])
        self._one_more([b"ok"])

    def assert_late(self, seat: Seat, term: int) -> None:
        """Assert one who was seated in an earlier `term`, if it is over."""

        def asserted(answer: Answer) -> None:
            if answer is None or answer == [b"again"]:
                self._generation = ""

        if term != self._bus.lease.term and self._seating.has(seat):
            self._bus.script("assert", *self._assertion(seat, asserted), _LOOK_SECONDS)

    def _one_more(self, answer: Answer) -> None:
        """One more of all is asserted."""
        lease = self._bus.lease
        self._asserting -= 1
        if answer is None or answer == [b"again"]:
            self._generation = ""
        # If the lease lapsed meanwhile, the next renewal begins one more term.
        if self._asserting == 0 and self._generation == lease.generation and not lease.lapsed:
            self._asserted = lease.term
            lease.regain(time.monotonic())

    def _assertion(
        self, seat: Seat, done: Callable[[Answer], None]
    ) -> tuple[list[str], list[Any], Callable[[Answer], None]]:
        def asserted(answer: Answer) -> None:
            if self._seating.has(seat):
                if answer == [b"replaced"]:
                    self._seating.evict(seat.member.id)
                elif answer == [b"lost"]:
                    self._seating.lose(seat)
                elif answer == [b"ok"] and seat.peer and not self._seating.is_here(seat.peer):
                    # If that one was told otherwise, it says so.
                    self._seating.send(seat, seat.peer, ["here"])
            done(answer)

        member = written(seat.member)
        arguments = [member, int(seat.polite), seat.epoch, seat.peer_id, ROOM_LIFE_MS]
        return [self._bus.key("room", seat.room_id)], arguments, asserted
