"""Rooms in Redis: for several nodes. Scripts in `lua/`, the round trips in `bus`.

Who sits where is decided in Redis, by one script on one key. Two who sit on
the same node speak to each other without it; two on different nodes over a
`links` pair on the nodes' inboxes.
"""

import asyncio
import json
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from dyad_server.broker import Deliver, nobody
from dyad_server.bus import LEASE_SECONDS, Bus, Message
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

_ENTER_SECONDS = 2.0
_FREE_SECONDS = 60.0
_TICK_SECONDS = 0.25
_WATCH_TICKS = 4
_MISSES = 2
ROOM_LIFE_MS = 120_000
_KEEP_TICKS = 32
_MOVED_SECONDS = 60.0

Pack = Callable[[object], bytes]
Unpack = Callable[[bytes], object]
MakeBus = Callable[[Callable[[list[Message]], None], Callable[[], None]], Bus]


@dataclass(slots=True)
class _Peer:
    member: Member
    node: str


@dataclass(slots=True)
class _Seat:
    member: Member
    room_id: str
    polite: bool = False
    epoch: int = 0
    held: bool = False
    seated: bool = False
    gone: bool = False
    peer: _Peer | None = None
    # What was asked before Redis' answer to the entering.
    waiting: deque[Callable[[], None]] = field(default_factory=deque)


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
        self.bus = self._bus = make_bus(self._hear, self._renewed)
        self._seats: dict[str, _Seat] = {}
        self._moved: dict[str, float] = {}
        self._crossing = Crossing(self._bus, self._presence, self._act)
        # Set by the fleet: what nodes ask each other.
        self.asked: Callable[[Message], None] = lambda _: None
        self._misses: dict[str, int] = {}
        self._generation = ""
        self._fenced = False
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
        return (
            self._bus.up
            and self._bus.settled
            and not self._fenced
            and self._bus.generation == self._generation
        )

    async def start(self) -> None:
        """Connect.

        Raises:
            ConfigError: Redis is not there, or is not fit.
        """
        await self._bus.start()
        self._generation = self._bus.generation
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
        seat = self._seats[member.id] = _Seat(member, room_id)
        if self._ready_soon():
            self._ask(seat, create, reply_to, time.monotonic() + _ENTER_SECONDS)
        else:
            self._entered(seat, create, reply_to, None, 0.0)

    def leave(self, room_id: str, member_id: str, reason: Departure, *, reply_to: int) -> None:
        """See `Broker.leave`."""
        seat = self._seats.get(member_id)
        if seat is None or seat.room_id != room_id:
            self._deliver(refuse(member_id, room_id, reply_to, Refusal.NOT_IN_ROOM))
            return
        if not seat.seated:
            if reason is Departure.LEFT:
                seat.waiting.append(
                    lambda: self.leave(room_id, member_id, reason, reply_to=reply_to)
                )
            else:
                seat.gone = True
            return
        self._vacate(seat)
        if reason is Departure.LEFT:
            self._deliver(Output(member_id, room_id, reply_to, Left()))
        told = seat.peer.member.id if seat.peer else ""
        if seat.peer is not None:
            self._tell_left(seat, seat.peer, reason)
        self._free(seat, told, reason)

    def hold(self, room_id: str, member_id: str) -> None:
        """See `Broker.hold`."""
        self._mark(room_id, member_id, held=True)

    def resume(self, room_id: str, member_id: str) -> None:
        """See `Broker.resume`."""
        seat = self._mark(room_id, member_id, held=False)
        if seat is None:
            self._deliver(refuse(member_id, room_id, 0, Refusal.NOT_IN_ROOM))
            return
        peer = seat.peer.member if seat.peer else None
        self._deliver(Output(member_id, room_id, 0, Joined(peer, seat.polite, resumed=True)))

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
        elif seat.peer.node == self._bus.node:
            forwarded = Forwarded(seat.member, payload, size)
            self._deliver(Output(seat.peer.member.id, room_id, 0, forwarded))
        else:
            self._send(seat, seat.peer, ["relay", self._pack(payload)], size)

    # Entering.

    def _ready_soon(self) -> bool:
        return self._bus.up and not self._fenced

    def _ask(self, seat: _Seat, create: bool, reply_to: int, deadline: float) -> None:  # noqa: FBT001 - passed on
        bus = self._bus
        if not self.ready:
            # Redis has just forgotten: first all are put back, then others come in.
            self._ask_again(seat, create, reply_to, deadline)
            return
        bus.script(
            "enter",
            [bus.key("room", seat.room_id)],
            [
                bus.prefix,
                self._generation,
                bus.node,
                seat.member.id,
                _written(seat.member),
                int(create),
                ROOM_LIFE_MS,
            ],
            lambda answer: self._entered(seat, create, reply_to, answer, deadline),
            deadline - time.monotonic(),
        )

    def _ask_again(self, seat: _Seat, create: bool, reply_to: int, deadline: float) -> None:  # noqa: FBT001 - passed on
        if seat.gone or time.monotonic() >= deadline:
            self._entered(seat, create, reply_to, None, 0.0)
            return
        asyncio.get_running_loop().call_later(
            _TICK_SECONDS, lambda: self._ask(seat, create, reply_to, deadline)
        )

    def _entered(
        self,
        seat: _Seat,
        create: bool,  # noqa: FBT001 - passed on
        reply_to: int,
        answer: list[bytes] | None,
        deadline: float,
    ) -> None:
        member, room_id = seat.member, seat.room_id
        what = answer[0].decode() if answer else ""
        if what == "generation":
            self._ask_again(seat, create, reply_to, deadline)
            return
        if what != "ok" or answer is None or seat.gone:
            self._seats.pop(member.id, None)
            if what in ("ok", ""):
                # Perhaps it has a seat by now, and nobody sits in it.
                self._free(seat, "", Departure.DISCONNECTED)
            if not seat.gone:
                self._deliver(_answer(seat, reply_to, what))
            for call in seat.waiting:
                call()
            return
        seat.seated = True
        seat.polite = answer[1] == b"1"
        seat.epoch = int(answer[2])
        seat.peer = _read(answer[3])
        evicted = _read(answer[4])
        if evicted is not None:
            self._evict(seat, evicted)
        peer = seat.peer.member if seat.peer else None
        self._deliver(Output(member.id, room_id, reply_to, Joined(peer, seat.polite)))
        if seat.peer is not None:
            replaced = evicted is not None
            if seat.peer.node == self._bus.node:
                self._peer_joined(
                    seat.peer.member.id, member, self._bus.node, seat.epoch, replaced=replaced
                )
            else:
                written = asdict(member)
                self._send(
                    seat, seat.peer, ["joined", written, self._bus.node, seat.epoch, replaced], 0
                )
        while seat.waiting and self._seats.get(member.id) is seat:
            seat.waiting.popleft()()
        self._crossing.seated(member.id)

    def _evict(self, seat: _Seat, evicted: _Peer) -> None:
        if evicted.node == self._bus.node:
            self._evicted(evicted.member.id)
        else:
            self._send(seat, evicted, ["evicted"], 0)

    def _evicted(self, member_id: str) -> None:
        seat = self._seats.get(member_id)
        if seat is not None:
            self._vacate(seat)
            self._deliver(Output(member_id, seat.room_id, 0, Evicted()))

    # Leaving.

    def _vacate(self, seat: _Seat) -> None:
        self._seats.pop(seat.member.id, None)

    def _free(self, seat: _Seat, told: str, reason: Departure) -> None:
        bus = self._bus

        def freed(answer: list[bytes] | None) -> None:
            peer = _read(answer[1]) if answer else None
            # One who came in at the last moment, of whom this node had not heard.
            if peer is not None and peer.member.id != told:
                self._tell_left(seat, peer, reason)

        key = bus.key("room", seat.room_id)
        bus.script("leave", [key], [seat.member.id, bus.node], freed, _FREE_SECONDS)

    def _tell_left(self, seat: _Seat, peer: _Peer, reason: Departure) -> None:
        if peer.node == self._bus.node:
            self._peer_left(peer.member.id, seat.member.id, reason)
        else:
            self._send(seat, peer, ["left", reason.value], 0)

    def _mark(self, room_id: str, member_id: str, *, held: bool) -> _Seat | None:
        seat = self._seats.get(member_id)
        if seat is None or seat.room_id != room_id or not seat.seated:
            return None
        seat.held = held
        bus = self._bus
        bus.script(
            "seat",
            [bus.key("room", room_id)],
            [member_id, bus.node, int(held), bus.node, ROOM_LIFE_MS],
            lambda _: None,
            _ENTER_SECONDS,
        )
        return seat

    # What a member is told of its peer.

    def _peer_joined(
        self, to: str, member: Member, node: str, epoch: int, *, replaced: bool
    ) -> None:
        seat = self._seats.get(to)
        if seat is None or epoch <= seat.epoch:
            return
        seat.epoch = epoch
        if seat.peer is not None:
            self._peer_left(
                to,
                seat.peer.member.id,
                Departure.REPLACED if replaced else Departure.DISCONNECTED,
            )
        seat.peer = _Peer(member, node)
        self._deliver(Output(to, seat.room_id, 0, PeerJoined(member)))

    def _peer_left(self, to: str, who: str, reason: Departure) -> None:
        seat = self._seats.get(to)
        if seat is None or seat.peer is None or seat.peer.member.id != who:
            return
        peer, seat.peer = seat.peer.member, None
        self._crossing.drop((to, who))
        self._deliver(Output(to, seat.room_id, 0, PeerLeft(peer, reason)))

    # Between nodes.

    def _send(self, seat: _Seat, to: _Peer, message: Message, size: int) -> None:
        if not self._crossing.send((seat.member.id, to.member.id), to.node, message, size):
            self._lose(seat)

    def _lose(self, seat: _Seat) -> None:
        self._deliver(Output(seat.member.id, seat.room_id, 0, Lost()))

    def _hear(self, messages: list[Message]) -> None:
        if self._late():
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

    def _act(self, to: str, who: str, what: Message) -> None:
        seat = self._seats[to]
        match what:
            case ["relay", bytes(packed)]:
                if seat.peer is not None and seat.peer.member.id == who:
                    forwarded = Forwarded(seat.peer.member, self._unpack(packed), len(packed))
                    self._deliver(Output(to, seat.room_id, 0, forwarded))
            case ["joined", dict(member), str(node), int(epoch), bool(replaced)]:
                self._peer_joined(to, Member(**member), node, epoch, replaced=replaced)
            case ["left", str(reason)]:
                self._peer_left(to, who, Departure(reason))
            case ["evicted"]:
                self._evicted(to)
            case ["moved", str(node)]:
                self._peer_moved(seat, who, node)

    def _peer_moved(self, seat: _Seat, who: str, node: str) -> None:
        if seat.peer is not None and seat.peer.member.id == who:
            seat.peer.node = node
            self._crossing.reroute((seat.member.id, who), node)

    # Handing over: see `fleet`.

    def release(self, member_id: str) -> list[Any]:
        """Let go of a seat that another node will take up; what that node needs."""
        seat = self._seats.pop(member_id)
        self._moved[member_id] = time.monotonic()
        peer = seat.peer
        links = self._crossing.state(member_id, peer.member.id) if peer else []
        return [seat.polite, seat.epoch, peer and asdict(peer.member), links]

    def moved_to(self, member_id: str, node: str, state: list[Any]) -> None:
        """Tell a peer here that a member which was released is on `node` now."""
        known = state[2]
        seat = self._seats.get(known["id"]) if known else None
        if seat is not None:
            self._peer_moved(seat, member_id, node)

    def adopt(
        self, member: Member, room_id: str, state: list[Any], peer: bytes, epoch: int
    ) -> None:
        """Take up a seat that another node released.

        Args:
            member: whose.
            room_id: where.
            state: from `release`.
            peer: who is there now, as Redis has it.
            epoch: the room's now.
        """
        polite, _, known, links = state
        seat = self._seats[member.id] = _Seat(
            member, room_id, polite, epoch, held=True, seated=True
        )
        self._moved.pop(member.id, None)
        now_there = _read(peer)
        if known is None:
            return
        # Who has gone or come meanwhile will say so, on the link that goes on.
        node = now_there.node if now_there and now_there.member.id == known["id"] else ""
        seat.peer = _Peer(Member(**known), node)
        self._crossing.restore(member.id, known["id"], node, links)
        here = self._seats.get(known["id"])
        if here is not None:
            self._peer_moved(here, member.id, self._bus.node)
            self._crossing.reroute((member.id, known["id"]), self._bus.node)
        else:
            self._send(seat, seat.peer, ["moved", self._bus.node], 0)

    # Time.

    def _late(self) -> bool:
        """Whether the lease may have run out: then what is heard is for nobody."""
        if time.monotonic() <= self._bus.lease_until:
            return self._fenced
        if not self._fenced:
            self._fenced = True
            for seat in tuple(self._seats.values()):
                if seat.peer is not None and seat.peer.node != self._bus.node:
                    self._lose(seat)
        return True

    async def _tick(self) -> None:
        ticks = 0
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            ticks += 1
            if self._late():
                continue
            now = time.monotonic()
            for member_id in self._crossing.resend(now):
                if (seat := self._seats.get(member_id)) is not None:
                    self._lose(seat)
            if ticks % _WATCH_TICKS == 0:
                self._watch()
            if ticks % _KEEP_TICKS == 0:
                self._keep(now)

    def _watch(self) -> None:
        """See whether the nodes of peers are there."""
        bus = self._bus
        for node in {
            seat.peer.node
            for seat in self._seats.values()
            if seat.peer is not None and seat.peer.node != bus.node
        }:
            bus.command(
                lambda pipe, node=node: pipe.exists(bus.key("node", node)),  # type: ignore[misc]
                lambda there, node=node: self._watched(node, there),  # type: ignore[misc]
                _TICK_SECONDS,
            )

    def _watched(self, node: str, there: int | None) -> None:
        if there is None or there or not self.ready:
            self._misses.pop(node, None)
            return
        # Twice, because a lease may be late.
        self._misses[node] = self._misses.get(node, 0) + 1
        if self._misses[node] >= _MISSES:
            for seat in tuple(self._seats.values()):
                if seat.peer is not None and seat.peer.node == node:
                    self._look(seat, seat.peer)

    def _look(self, seat: _Seat, peer: _Peer) -> None:
        """See where a peer is now."""

        def seen(answer: list[bytes] | None) -> None:
            match answer:
                case [b"gone"]:
                    self._peer_left(seat.member.id, peer.member.id, Departure.DISCONNECTED)
                case [b"there", node]:
                    self._peer_moved(seat, peer.member.id, node.decode())

        key = self._bus.key("room", seat.room_id)
        self._bus.script("watch", [key], [self._bus.prefix, peer.member.id], seen, _ENTER_SECONDS)

    def _keep(self, now: float) -> None:
        bus = self._bus
        for seat in tuple(self._seats.values()):
            if not seat.seated:
                continue
            bus.command(
                lambda pipe, seat=seat: pipe.pexpire(  # type: ignore[misc]
                    bus.key("room", seat.room_id), ROOM_LIFE_MS
                ),
                lambda _: None,
                LEASE_SECONDS,
            )
            if seat.peer is not None and seat.peer.node != bus.node:
                self._look(seat, seat.peer)
        self._crossing.forget(now)
        for member_id, moved_at in tuple(self._moved.items()):
            if now - moved_at > _MOVED_SECONDS:
                del self._moved[member_id]

    def _renewed(self) -> None:
        bus = self._bus
        forgotten = bus.generation != self._generation
        if not forgotten and not self._fenced:
            return
        generation = bus.generation
        for seat in tuple(self._seats.values()):
            if seat.seated:
                bus.script(
                    "assert",
                    [bus.key("room", seat.room_id)],
                    [
                        bus.node,
                        seat.member.id,
                        _written(seat.member, node=bus.node, held=seat.held),
                        int(seat.polite),
                        seat.epoch,
                        int(forgotten),
                        ROOM_LIFE_MS,
                    ],
                    lambda answer, seat=seat: self._asserted(seat, answer),  # type: ignore[misc]
                    LEASE_SECONDS,
                )

        def all_asserted(_: Any) -> None:
            self._generation = generation
            self._fenced = False

        bus.command(lambda pipe: pipe.ping(), all_asserted, LEASE_SECONDS)

    def _asserted(self, seat: _Seat, answer: list[bytes] | None) -> None:
        if answer is not None and answer[0] != b"ok" and self._seats.get(seat.member.id) is seat:
            self._lose(seat)


def _answer(seat: _Seat, reply_to: int, what: str) -> Output:
    if what == "full":
        return refuse(seat.member.id, seat.room_id, reply_to, Refusal.ROOM_FULL)
    if what == "not found":
        return refuse(seat.member.id, seat.room_id, reply_to, Refusal.ROOM_NOT_FOUND)
    event: Event = Unserved()
    return Output(seat.member.id, seat.room_id, reply_to, event)


def _written(member: Member, *, node: str = "", held: bool = False) -> str:
    return json.dumps(
        {
            "id": member.id,
            "user": member.user_id,
            "email": member.email,
            "node": node,
            "held": held,
        }
    )


def _read(text: bytes) -> _Peer | None:
    if not text:
        return None
    seat = json.loads(text)
    return _Peer(Member(seat["id"], seat["user"], seat["email"]), seat["node"])
