"""Who sits on this node, and what each is told of its peer, on whichever node that is.

Two on one node hear of each other at once; two on different nodes by messages
over a `links`.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from dyad_server.core.events import (
    Departure,
    Event,
    Evicted,
    Forwarded,
    Joined,
    Member,
    OutOfSync,
    Output,
    PeerJoined,
    PeerLeft,
)
from dyad_server.core.ports import Deliver
from dyad_server.engines.redis.membership import Membership
from dyad_server.engines.redis.messages import Message
from dyad_server.engines.redis.peer_links import PeerLinks, Presence
from dyad_server.engines.redis.seats import Peer, Seat

_MOVED_SECONDS = 60.0


class Pairing:
    """The seats of this node.

    Attributes:
        deliver: where outputs go.
        links: the links to peers on other nodes.
    """

    def __init__(
        self,
        membership: Membership,
        deliver: Deliver,
        suspect: Callable[[Seat, Peer], None],
        forgotten: Callable[[Seat], None],
    ) -> None:
        """Make one, without any.

        Args:
            membership: reaches the other nodes.
            deliver: where outputs go.
            suspect: is called when a peer's node says that the two are not peers.
            forgotten: is called when it says that Redis has lost their room.
        """
        self.deliver = deliver
        self.links = PeerLinks(membership, self._presence, self._act, self._apart)
        self._membership = membership
        self._suspect = suspect
        self._forgotten = forgotten
        self._seats: dict[str, Seat] = {}
        self._moved: dict[str, float] = {}
        self._expected: Counter[str] = Counter()

    def __iter__(self) -> Iterator[Seat]:
        return iter(tuple(self._seats.values()))

    def get(self, member_id: str) -> Seat | None:
        """The seat of that member, if it is here."""
        return self._seats.get(member_id)

    def has(self, seat: Seat) -> bool:
        """Whether it is still here."""
        return self._seats.get(seat.member.id) is seat

    def add(self, seat: Seat) -> None:
        """Have a seat here."""
        self._seats[seat.member.id] = seat
        self._moved.pop(seat.member.id, None)

    def remove(self, seat: Seat) -> None:
        """Have it no more."""
        del self._seats[seat.member.id]

    def is_here(self, peer: Peer) -> bool:
        """Whether a peer is on this node, and nothing said to it is still on its way."""
        return peer.node == self._membership.node and peer.member.id in self._seats

    def with_remote_peer(self) -> list[tuple[Seat, Peer]]:
        """Those whose peer is not on this node, and that peer."""
        return [(seat, seat.peer) for seat in self if seat.peer and not self.is_here(seat.peer)]

    def tell(self, seat: Seat, event: Event, reply_to: int = 0) -> None:
        """Tell a member something."""
        self.deliver(Output(seat.member.id, seat.room_id, reply_to, event))

    def tell_out_of_sync(self, seat: Seat) -> None:
        """Tell a member that it and its peer can no longer be kept in step."""
        self.tell(seat, OutOfSync())

    # What one says to its peer, and the peer is told.

    def relay(self, seat: Seat, peer: Peer, payload: bytes) -> None:
        """Pass a payload to the peer."""
        if self.is_here(peer):
            if self._seats[peer.member.id].peer_id != seat.member.id:
                self.tell_out_of_sync(seat)
                return
            forwarded = Forwarded(seat.member, payload)
            self.deliver(Output(peer.member.id, seat.room_id, 0, forwarded))
        else:
            self.send(seat, peer, ["relay", payload], len(payload))

    def announce_join(self, seat: Seat, reply_to: int, evicted: Peer | None) -> None:
        """Tell one who was just seated who is there, and whom else it concerns."""
        if evicted is not None and self.is_here(evicted):
            self.evict(evicted.member.id)
        elif evicted is not None:
            self.send(seat, evicted, ["evicted"])
        peer = seat.peer
        self.tell(seat, Joined(peer.member if peer else None, seat.polite), reply_to)
        replaced = evicted is not None
        if peer is not None and self.is_here(peer):
            self._peer_joined(
                peer.member.id, seat.member, self._membership.node, seat.epoch, replaced
            )
        elif peer is not None:
            news = ["joined", asdict(seat.member), self._membership.node, seat.epoch, replaced]
            self.send(seat, peer, news)

    def announce_leave(self, seat: Seat, peer: Peer, reason: Departure) -> None:
        """Tell a peer that this one has left."""
        if self.is_here(peer):
            self.peer_left(peer.member.id, seat.member.id, reason)
        else:
            self.send(seat, peer, ["left", reason.value])

    def send(self, seat: Seat, to: Peer, message: Message, size: int = 0) -> None:
        """Send a message of this member's to a peer who is not here."""
        to.node = self.node_of(to.member.id, to.node)
        if not self.links.send((seat.member.id, to.member.id), to.node, message, size):
            self.tell_out_of_sync(seat)

    def peer_left(self, to: str, who: str, reason: Departure) -> None:
        """Tell a member that its peer has left, if it is still its peer."""
        seat = self._seats.get(to)
        if seat is None or seat.peer is None or seat.peer_id != who:
            return
        peer, seat.peer = seat.peer.member, None
        self.links.drop((to, who))
        self.tell(seat, PeerLeft(peer, reason))

    def node_of(self, member_id: str, node: str) -> str:
        """The node of one whom Redis says to be on `node`; empty: it is on its way.

        Of one who is said to be here that was so until just now, or soon will be.
        """
        return "" if node == self._membership.node and member_id not in self._seats else node

    def peer_moved(self, seat: Seat, who: str, node: str) -> None:
        """Take note that a peer is on another node now, or has come to this one."""
        node = self.node_of(who, node)
        if seat.peer is not None and seat.peer_id == who:
            seat.peer.node = node
            seat.peer.suspect = False
        self.links.reroute((seat.member.id, who), node)

    def _peer_joined(self, to: str, member: Member, node: str, epoch: int, replaced: bool) -> None:  # noqa: FBT001 - as it comes over the bus
        seat = self._seats.get(to)
        if seat is None or epoch <= seat.epoch:
            return
        seat.epoch = epoch
        reason = Departure.REPLACED if replaced else Departure.DISCONNECTED
        self.peer_left(to, seat.peer_id, reason)
        seat.peer = Peer(member, node)
        self.tell(seat, PeerJoined(member))

    def evict(self, member_id: str) -> None:
        """Tell a member that its user took its seat with another session."""
        seat = self._seats.get(member_id)
        if seat is None:
            return
        if seat.seated:
            self.remove(seat)
        else:
            # Redis may still answer that it has a seat, which is then freed.
            seat.abandoned = True
        self.tell(seat, Evicted())

    # For the links.

    def _presence(self, member_id: str) -> Presence:
        seat = self._seats.get(member_id)
        if seat is not None:
            return Presence.SEATED if seat.seated else Presence.ENTERING
        if member_id in self._moved or self._expected[member_id]:
            return Presence.AWAY
        return Presence.UNKNOWN

    def _act(self, to: str, who: str, what: Message) -> bool:
        seat = self._seats.get(to)
        peers = seat is not None and seat.peer_id == who
        match what:
            case ["relay", bytes(payload)] if seat is not None and seat.peer is not None and peers:
                if self._membership.holds:
                    self.tell(seat, Forwarded(seat.peer.member, payload))
                else:
                    self.tell_out_of_sync(seat)
            case ["joined", dict(member), str(node), int(epoch), bool(replaced)]:
                self._peer_joined(to, Member(**member), node, epoch, replaced)
                return True
            case ["left", str(reason)]:
                self.peer_left(to, who, Departure(reason))
                return True
            case ["evicted"]:
                self.evict(to)
                return True
            case ["forgotten"] if seat is not None and peers:
                self._forgotten(seat)
            case ["moved", str(node)] if seat is not None:
                self.peer_moved(seat, who, node)
            case ["moved", str(node)]:
                # What one said who has gone since, and that it went.
                self.links.reroute((to, who), node)
        return peers

    def _apart(self, member_id: str, peer_id: str) -> None:
        seat = self._seats.get(member_id)
        if seat is not None and seat.peer is not None and seat.peer_id == peer_id:
            seat.peer.suspect = True
            self._suspect(seat, seat.peer)

    # Handing over.

    def detach(self, member_id: str) -> tuple[Seat, list[Any]] | None:
        """Let go of a seat that another node may take up.

        Returns:
            The seat, and what that node needs: which it is, the epoch, its peer
            if it has one, the links between the two. None: it has no seat.
        """
        seat = self._seats.get(member_id)
        if seat is None or not seat.seated:
            return None
        self.remove(seat)
        self._moved[member_id] = time.monotonic()
        peer = seat.peer
        if peer is None:
            return seat, [seat.polite, seat.epoch, None, []]
        here = self._seats.get(peer.member.id)
        if here is not None and here.peer is not None:
            here.peer.node = ""
        links = self.links.state(member_id, peer.member.id)
        return seat, [seat.polite, seat.epoch, [asdict(peer.member), peer.node], links]

    @contextmanager
    def expect(self, member_id: str) -> Iterator[None]:
        """Until it is clear, a member whom Redis holds for a claim is about to be here."""
        self._expected[member_id] += 1
        try:
            yield
        finally:
            self._expected[member_id] -= 1
            if not self._expected[member_id]:
                del self._expected[member_id]

    def adopt(self, member: Member, room_id: str, state: list[Any], now: Peer | None) -> Seat:
        """Take up a seat that another node released.

        Args:
            member: whose.
            room_id: where.
            state: from `release`.
            now: the peer, as Redis has it now.
        """
        polite, epoch, known, links = state
        # What has changed since that epoch will be told, on the link that goes on.
        seat = Seat(member, room_id, polite, epoch, seated=True)
        self.add(seat)
        if known is not None:
            self._go_on(seat, Member(**known[0]), known[1], now, links)
        if now is not None and (here := self._seats.get(now.member.id)) is not None:
            self.peer_moved(here, member.id, self._membership.node)
        return seat

    def _go_on(
        self, seat: Seat, known: Member, node: str, now: Peer | None, links: list[Any]
    ) -> None:
        """Go on with a peer that was last on `node`; `now`: who is there as Redis has it."""
        if now is not None and now.member.id == known.id:
            node = now.node
        me = seat.member.id
        here = self._seats.get(known.id)
        seat.peer = Peer(known, self.node_of(known.id, self._membership.node if here else node))
        self.links.restore(me, known.id, links)
        self.links.reroute((me, known.id), seat.peer.node)
        if here is None:
            self.send(seat, seat.peer, ["moved", self._membership.node])
            # Perhaps it left from this very node: its last words.
            self.links.reroute((known.id, me), self._membership.node)
        elif here.peer_id == me:
            self.peer_moved(here, me, self._membership.node)
        else:
            # That one was told that this one has gone.
            self.tell_out_of_sync(seat)

    def forget(self, now: float) -> None:
        """Forget who moved away long ago."""
        self.links.forget(now)
        for member_id, moved_at in tuple(self._moved.items()):
            if now - moved_at > _MOVED_SECONDS:
                del self._moved[member_id]
