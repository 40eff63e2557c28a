"""Rooms in several Redis: which one has a room is all that is decided here.

Each Redis has an engine of its own, with its own lease, inbox and reconciliation.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from dyad_server.core.clock import Clock
from dyad_server.core.events import Departure, Member, Output, Refusal, Refused
from dyad_server.core.ports import Deliver, Fleet
from dyad_server.core.room_ids import new_room_id
from dyad_server.engines.redis import bounds
from dyad_server.engines.redis.addresses import Address, Use, places
from dyad_server.engines.redis.engine import RedisBroker
from dyad_server.engines.redis.messages import NodeMessage
from dyad_server.engines.redis.store import Seal
from dyad_server.errors import ConfigError

MakeBroker = Callable[[Address, Deliver], RedisBroker]


class _Ask(NamedTuple):
    """One question for a seat, in a search.

    Attributes:
        broker: the engine that is asked.
        create: whether it creates the room.
        seal: what it does with the seal of the room.
    """

    broker: RedisBroker
    create: bool = False
    seal: Seal = Seal.IGNORE


@dataclass(slots=True)
class _Search:
    """A member enters a room that may be in either of two Redis.

    Attributes:
        left: what is still to be asked; each if the one before does not find the room.
        waiting: what the member asked for meanwhile.
    """

    room_id: str
    member: Member
    reply_to: int
    deadline: float
    left: deque[_Ask]
    waiting: deque[Callable[[], None]] = field(default_factory=deque)


class ShardedBroker:
    """A `Broker` with an engine for each Redis. The node has one name in all of them."""

    def __init__(
        self, addresses: Sequence[Address], make: MakeBroker, deliver: Deliver, clock: Clock
    ) -> None:
        """Share the rooms of several Redis.

        Args:
            addresses: of the Redis.
            make: makes the engine of one.
            deliver: where outputs go.
            clock: of this server.
        """
        self._addresses = addresses
        self._brokers = {address.name: make(address, self._told) for address in addresses}
        # Only a Redis that is closed may be unknown to nodes with another list.
        self._common = [
            self._brokers[address.name] for address in addresses if address.use is not Use.CLOSED
        ]
        self._deliver = deliver
        self._clock = clock
        self._searches: dict[str, _Search] = {}
        self._turn = 0

    def __iter__(self) -> Iterator[RedisBroker]:
        return iter(self._brokers.values())

    @property
    def node(self) -> str:
        """See `Broker.node`."""
        return next(iter(self)).node

    @property
    def fleets(self) -> Mapping[str, Fleet]:
        """See `Broker.fleets`."""
        return {name: broker.membership for name, broker in self._brokers.items()}

    @property
    def ready(self) -> bool:
        """Whether rooms can be entered now, at least those of one Redis."""
        return any(broker.ready for broker in self)

    async def start(self) -> None:
        """Connect to each Redis.

        Raises:
            ConfigError: one of them refuses this node, is not fit, has data in another
                layout, or has another name.
        """
        outcomes = await asyncio.gather(*(each.start() for each in self), return_exceptions=True)
        failed = [
            _named(name, outcome)
            for name, outcome in zip(self._brokers, outcomes, strict=True)
            if outcome is not None
        ]
        if failed:
            started = zip(self, outcomes, strict=True)
            await asyncio.gather(*(each.stop() for each, outcome in started if outcome is None))
            raise failed[0]

    async def stop(self) -> None:
        """Send what is still to be sent, and end."""
        await asyncio.gather(*(broker.stop() for broker in self))

    def post(self, node: str, message: NodeMessage) -> None:
        """Send a message to a node by any Redis, each time by another one; or lose it."""
        there = [broker for broker in self._common if broker.ready] or self._common
        self._turn += 1
        there[self._turn % len(there)].membership.post(node, message)

    # Which Redis.

    def places(self, room_id: str) -> list[RedisBroker]:
        """The engines of all Redis where a room can be."""
        return [self._brokers[address.name] for address in places(room_id, self._addresses)]

    def at(self, room_id: str, member_id: str) -> RedisBroker:
        """The engine that has this member; if none has, one that says so."""
        for broker in self:
            if member_id in broker:
                return broker
        return self.places(room_id)[-1]

    def new_room_id(self, routing_key: str) -> str:
        """See `Broker.new_room_id`: of a room whose Redis is there."""
        drawn = [new_room_id(routing_key)]
        while not self._reachable(drawn[-1]) and len(drawn) < bounds.ROOM_IDS_DRAWN:
            drawn.append(new_room_id(routing_key))
        return drawn[-1]

    def enter(self, room_id: str, member: Member, *, create: bool, reply_to: int) -> None:
        """See `Broker.enter`."""
        asks = self._asks(room_id, create=create)
        if len(asks) == 1:
            asks[0].broker.enter(room_id, member, create=create, reply_to=reply_to)
            return
        deadline = self._clock.monotonic() + bounds.ENTER_SECONDS
        search = _Search(room_id, member, reply_to, deadline, asks)
        self._searches[member.id] = search
        self._ask_next(search)

    def leave(self, room_id: str, member_id: str, reason: Departure, *, reply_to: int) -> None:
        """See `Broker.leave`."""
        if reason is Departure.LEFT and (search := self._searches.get(member_id)):
            search.waiting.append(lambda: self.leave(room_id, member_id, reason, reply_to=reply_to))
            return
        self._searches.pop(member_id, None)
        self.at(room_id, member_id).leave(room_id, member_id, reason, reply_to=reply_to)

    def resume(self, room_id: str, member_id: str) -> None:
        """See `Broker.resume`."""
        self.at(room_id, member_id).resume(room_id, member_id)

    def seats_user(self, room_id: str, user_id: str, then: Callable[[bool | None], None]) -> None:
        """See `Broker.seats_user`."""
        asked = self.places(room_id)
        answers: list[bool | None] = []

        def answered(answer: bool | None) -> None:  # noqa: FBT001 - as `then`
            answers.append(answer)
            if len(answers) == len(asked):
                then(True if True in answers else None if None in answers else False)

        for broker in asked:
            broker.seats_user(room_id, user_id, answered)

    def relay(self, room_id: str, member_id: str, payload: bytes, *, reply_to: int) -> None:
        """See `Broker.relay`."""
        if self._searches and (search := self._searches.get(member_id)):
            search.waiting.append(
                lambda: self.relay(room_id, member_id, payload, reply_to=reply_to)
            )
            return
        self.at(room_id, member_id).relay(room_id, member_id, payload, reply_to=reply_to)

    def remote_peer(self, room_id: str, member_id: str) -> str:
        """See `Broker.remote_peer`."""
        return self.at(room_id, member_id).remote_peer(room_id, member_id)

    def _reachable(self, room_id: str) -> bool:
        return all(broker.ready for broker in self.places(room_id))

    # A room that may be in either of two Redis.

    def _asks(self, room_id: str, *, create: bool) -> deque[_Ask]:
        """Whom to ask for a seat in a room, in this order; docs/redis.md says why."""
        first, *second = places(room_id, self._addresses)
        here = self._brokers[first.name]
        if not second:
            return deque([_Ask(here, create)])
        other = self._brokers[second[0].name]
        look = Seal.PUT if create else Seal.IGNORE
        if first.use is Use.CHANGING:
            return deque([_Ask(other, seal=look), _Ask(here, create)])
        asks = deque([_Ask(here, seal=look), _Ask(other, create, Seal.HEED)])
        if create:
            # It is not found there if it is sealed there: some node has the first one as
            # changing, and may just be creating the room in it.
            asks.append(_Ask(here, create))
        return asks

    def _ask_next(self, search: _Search) -> None:
        ask = search.left.popleft()
        ask.broker.enter_by(
            search.deadline,
            search.room_id,
            search.member,
            create=ask.create,
            seal=ask.seal,
            reply_to=search.reply_to,
        )

    def _told(self, output: Output) -> None:
        search = self._searches.get(output.to) if self._searches else None
        if search is None:
            self._deliver(output)
        elif search.left and _not_found(output):
            self._ask_next(search)
        else:
            del self._searches[output.to]
            self._deliver(output)
            while search.waiting:
                search.waiting.popleft()()


def _not_found(output: Output) -> bool:
    return isinstance(output.event, Refused) and output.event.code is Refusal.ROOM_NOT_FOUND


def _named(name: str, outcome: BaseException) -> BaseException:
    """What a start met, with the name of its Redis where the operator must act."""
    if isinstance(outcome, ConfigError):
        return ConfigError(*(f"{name}: {sentence}" for sentence in outcome.sentences))
    return outcome
