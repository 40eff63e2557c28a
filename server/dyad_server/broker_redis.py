"""Rooms in Redis: for several nodes. Scripts in `lua/`, the round trips in `bus`.

Who sits where is decided in Redis, by one script on one key. Two who sit on
the same node speak to each other without it; two on different nodes over a
`links` pair on the nodes' inboxes.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import Any

from dyad_server.broker import Deliver, nobody
from dyad_server.bus import Bus, Message
from dyad_server.crossing import Crossing, Presence
from dyad_server.rooms import (
    Departure,
    Event,
    Evicted,
    Forwarded,
    Joined,
    Left,
    Lost,
    Member,
    Output,
    PeerJoined,
    PeerLeft,
    Refusal,
    Unserved,
    refuse,
)
from dyad_server.seats import Peer, Seat, read, written

_ENTER_SECONDS = 1.5
_RESUME_SECONDS = 1.0
# For the answer; the seat is freed also later.
_LEAVE_SECONDS = 1.0
_PERSIST_SECONDS = 60.0
_LOOK_SECONDS = 2.0
_TICK_SECONDS = 0.25
_WATCH_TICKS = 4
_KEEP_TICKS = 32
ROOM_LIFE_MS = 120_000
_MOVED_SECONDS = 60.0

Pack = Callable[[object], bytes]
Unpack = Callable[[bytes], object]
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

    def __init__(self, make_bus: MakeBus, pack: Pack, unpack: Unpack) -> None:
        """Reach Redis by the bus that `make_bus` makes; `pack` payloads for other nodes."""
        self._deliver: Deliver = nobody
        self._pack = pack
        self._unpack = unpack
        self.bus = self._bus = make_bus(self._hear, self._renewed, self._expired)
        self._seats: dict[str, Seat] = {}
        self._moved: dict[str, float] = {}
        self._crossing = Crossing(self._bus, self._presence, self._act, self._apart)
        # Set by the fleet: what nodes ask each other.
        self.asked: Callable[[Message], None] = lambda _: None
        # The generation and the term in which all who sit here are asserted,
        # and how many still have to be.
        self._generation = ""
        self._asserted = 0
        self._asserting = 0
        self._ticker: asyncio.Task[None] | None = None

    def deliver_to(self, deliver: Deliver) -> None:
        """See `Broker.deliver_to`."""
        self._deliver = deliver

    @property
    def node(self) -> str:
        """See `Broker.node`."""
        return self._bus.node

    @property
    def ready(self) -> bool:
        """Whether rooms can be entered now."""
        bus = self._bus
        return bus.up and bus.settled and bus.holds and self._asserted == bus.term

    async def start(self) -> None:
        """Connect.

        Raises:
            ConfigError: Redis is not there, or is not fit.
        """
        await self._bus.start()
        self._ticker = asyncio.get_running_loop().create_task(self._tick(), name="dyad-links")

    async def stop(self) -> None:
        """Say what is still to be said, and end."""
        if self._ticker is not None:
            self._ticker.cancel()
            await asyncio.gather(self._ticker, return_exceptions=True)
        await self._bus.stop()

    # What a member asks for.

    def enter(self, room_id: str, member: Member, *, create: bool, reply_to: int) -> None:
        """See `Broker.enter`."""
        seat = self._seats[member.id] = Seat(member, room_id)
        self._ask(seat, [int(create), ROOM_LIFE_MS], reply_to, time.monotonic() + _ENTER_SECONDS)

    def leave(self, room_id: str, member_id: str, reason: Departure, *, reply_to: int) -> None:
        """See `Broker.leave`."""
        seat = self._seats.get(member_id)
        if seat is None or seat.room_id != room_id:
            self._deliver(refuse(member_id, room_id, reply_to, Refusal.NOT_IN_ROOM))
        elif seat.seated:
            del self._seats[member_id]
            self._free(seat, reason, reply_to)
        elif reason is Departure.LEFT:
            seat.waiting.append(lambda: self.leave(room_id, member_id, reason, reply_to=reply_to))
        else:
            seat.gone = True

    def hold(self, room_id: str, member_id: str) -> None:
        """See `Broker.hold`."""
        seat = self._seats.get(member_id)
        if seat is not None and seat.room_id == room_id and seat.seated:
            self._mark(seat, lambda _: None, held=True)

    def resume(self, room_id: str, member_id: str) -> None:
        """See `Broker.resume`."""
        seat = self._seats.get(member_id)
        if seat is None or seat.room_id != room_id or not seat.seated:
            self._deliver(Output(member_id, room_id, 0, Lost()))
            return

        def marked(answer: list[bytes] | None) -> None:
            if self._seats.get(member_id) is not seat:
                return
            if answer == [b"none"] and self.ready:
                # Its user has just taken it anew, on another node.
                self._lose(seat)
                return
            peer = seat.peer.member if seat.peer else None
            self._deliver(Output(member_id, room_id, 0, Joined(peer, seat.polite, resumed=True)))

        self._mark(seat, marked, held=False)

    def relay(
        self, room_id: str, member_id: str, payload: object, *, size: int, reply_to: int
    ) -> None:
        """See `Broker.relay`."""
        seat = self._seats.get(member_id)
        if seat is None or seat.room_id != room_id:
            self._deliver(refuse(member_id, room_id, reply_to, Refusal.NOT_IN_ROOM))
        elif not seat.seated:
            seat.waiting.append(
                lambda: self.relay(room_id, member_id, payload, size=size, reply_to=reply_to)
            )
        elif seat.peer is None:
            self._deliver(refuse(member_id, room_id, reply_to, Refusal.PEER_ABSENT))
        elif seat.peer.node == self.node:
            forwarded = Forwarded(seat.member, payload, size)
            self._deliver(Output(seat.peer_id, room_id, 0, forwarded))
        else:
            self._send(seat, seat.peer, ["relay", self._pack(payload)], size)

    # Entering.

    def _ask(self, seat: Seat, terms: list[int], reply_to: int, deadline: float) -> None:
        """Ask for a seat on these `terms`, as soon as all who had one have it again."""
        left = deadline - time.monotonic()
        if seat.gone or left <= 0 or not self._bus.holds:
            self._entered(seat, reply_to, None)
            return

        def later() -> None:
            asyncio.get_running_loop().call_later(
                min(_TICK_SECONDS, left), self._ask, seat, terms, reply_to, deadline
            )

        def answered(answer: list[bytes] | None) -> None:
            if answer == [b"again"]:
                self._bus.hurry()
                later()
            else:
                self._entered(seat, reply_to, answer)

        if self.ready:
            self._script("enter", seat, [written(seat.member), *terms], answered, left)
        else:
            later()

    def _entered(self, seat: Seat, reply_to: int, answer: list[bytes] | None) -> None:
        what = answer[0].decode() if answer else ""
        if answer is not None and what == "ok" and not seat.gone:
            self._seat(seat, reply_to, answer)
        else:
            del self._seats[seat.member.id]
            if what in ("ok", ""):
                # Perhaps it has a seat by now, and nobody sits in it.
                self._free(seat, Departure.DISCONNECTED)
            if not seat.gone:
                self._deliver(_answer(seat, reply_to, what))
        while seat.waiting:
            seat.waiting.popleft()()
        self._crossing.seated(seat.member.id)

    def _seat(self, seat: Seat, reply_to: int, answer: list[bytes]) -> None:
        _, term, polite, epoch, peer, evicted = answer
        seat.seated = True
        seat.polite = polite == b"1"
        seat.epoch = int(epoch)
        seat.peer = read(peer)
        before = read(evicted)
        if before is not None and before.node == self.node:
            self._evicted(before.member.id)
        elif before is not None:
            self._send(seat, before, ["evicted"], 0)
        known = seat.peer.member if seat.peer else None
        self._deliver(Output(seat.member.id, seat.room_id, reply_to, Joined(known, seat.polite)))
        if seat.peer is not None:
            self._tell_joined(seat, seat.peer, replaced=before is not None)
        if int(term) != self._bus.term:
            self._assert(seat)

    def _tell_joined(self, seat: Seat, peer: Peer, *, replaced: bool) -> None:
        if peer.node == self.node:
            self._peer_joined(peer.member.id, seat.member, self.node, seat.epoch, replaced=replaced)
        else:
            news = ["joined", asdict(seat.member), self.node, seat.epoch, replaced]
            self._send(seat, peer, news, 0)

    def _evicted(self, member_id: str) -> None:
        seat = self._seats.pop(member_id, None)
        if seat is not None:
            self._deliver(Output(member_id, seat.room_id, 0, Evicted()))

    # Leaving.

    def _free(self, seat: Seat, reason: Departure, reply_to: int = 0) -> None:
        """Free a seat in Redis, then tell whom it concerns; without Redis, only tell."""

        def freed(answer: list[bytes] | None) -> None:
            if reason is Departure.LEFT:
                self._deliver(Output(seat.member.id, seat.room_id, reply_to, Left()))
            # Perhaps somebody came at the last moment, of whom this node had not heard.
            there = read(answer[1]) if answer and answer[0] == b"ok" else None
            for peer in {p.member.id: p for p in (seat.peer, there) if p}.values():
                self._tell_left(seat, peer, reason)

        patience = _LEAVE_SECONDS if self._bus.up and self._bus.holds else 0.0
        self._script("leave", seat, [seat.member.id], freed, patience, persist=_PERSIST_SECONDS)

    def _tell_left(self, seat: Seat, peer: Peer, reason: Departure) -> None:
        if peer.node == self.node:
            self._peer_left(peer.member.id, seat.member.id, reason)
        else:
            self._send(seat, peer, ["left", reason.value], 0)

    def _lose(self, seat: Seat) -> None:
        self._deliver(Output(seat.member.id, seat.room_id, 0, Lost()))

    def _mark(self, seat: Seat, then: Callable[[list[bytes] | None], None], *, held: bool) -> None:
        seat.held = held
        arguments = [seat.member.id, int(held), ROOM_LIFE_MS]
        patience = _RESUME_SECONDS if self._bus.up else 0.0
        self._script("seat", seat, arguments, then, patience, persist=_PERSIST_SECONDS)

    # What a member is told of its peer.

    def _peer_joined(
        self, to: str, member: Member, node: str, epoch: int, *, replaced: bool
    ) -> None:
        seat = self._seats.get(to)
        if seat is None or epoch <= seat.epoch:
            return
        seat.epoch = epoch
        reason = Departure.REPLACED if replaced else Departure.DISCONNECTED
        self._peer_left(to, seat.peer_id, reason)
        seat.peer = Peer(member, node)
        self._deliver(Output(to, seat.room_id, 0, PeerJoined(member)))

    def _peer_left(self, to: str, who: str, reason: Departure) -> None:
        seat = self._seats.get(to)
        if seat is None or seat.peer is None or seat.peer_id != who:
            return
        peer, seat.peer = seat.peer.member, None
        self._crossing.drop((to, who))
        self._deliver(Output(to, seat.room_id, 0, PeerLeft(peer, reason)))

    def _peer_moved(self, seat: Seat, who: str, node: str) -> None:
        if seat.peer is not None and seat.peer_id == who:
            seat.peer.node = node
            seat.peer.doubtful = False
        self._crossing.reroute((seat.member.id, who), node)

    # Between nodes.

    def _send(self, seat: Seat, to: Peer, message: Message, size: int) -> None:
        if not self._crossing.send((seat.member.id, to.member.id), to.node, message, size):
            self._lose(seat)

    def _hear(self, messages: list[Message]) -> None:
        self._bus.check()
        if not self._bus.holds:
            return
        self._crossing.hear(messages)
        for message in messages:
            if message[0] in ("ask", "answer"):
                self.asked(message)

    def _presence(self, member_id: str) -> Presence:
        seat = self._seats.get(member_id)
        if seat is not None:
            return Presence.SEATED if seat.seated else Presence.ENTERING
        return Presence.MOVED if member_id in self._moved else Presence.UNKNOWN

    def _act(self, to: str, who: str, what: Message) -> bool:
        seat = self._seats.get(to)
        peers = seat is not None and seat.peer_id == who
        match what:
            case ["relay", bytes(packed)] if seat is not None and seat.peer is not None and peers:
                if self._bus.holds:
                    forwarded = Forwarded(seat.peer.member, self._unpack(packed), len(packed))
                    self._deliver(Output(to, seat.room_id, 0, forwarded))
            case ["joined", dict(member), str(node), int(epoch), bool(replaced)]:
                self._peer_joined(to, Member(**member), node, epoch, replaced=replaced)
                return True
            case ["left", str(reason)]:
                self._peer_left(to, who, Departure(reason))
                return True
            case ["evicted"]:
                self._evicted(to)
                return True
            case ["moved", str(node)] if seat is not None:
                self._peer_moved(seat, who, node)
            case ["moved", str(node)]:
                # What one said who has gone since, and that it went.
                self._crossing.reroute((to, who), node)
        return peers

    def _apart(self, member_id: str, peer_id: str) -> None:
        seat = self._seats.get(member_id)
        if seat is not None and seat.peer is not None and seat.peer_id == peer_id:
            seat.peer.doubtful = True
            self._look(seat, seat.peer)

    def _look(self, seat: Seat, peer: Peer, *, silent: bool = False) -> None:
        """See where a peer is now; `silent`: it has not acknowledged for too long."""

        def seen(answer: list[bytes] | None) -> None:
            if seat.peer is not peer or self._seats.get(seat.member.id) is not seat:
                return
            match answer:
                case [b"gone"]:
                    self._peer_left(seat.member.id, seat.peer_id, Departure.DISCONNECTED)
                case [b"there", node] if node.decode() != peer.node:
                    self._peer_moved(seat, seat.peer_id, node.decode())
                case [b"there", _] if silent or peer.doubtful:
                    self._lose(seat)

        # Until then its node may not have said again that it is there.
        if self.ready:
            self._script("watch", seat, [peer.member.id], seen, _LOOK_SECONDS)

    def _script(
        self,
        name: str,
        seat: Seat,
        arguments: list[Any],
        then: Callable[[list[bytes] | None], None],
        seconds: float,
        *,
        persist: float = 0.0,
    ) -> None:
        key = self._bus.key("room", seat.room_id)
        self._bus.script(name, [key], arguments, then, seconds, persist=persist)

    # Handing over: see `fleet`.

    def release(self, member_id: str) -> tuple[Seat, list[Any]] | None:
        """Let go of a seat that another node may take up.

        Returns:
            The seat, and what that node needs: which it is, the epoch, its peer
            if it has one, the links between the two. None: it has no seat.
        """
        seat = self._seats.get(member_id)
        if seat is None or not seat.seated:
            return None
        del self._seats[member_id]
        self._moved[member_id] = time.monotonic()
        peer = seat.peer
        if peer is None:
            return seat, [seat.polite, seat.epoch, None, []]
        here = self._seats.get(peer.member.id)
        if here is not None and here.peer is not None:
            here.peer.node = ""
        links = self._crossing.state(member_id, peer.member.id)
        return seat, [seat.polite, seat.epoch, [asdict(peer.member), peer.node], links]

    def forsake(self, seat: Seat) -> None:
        """Free a seat that was released, and that no other node will take up."""
        self._free(seat, Departure.DISCONNECTED)

    def adopt(self, member: Member, room_id: str, state: list[Any], peer: bytes, term: int) -> None:
        """Take up a seat that another node released.

        Args:
            member: whose.
            room_id: where.
            state: from `release`.
            peer: who is there now, as Redis has it.
            term: of this node's, in which Redis gave it the seat.
        """
        polite, epoch, known, links = state
        # What has changed since that epoch will be told, on the link that goes on.
        seat = self._seats[member.id] = Seat(member, room_id, polite, epoch, held=True, seated=True)
        self._moved.pop(member.id, None)
        if known is not None:
            self._go_on(seat, Member(**known[0]), known[1], peer, links)
        if term != self._bus.term:
            self._assert(seat)

    def _go_on(self, seat: Seat, known: Member, node: str, peer: bytes, links: list[Any]) -> None:
        """Go on with a peer that was last on `node`."""
        there = read(peer)
        if there is not None and there.member.id == known.id:
            node = there.node
        self._crossing.restore(seat.member.id, known.id, links)
        here = self._seats.get(known.id)
        if here is not None:
            seat.peer = Peer(known, self.node)
            self._peer_moved(here, seat.member.id, self.node)
            self._crossing.reroute((seat.member.id, known.id), self.node)
        else:
            seat.peer = Peer(known, node)
            self._crossing.reroute((seat.member.id, known.id), node)
            self._send(seat, seat.peer, ["moved", self.node], 0)

    # Time.

    def _expired(self) -> None:
        for seat in self._crossed():
            self._lose(seat)

    def _crossed(self) -> list[Seat]:
        """Those whose peer is not on this node."""
        seats = self._seats.values()
        return [seat for seat in seats if seat.peer and seat.peer.node != self.node]

    async def _tick(self) -> None:
        ticks = 0
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            ticks += 1
            self._bus.check()
            if not self._bus.holds:
                continue
            now = time.monotonic()
            for who, to in self._crossing.resend(now):
                seat = self._seats.get(who)
                if seat is not None and seat.peer is not None and seat.peer_id == to:
                    self._look(seat, seat.peer, silent=True)
                elif seat is not None:
                    self._crossing.drop((who, to))
            if ticks % _WATCH_TICKS == 0:
                self._watch()
            self._keep(ticks % _KEEP_TICKS)
            if ticks % _KEEP_TICKS == 0:
                self._forget(now)

    def _watch(self) -> None:
        """See whether the nodes of peers are there."""
        bus = self._bus
        peers: dict[str, list[Seat]] = {}
        for seat in self._crossed():
            if seat.peer is not None and (seat.peer.doubtful or not seat.peer.node):
                self._look(seat, seat.peer)
            elif seat.peer is not None:
                peers.setdefault(seat.peer.node, []).append(seat)

        def watched(seats: list[Seat], there: int | None) -> None:
            if there == 0:
                for seat in seats:
                    if seat.peer is not None:
                        self._look(seat, seat.peer)

        for node, seats in peers.items():
            key = bus.key("node", node)
            bus.command(lambda pipe, key=key: pipe.exists(key), partial(watched, seats), 1.0)  # type: ignore[misc]

    def _keep(self, turn: int) -> None:
        """Keep the rooms of those whose turn it is, and look after their peers."""
        bus = self._bus
        for seat in tuple(self._seats.values()):
            if not seat.seated or hash(seat.member.id) % _KEEP_TICKS != turn:
                continue
            key = bus.key("room", seat.room_id)
            bus.command(
                lambda pipe, key=key: pipe.pexpire(key, ROOM_LIFE_MS, gt=True),  # type: ignore[misc]
                lambda _: None,
                _LOOK_SECONDS,
            )
            if seat.peer is not None and seat.peer.node != self.node:
                self._look(seat, seat.peer)

    def _forget(self, now: float) -> None:
        self._crossing.forget(now)
        for member_id, moved_at in tuple(self._moved.items()):
            if now - moved_at > _MOVED_SECONDS:
                del self._moved[member_id]

    # Saying again who sits here.

    def _renewed(self) -> None:
        """Assert all who sit here, if Redis has forgotten or this node's lease was gone."""
        bus = self._bus
        known = bus.generation == self._generation and not (bus.fenced or bus.lapsed)
        if known or self._asserting:
            return
        self._generation = bus.generation
        seats = [seat for seat in self._seats.values() if seat.seated]
        self._asserting = len(seats) + 1
        bus.begin_term([self._assertion(seat, self._all_asserted) for seat in seats])
        self._all_asserted([b"ok"])

    def _all_asserted(self, answer: list[bytes] | None) -> None:
        """One more has been."""
        bus = self._bus
        self._asserting -= 1
        if answer is None or answer == [b"again"]:
            self._generation = ""
        if self._asserting == 0 and self._generation == bus.generation:
            self._asserted = bus.term
            bus.regain()

    def _assert(self, seat: Seat) -> None:
        """Assert one who sat down while the others were asserted."""

        def asserted(answer: list[bytes] | None) -> None:
            if answer is None or answer == [b"again"]:
                self._generation = ""

        keys, arguments, then = self._assertion(seat, asserted)
        self._bus.script("assert", keys, arguments, then, _LOOK_SECONDS)

    def _assertion(
        self, seat: Seat, done: Callable[[list[bytes] | None], None]
    ) -> tuple[list[str], list[Any], Callable[[list[bytes] | None], None]]:
        def asserted(answer: list[bytes] | None) -> None:
            if self._seats.get(seat.member.id) is seat:
                if answer == [b"lost"]:
                    self._lose(seat)
                elif answer == [b"ok"] and seat.peer and seat.peer.node != self.node:
                    # If that one was told otherwise, it says so.
                    self._send(seat, seat.peer, ["here"], 0)
            done(answer)

        member = written(seat.member, held=seat.held)
        arguments = [member, int(seat.polite), seat.epoch, seat.peer_id, ROOM_LIFE_MS]
        return [self._bus.key("room", seat.room_id)], arguments, asserted


def _answer(seat: Seat, reply_to: int, what: str) -> Output:
    if what == "full":
        return refuse(seat.member.id, seat.room_id, reply_to, Refusal.ROOM_FULL)
    if what == "not found":
        return refuse(seat.member.id, seat.room_id, reply_to, Refusal.ROOM_NOT_FOUND)
    event: Event = Unserved()
    return Output(seat.member.id, seat.room_id, reply_to, event)
