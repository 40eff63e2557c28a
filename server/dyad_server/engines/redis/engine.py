"""Rooms in Redis, for several nodes.

Redis decides who sits where, with one script on one key. Two members on the same node
speak to each other without Redis; two members on different nodes speak over a link,
which sends messages through the inboxes of the nodes.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from functools import partial

from dyad_server.core.events import (
    Departure,
    Joined,
    Left,
    Member,
    OutOfSync,
    Output,
    Refusal,
    refuse,
)
from dyad_server.core.ports import Deliver, Fleet
from dyad_server.core.room_ids import new_room_id
from dyad_server.engines.redis import bounds
from dyad_server.engines.redis.entrance import Entrance, Request
from dyad_server.engines.redis.fleet_membership import FleetMembership
from dyad_server.engines.redis.local_members import LocalMembers
from dyad_server.engines.redis.messages import Answer, Ask
from dyad_server.engines.redis.peer_links import Inbound
from dyad_server.engines.redis.reconcile import Reconciler
from dyad_server.engines.redis.script_answers import Claimed, Freed, Verdict
from dyad_server.engines.redis.seats import Peer, Seat
from dyad_server.engines.redis.snapshot import SeatState
from dyad_server.engines.redis.store import Seal

Notify = Callable[[], None]
MakeMembership = Callable[[Callable[[str, Inbound], None], Notify, Notify], FleetMembership]
# From a node: a question, or an answer.
Asked = Callable[[str, Ask | Answer], None]


class RedisBroker:
    """A `Broker` whose rooms several nodes share.

    In addition to the promise of `Broker`: a message to a peer on another node arrives
    exactly once and in order, or both members are told within 10 s. A node whose
    lease may have run out delivers nothing that came from another node.
    """

    def __init__(
        self,
        make_membership: MakeMembership,
        deliver: Deliver,
        asked: Asked = lambda _, __: None,
    ) -> None:
        """Share the rooms of one Redis.

        Args:
            make_membership: makes this node's connection to Redis.
            deliver: where outputs go.
            asked: receives what nodes ask and answer each other; not before `start`.
        """
        self.membership = make_membership(self._hear, self._renewed, self._expired)
        self._store = self.membership.store
        self._clock = self.membership.clock
        self._members = LocalMembers(
            self.membership,
            self._clock,
            deliver,
            suspect=self._suspect,
            forgotten=self._forgotten,
            holds=self._holds,
        )
        self._seats = self._members.seats
        self._reconciler = Reconciler(self.membership, self._members)
        free_late = partial(self._free, reason=Departure.DISCONNECTED, late=True)
        self._entrance = Entrance(self.membership, self._members, self._reconciler, free_late)
        self._asked = asked

    @property
    def node(self) -> str:
        """See `Broker.node`."""
        return self.membership.node

    @property
    def fleets(self) -> Mapping[str, Fleet]:
        """See `Broker.fleets`."""
        return {"": self.membership}

    @property
    def ready(self) -> bool:
        """Whether rooms can be entered now."""
        return self._reconciler.ready

    def __contains__(self, member_id: str) -> bool:
        return self._seats.get(member_id) is not None

    async def start(self) -> None:
        """Connect.

        Raises:
            ConfigError: Redis refuses this node, is not fit, or has data in another layout.
        """
        await self.membership.start()
        self._reconciler.start()

    async def stop(self) -> None:
        """Send what is still to be sent, and end."""
        await self._reconciler.stop()
        await self.membership.stop()

    def new_room_id(self, routing_key: str) -> str:
        """See `Broker.new_room_id`."""
        return new_room_id(routing_key)

    def enter(self, room_id: str, member: Member, *, create: bool, reply_to: int) -> None:
        """See `Broker.enter`."""
        deadline = self._clock.monotonic() + bounds.ENTER_SECONDS
        self.enter_by(deadline, room_id, member, create=create, reply_to=reply_to)

    def enter_by(
        self,
        deadline: float,
        room_id: str,
        member: Member,
        *,
        create: bool,
        reply_to: int,
        seal: Seal = Seal.IGNORE,
    ) -> None:
        """As `enter`, until `deadline` on the clock; `seal` as in `Store.enter`."""
        seat = Seat(member, room_id)
        self._seats.add(seat)
        self._entrance.ask(
            Request(seat=seat, reply_to=reply_to, deadline=deadline, create=create, seal=seal)
        )

    def leave(self, room_id: str, member_id: str, reason: Departure, *, reply_to: int) -> None:
        """See `Broker.leave`."""
        seat = self._seats.get(member_id)
        if seat is None or seat.room_id != room_id:
            self._refuse(room_id, member_id, reply_to, Refusal.NOT_IN_ROOM)
        elif seat.seated:
            self._seats.remove(seat)
            self._free(seat, reason, reply_to)
        elif reason is Departure.LEFT:
            seat.waiting.append(lambda: self.leave(room_id, member_id, reason, reply_to=reply_to))
        else:
            seat.abandon()

    def resume(self, room_id: str, member_id: str) -> None:
        """See `Broker.resume`."""
        seat = self._seats.get(member_id)
        if seat is None or seat.room_id != room_id or not seat.seated:
            self._members.deliver(Output(member_id, room_id, 0, OutOfSync()))
            return

        def answered(answer: Verdict | None) -> None:
            if not self._seats.has(seat):
                # Whatever took the seat has told the member.
                return
            match answer:
                case Verdict.OTHER if self.ready:
                    # Its user has just taken the seat, on another node.
                    self._members.evict(member_id)
                case Verdict.NONE if self.ready:
                    self._members.tell_out_of_sync(seat)
                case _:
                    peer = seat.peer.member if seat.peer else None
                    self._members.tell(seat, Joined(peer, seat.polite, resumed=True))

        script = self._store.check_seat(room_id, member_id, seat.member.user_id)
        self.membership.ask(script, answered, bounds.ANSWER_SECONDS if self.membership.up else 0.0)

    def seats_user(self, room_id: str, user_id: str, then: Callable[[bool | None], None]) -> None:
        """See `Broker.seats_user`."""

        def answered(answer: Verdict | None) -> None:
            known = answer in (Verdict.OTHER, Verdict.NONE)
            then(answer is Verdict.OTHER if known else None)

        script = self._store.check_seat(room_id, "", user_id)
        self.membership.ask(script, answered, bounds.ANSWER_SECONDS)

    def relay(self, room_id: str, member_id: str, payload: bytes, *, reply_to: int) -> None:
        """See `Broker.relay`."""
        seat = self._seats.get(member_id)
        if seat is None or seat.room_id != room_id:
            self._refuse(room_id, member_id, reply_to, Refusal.NOT_IN_ROOM)
        elif not seat.seated:
            seat.waiting.append(lambda: self.relay(room_id, member_id, payload, reply_to=reply_to))
        elif seat.peer is None:
            self._refuse(room_id, member_id, reply_to, Refusal.PEER_ABSENT)
        else:
            self._members.relay(seat, seat.peer, payload)

    def remote_peer(self, room_id: str, member_id: str) -> str:  # noqa: ARG002 - as the port says
        """See `Broker.remote_peer`."""
        seat = self._seats.get(member_id)
        node = seat.peer.node if seat is not None and seat.peer is not None else ""
        return "" if node == self.node else node

    def _refuse(self, room_id: str, member_id: str, reply_to: int, code: Refusal) -> None:
        self._members.deliver(refuse(member_id, room_id, reply_to, code))

    # Leaving.

    def _free(
        self, seat: Seat, reason: Departure, reply_to: int = 0, *, late: bool = False
    ) -> None:
        """Free a seat in Redis, then tell its member and peer; without Redis, only tell.

        With `late`, nobody was told that the member has the seat.
        """

        def freed(answer: Freed | Verdict | None) -> None:
            if reason is Departure.LEFT:
                self._members.tell(seat, Left(), reply_to)
            if answer is Verdict.MOVED:
                return
            # A peer may have joined at the last moment, before this node heard of it.
            there = answer.peer if isinstance(answer, Freed) else None
            if isinstance(answer, Freed) and answer.evicted and late:
                # Another session of the user has lost its seat to this one.
                self._members.announce_late_join(seat, answer)
            for peer in {p.member.id: p for p in (seat.peer, there) if p}.values():
                self._members.announce_leave(seat, peer, reason)

        patience = bounds.ANSWER_SECONDS if self.membership.up and self.membership.holds else 0.0
        persist = bounds.PERSIST_SECONDS
        script = self._store.leave(seat.room_id, seat.member.id)
        # Nobody waits to hear of a late join, but the answer matters.
        self.membership.ask(script, freed, persist if late else patience, persist=persist)

    # What the membership tells.

    def _hear(self, node: str, messages: Inbound) -> None:
        self.membership.check()
        if not self.membership.holds:
            return
        self._members.links.hear(node, messages)
        for message in messages:
            if isinstance(message, Ask | Answer):
                self._asked(node, message)

    def _holds(self) -> bool:
        return self.membership.holds

    def _renewed(self) -> None:
        self._reconciler.renewed()

    def _expired(self) -> None:
        self._reconciler.expired()

    def _suspect(self, seat: Seat, peer: Peer) -> None:
        self._reconciler.find_peer(seat, peer)

    def _forgotten(self, seat: Seat) -> None:
        self._reconciler.assert_again(seat)

    # Handing seats off: see `handoff`.

    def expect(self, member_id: str) -> AbstractContextManager[None]:
        """See `Seats.expect`."""
        return self._seats.expect(member_id)

    def detach(self, member_id: str) -> tuple[Seat, SeatState] | None:
        """See `LocalMembers.detach`."""
        return self._members.detach(member_id)

    def release(self, seat: Seat) -> None:
        """Free a seat that was detached, and that no other node will adopt."""
        self._free(seat, Departure.DISCONNECTED)

    def free(self, room_id: str, member: Member, peer: Peer | None) -> None:
        """Free a seat that Redis gave to this node, and that this node cannot adopt."""
        self._free(Seat(member, room_id, peer=peer), Departure.DISCONNECTED)

    def adopt(self, member: Member, room_id: str, state: SeatState, claimed: Claimed) -> None:
        """Take a seat that another node detached: see `LocalMembers.adopt`.

        Args:
            member: whose.
            room_id: where.
            state: from `detach`.
            claimed: what Redis answered to the claim.
        """
        seat = self._members.adopt(member, room_id, state, claimed.peer)
        self._reconciler.assert_late(seat, claimed.term)
