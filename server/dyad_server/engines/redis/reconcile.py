"""Keeps what Redis and this node believe about seats in agreement, as time goes by.

It finds peers whose node is gone, and keeps rooms from expiring. When Redis has
forgotten or failed over, or when this node's lease was gone, it asserts all members
of this node before anyone else gets a seat.
"""

import asyncio
from collections.abc import Callable, Iterable
from functools import partial

from dyad_server.core.events import Departure
from dyad_server.engines.redis import bounds
from dyad_server.engines.redis.fleet_membership import Assertion, FleetMembership
from dyad_server.engines.redis.local_members import LocalMembers
from dyad_server.engines.redis.messages import Forgotten, Here
from dyad_server.engines.redis.script_answers import OnNode, Verdict
from dyad_server.engines.redis.seats import Peer, Seat
from dyad_server.engines.redis.store import Believed


class Reconciler:
    """Looks after the seats of this node."""

    def __init__(self, membership: FleetMembership, members: LocalMembers) -> None:
        """Look after the seats of `members`."""
        self._membership = membership
        self._store = membership.store
        self._clock = membership.clock
        self._members = members
        self._seats = members.seats
        # The generation and the term in which all members of this node are
        # asserted, and how many still have to be.
        self._generation = ""
        self._asserted_term = 0
        self._asserting = 0
        # The members whose peers are being looked for.
        self._looking: set[str] = set()
        self._ticker: asyncio.Task[None] | None = None

    @property
    def ready(self) -> bool:
        """Whether rooms can be entered now."""
        node = self._membership
        return node.up and node.settled and node.holds and self._asserted_term == node.lease.term

    def start(self) -> None:
        """Begin, after the membership has."""
        self._ticker = asyncio.get_running_loop().create_task(self._tick(), name="dyad-reconcile")

    async def stop(self) -> None:
        """End."""
        if self._ticker is not None:
            self._ticker.cancel()
            await asyncio.gather(self._ticker, return_exceptions=True)

    def expired(self) -> None:
        """The lease may have run out, so others may sit where peers on other nodes did."""
        for seat, _ in self._members.with_remote_peer():
            self._members.tell_out_of_sync(seat)

    async def _tick(self) -> None:
        ticks = 0
        while True:
            await asyncio.sleep(bounds.TICK_SECONDS)
            ticks += 1
            self._membership.check()
            if not self._membership.holds:
                continue
            self._resend()
            looks, rest = divmod(ticks, bounds.WATCH_TICKS)
            if rest:
                continue
            self._watch_nodes()
            self._keep_rooms(looks % bounds.KEEP_LOOKS)
            if looks % bounds.KEEP_LOOKS == 0:
                self._seats.forget()
                self._members.links.forget()

    # Peers.

    def find_peer(
        self, seat: Seat, peer: Peer, *, silent: bool = False, node_gone: bool = False
    ) -> None:
        """Find out where a peer is now, and act on it.

        Args:
            seat: whose peer.
            peer: the peer.
            silent: it has not acknowledged for too long.
            node_gone: the node that it was on is gone.
        """
        members = self._members

        def found(answer: OnNode | Verdict | None) -> None:
            self._looking.discard(seat.member.id)
            if seat.peer is not peer or not self._seats.has(seat) or members.is_here(peer):
                return
            peer.see(self._clock.monotonic(), absent=answer is Verdict.ABSENT)
            # Of a peer that is handed off or replaced, another node will speak.
            match answer:
                case Verdict.FORGOTTEN:
                    self._seat_is_lost(seat)
                case Verdict.GONE:
                    members.peer_left(seat.member.id, seat.peer_id, Departure.DISCONNECTED)
                case OnNode(node, missing=False):
                    if members.node_of(seat.peer_id, node) != peer.node:
                        members.peer_moved(seat, seat.peer_id, node)
                    elif silent or (peer.suspect and peer.node):
                        members.tell_out_of_sync(seat)

        # Before that, the peer's node may not have asserted it yet.
        if self.ready and seat.member.id not in self._looking:
            # One question at a time: where Redis is slow, more of them make it slower.
            self._looking.add(seat.member.id)
            since = peer.absent_since
            now = self._clock.monotonic()
            late = since is not None and now - since > bounds.ABSENT_SECONDS
            script = self._store.find_peer(
                seat.room_id, peer.member.id, absent_too_long=late or node_gone
            )
            self._membership.ask(script, found, bounds.SCRIPT_SECONDS)

    def _resend(self) -> None:
        """Resend what is not acknowledged, and look for the peers that are silent."""
        links = self._members.links
        for member_id, peer_id in links.resend():
            seat = self._seats.get(member_id)
            if seat is not None and seat.peer is not None and seat.peer_id == peer_id:
                self.find_peer(seat, seat.peer, silent=True)
            elif seat is not None:
                links.drop((member_id, peer_id))

    def _watch_nodes(self) -> None:
        """See whether the nodes of peers are still there."""
        by_node: dict[str, list[tuple[Seat, Peer]]] = {}
        for seat, peer in self._members.with_remote_peer():
            if peer.suspect or not peer.node or peer.absent_since is not None:
                self.find_peer(seat, peer)
            else:
                by_node.setdefault(peer.node, []).append((seat, peer))

        def watched(gone: list[str] | None) -> None:
            for node in gone or []:
                for seat, peer in by_node[node]:
                    self.find_peer(seat, peer, node_gone=True)

        if by_node:
            self._membership.ask(self._store.nodes_gone(by_node), watched, bounds.WATCH_SECONDS)

    def _keep_rooms(self, turn: int) -> None:
        """Keep the rooms whose turn it is from expiring, and see that all sit there."""
        rooms: list[tuple[Seat, Believed]] = []
        for seat in self._seats:
            if not seat.seated or hash(seat.member.id) % bounds.KEEP_LOOKS != turn:
                continue
            peer_id, node = seat.peer_id, ""
            if seat.peer is not None and not self._members.is_here(seat.peer):
                node = seat.peer.node
                # One that is on its way is looked for with each look.
                peer_id = peer_id if node else ""
            elif peer_id and seat.polite:
                # Where both are here, one of them keeps the room for both.
                continue
            rooms.append((seat, (seat.room_id, seat.member.id, peer_id, node)))
        for first in range(0, len(rooms), bounds.ROOMS_AT_ONCE):
            seats, believed = zip(*rooms[first : first + bounds.ROOMS_AT_ONCE], strict=True)
            kept = partial(self._kept, seats)
            self._membership.ask(self._store.keep_rooms(believed), kept, bounds.SCRIPT_SECONDS)

    def _kept(self, seats: Iterable[Seat], amiss: list[str] | None) -> None:
        if not amiss:
            return
        for seat in filter(self._seats.has, seats):
            peer = seat.peer if seat.peer_id in amiss else None
            if seat.member.id in amiss or (peer is not None and self._members.is_here(peer)):
                self._seat_is_lost(seat)
            elif peer is not None:
                self.find_peer(seat, peer)

    # Asserting who sits here.

    def _seat_is_lost(self, seat: Seat) -> None:
        """Redis has lost a seat: it evicted the room, or its clock made the room expire."""
        self.assert_again(seat)
        peer = seat.peer
        if peer is None:
            return
        here = self._seats.get(peer.member.id)
        if here is not None:
            self.assert_again(here)
        else:
            # Its node may not have noticed, and must before anyone looks for the peer.
            self._members.send(seat, peer, Forgotten())

    def assert_again(self, seat: Seat) -> None:
        """Assert one seat in Redis."""
        if self.ready and seat.seated and self._seats.has(seat):
            self._membership.ask(*self._assertion(seat, lambda _: None), bounds.SCRIPT_SECONDS)

    def renewed(self) -> None:
        """Assert all members, if Redis has forgotten or this node's lease was gone."""
        lease = self._membership.lease
        known = lease.generation == self._generation and not (lease.fenced or lease.lapsed)
        if known or self._asserting:
            return
        self._generation = lease.generation
        seats = [seat for seat in self._seats if seat.seated]
        self._asserting = len(seats) + 1
        assertions = [self._assertion(seat, self._one_asserted) for seat in seats]
        self._membership.begin_term(assertions)
        self._one_asserted(Verdict.OK)

    def assert_late(self, seat: Seat, term: int) -> None:
        """Assert a seat that Redis gave in an earlier `term`, if that term is over."""

        def asserted(answer: Verdict | None) -> None:
            if answer in (None, Verdict.AGAIN):
                self._generation = ""

        if term != self._membership.lease.term and self._seats.has(seat):
            self._membership.ask(*self._assertion(seat, asserted), bounds.SCRIPT_SECONDS)

    def _one_asserted(self, answer: Verdict | None) -> None:
        lease = self._membership.lease
        self._asserting -= 1
        if answer in (None, Verdict.AGAIN):
            self._generation = ""
        # If the lease lapsed meanwhile, the next renewal begins one more term.
        if self._asserting == 0 and self._generation == lease.generation and not lease.lapsed:
            self._asserted_term = lease.term
            self._membership.regain_lease()

    def _assertion(self, seat: Seat, done: Callable[[Verdict | None], None]) -> Assertion:
        members = self._members

        def asserted(answer: Verdict | None) -> None:
            if self._seats.has(seat):
                if answer is Verdict.REPLACED:
                    members.evict(seat.member.id)
                elif answer is Verdict.OUT_OF_SYNC:
                    members.tell_out_of_sync(seat)
                elif answer is Verdict.OK and seat.peer and not members.is_here(seat.peer):
                    # If the peer was told otherwise, its node answers that.
                    members.send(seat, seat.peer, Here())
            done(answer)

        script = self._store.assert_seat(
            seat.room_id, seat.member, polite=seat.polite, epoch=seat.epoch, peer_id=seat.peer_id
        )
        return script, asserted
