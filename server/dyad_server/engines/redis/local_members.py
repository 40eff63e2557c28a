"""The members of this node, and what each is told about its peer, wherever that is.

Two members on one node hear of each other at once. Two on different nodes hear of each
other by messages over `peer_links`.
"""

from collections.abc import Callable

from dyad_server.core.clock import Clock
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
from dyad_server.engines.redis import messages
from dyad_server.engines.redis.messages import PeerMessage
from dyad_server.engines.redis.peer_links import PeerLinks, Post
from dyad_server.engines.redis.script_answers import Freed
from dyad_server.engines.redis.seats import Peer, Seat, Seats
from dyad_server.engines.redis.snapshot import PeerState, SeatState


class LocalMembers:
    """Tells the members of this node about their peers, and their peers about them.

    Attributes:
        seats: of this node.
        deliver: where outputs go.
        links: to the peers on other nodes.
    """

    def __init__(
        self,
        post: Post,
        clock: Clock,
        deliver: Deliver,
        *,
        suspect: Callable[[Seat, Peer], None],
        forgotten: Callable[[Seat], None],
        holds: Callable[[], bool],
    ) -> None:
        """Have no members yet.

        Args:
            post: reaches the other nodes.
            clock: of this server.
            deliver: where outputs go.
            suspect: is called when a peer's node says that the two are not peers.
            forgotten: is called when it says that Redis has lost their room.
            holds: whether no other node can believe this one gone.
        """
        self.deliver = deliver
        self.seats = Seats(clock)
        self.links = PeerLinks(post, self, clock)
        self._node = post.node
        self._suspect = suspect
        self._forgotten = forgotten
        self._holds = holds

    def is_here(self, peer: Peer) -> bool:
        """Whether a peer is on this node, and nothing said to it is still on its way."""
        return peer.node == self._node and self.seats.get(peer.member.id) is not None

    def with_remote_peer(self) -> list[tuple[Seat, Peer]]:
        """The seats whose peer is not on this node, and that peer."""
        return [
            (seat, seat.peer) for seat in self.seats if seat.peer and not self.is_here(seat.peer)
        ]

    def tell(self, seat: Seat, event: Event, reply_to: int = 0) -> None:
        """Tell a member something."""
        self.deliver(Output(seat.member.id, seat.room_id, reply_to, event))

    def tell_out_of_sync(self, seat: Seat) -> None:
        """Tell a member that it and its peer can no longer be kept in sync."""
        self.tell(seat, OutOfSync())

    # What a member says to its peer, and what the peer is told of it.

    def relay(self, seat: Seat, peer: Peer, payload: bytes) -> None:
        """Pass a payload to the peer."""
        if self.is_here(peer):
            if not self.are_peers(peer.member.id, seat.member.id):
                self.tell_out_of_sync(seat)
                return
            forwarded = Forwarded(seat.member, payload)
            self.deliver(Output(peer.member.id, seat.room_id, 0, forwarded))
        else:
            self.send(seat, peer, messages.Relay(payload))

    def announce_join(self, seat: Seat, reply_to: int, evicted: Peer | None) -> None:
        """Tell a member that it is in, and tell its peer and the session it replaced."""
        self._tell_evicted(seat, evicted)
        peer = seat.peer
        self.tell(seat, Joined(peer.member if peer else None, seat.polite), reply_to)
        self._tell_joined(seat, replaced=evicted is not None)

    def announce_late_join(self, seat: Seat, freed: Freed) -> None:
        """Tell all but its member of a join; the seat was free again before it was told."""
        seat.give(polite=seat.polite, epoch=freed.since, peer=freed.peer)
        self._tell_evicted(seat, freed.evicted)
        self._tell_joined(seat, replaced=freed.evicted is not None)

    def _tell_evicted(self, seat: Seat, evicted: Peer | None) -> None:
        if evicted is not None and self.is_here(evicted):
            self.evict(evicted.member.id)
        elif evicted is not None:
            self.send(seat, evicted, messages.Evicted())

    def _tell_joined(self, seat: Seat, *, replaced: bool) -> None:
        peer = seat.peer
        joined = messages.Joined(seat.member, self._node, seat.epoch, replaced)
        if peer is not None and self.is_here(peer):
            self._peer_joined(peer.member.id, joined)
        elif peer is not None:
            self.send(seat, peer, joined)

    def announce_leave(self, seat: Seat, peer: Peer, reason: Departure) -> None:
        """Tell a peer that this member has left."""
        if self.is_here(peer):
            self.peer_left(peer.member.id, seat.member.id, reason)
        else:
            self.send(seat, peer, messages.Left(reason))

    def send(self, seat: Seat, to: Peer, message: PeerMessage) -> None:
        """Send a message of this member to a peer that is not here."""
        to.move(self.node_of(to.member.id, to.node))
        if not self.links.send((seat.member.id, to.member.id), to.node, message):
            self.tell_out_of_sync(seat)

    def peer_left(self, member_id: str, peer_id: str, reason: Departure) -> None:
        """Tell a member that its peer has left, if it is still its peer."""
        seat = self.seats.get(member_id)
        if seat is None or seat.peer is None or seat.peer_id != peer_id:
            return
        peer = seat.peer.member
        seat.pair(None)
        self.links.drop((member_id, peer_id))
        self.tell(seat, PeerLeft(peer, reason))

    def node_of(self, member_id: str, node: str) -> str:
        """The node of a member that Redis says is on `node`; empty: on its way.

        Redis may say "here" of a member that has just left this node, or that will
        be here soon.
        """
        return "" if node == self._node and self.seats.get(member_id) is None else node

    def peer_moved(self, seat: Seat, peer_id: str, node: str) -> None:
        """Note that a peer is on another node now, or has come to this one."""
        node = self.node_of(peer_id, node)
        if seat.peer is not None and seat.peer_id == peer_id:
            seat.peer.confirm(node)
        self.links.reroute((seat.member.id, peer_id), node)

    def _peer_joined(self, member_id: str, joined: messages.Joined) -> None:
        seat = self.seats.get(member_id)
        if seat is None or joined.epoch <= seat.epoch:
            return
        seat.advance(joined.epoch)
        reason = Departure.REPLACED if joined.replaced else Departure.DISCONNECTED
        self.peer_left(member_id, seat.peer_id, reason)
        seat.pair(Peer(joined.member, joined.node))
        self.tell(seat, PeerJoined(joined.member))

    def evict(self, member_id: str) -> None:
        """Tell a member that its user took its seat with another session."""
        seat = self.seats.get(member_id)
        if seat is None:
            return
        if seat.seated:
            self.seats.remove(seat)
        else:
            # Redis may still answer that it has a seat, which is then freed.
            seat.abandon()
        self.tell(seat, Evicted())

    # For the links: see `Members` there.

    def are_peers(self, member_id: str, peer_id: str) -> bool:
        """See `Members.are_peers`."""
        seat = self.seats.get(member_id)
        return seat is not None and seat.peer is not None and seat.peer_id == peer_id

    def receive(self, receiver: str, sender: str, message: PeerMessage) -> bool:
        """See `Members.receive`."""
        seat = self.seats.get(receiver)
        peer = seat.peer if seat is not None and seat.peer_id == sender else None
        match message:
            case messages.Relay(payload) if seat is not None and peer is not None:
                if self._holds():
                    self.tell(seat, Forwarded(peer.member, payload))
                else:
                    self.tell_out_of_sync(seat)
            case messages.Joined():
                self._peer_joined(receiver, message)
                return True
            case messages.Left(reason):
                self.peer_left(receiver, sender, reason)
                return True
            case messages.Evicted():
                self.evict(receiver)
                return True
            case messages.Forgotten() if seat is not None and peer is not None:
                self._forgotten(seat)
            case messages.Moved(node) if seat is not None:
                self.peer_moved(seat, sender, node)
            case messages.Moved(node):
                # What a member said that has left since, and that it left.
                self.links.reroute((receiver, sender), node)
        return peer is not None

    def not_peers(self, member_id: str, peer_id: str) -> None:
        """See `Members.not_peers`."""
        seat = self.seats.get(member_id)
        if seat is not None and seat.peer is not None and seat.peer_id == peer_id:
            seat.peer.deny()
            self._suspect(seat, seat.peer)

    def not_understood(self, member_id: str, peer_id: str) -> None:
        """See `Members.not_understood`."""
        seat = self.seats.get(member_id)
        if seat is not None and seat.peer_id == peer_id:
            self.tell_out_of_sync(seat)

    # Moving seats between nodes.

    def detach(self, member_id: str) -> tuple[Seat, SeatState] | None:
        """Let go of a seat that another node may adopt.

        Returns:
            The seat, and what that node needs; None: the member has no seat.
        """
        seat = self.seats.get(member_id)
        if seat is None or not seat.seated:
            return None
        self.seats.move_away(seat)
        peer = seat.peer
        if peer is None:
            return seat, SeatState(seat.polite, seat.epoch, None)
        here = self.seats.get(peer.member.id)
        if here is not None and here.peer is not None:
            here.peer.move("")
        links = self.links.detach(member_id, peer.member.id)
        return seat, SeatState(seat.polite, seat.epoch, PeerState(peer.member, peer.node, links))

    def adopt(self, member: Member, room_id: str, state: SeatState, now: Peer | None) -> Seat:
        """Take a seat that another node detached.

        Args:
            member: whose.
            room_id: where.
            state: from `detach`.
            now: the peer, as Redis has it now.
        """
        # What has changed since that epoch will be told, on the link that goes on.
        seat = Seat(member, room_id, state.polite, state.epoch, seated=True)
        self.seats.add(seat)
        if state.peer is not None:
            self._go_on(seat, state.peer, now)
        if now is not None and (here := self.seats.get(now.member.id)) is not None:
            self.peer_moved(here, member.id, self._node)
        return seat

    def _go_on(self, seat: Seat, known: PeerState, now: Peer | None) -> None:
        """Go on with the peer that the seat had; `now`: the peer as Redis has it."""
        peer_id, node = known.member.id, known.node
        if now is not None and now.member.id == peer_id:
            node = now.node
        me = seat.member.id
        here = self.seats.get(peer_id)
        peer = Peer(known.member, self.node_of(peer_id, self._node if here else node))
        seat.pair(peer)
        self.links.restore(me, peer_id, known.links)
        self.links.reroute((me, peer_id), peer.node)
        if here is None:
            self.send(seat, peer, messages.Moved(self._node))
            # It may have left while it was on this node: deliver its last messages.
            self.links.reroute((peer_id, me), self._node)
        elif here.peer_id == me:
            self.peer_moved(here, me, self._node)
        else:
            # That peer was told that this member has gone.
            self.tell_out_of_sync(seat)
