"""The links between this node's members and their peers on other nodes."""

import logging
from collections.abc import Iterator
from typing import Protocol

from dyad_server.core.clock import Clock
from dyad_server.engines.redis import bounds
from dyad_server.engines.redis.message_codec import NotUnderstood, log_not_understood
from dyad_server.engines.redis.messages import (
    PEER,
    Ack,
    Link,
    NodeMessage,
    NotPeers,
    PeerMessage,
    Rejected,
    Relay,
    Unknown,
)
from dyad_server.engines.redis.reliable_link import Incoming, Outgoing, Pair
from dyad_server.engines.redis.seats import Presence, Seats
from dyad_server.engines.redis.snapshot import KeptState, LinkState

log = logging.getLogger("dyad.links")


# From a node: its messages, in order.
Inbound = list[NodeMessage | Unknown]


class Post(Protocol):
    """Sends messages between nodes, which may lose or repeat them."""

    @property
    def node(self) -> str:
        """This node."""

    def post(self, node: str, message: NodeMessage) -> None:
        """Send a message to a node; to none where `node` is empty."""


class Members(Protocol):
    """The members of this node, as the links need them."""

    @property
    def seats(self) -> Seats:
        """Their seats."""

    def receive(self, receiver: str, sender: str, message: PeerMessage) -> bool:
        """Act on a message to a member; False: the two are not peers."""

    def not_peers(self, member_id: str, peer_id: str) -> None:
        """The peer's node says that the two are not peers."""

    def are_peers(self, member_id: str, peer_id: str) -> bool:
        """Whether a member is here and has that peer."""

    def not_understood(self, member_id: str, peer_id: str) -> None:
        """The peer's node does not understand a message of the member."""


class PeerLinks:
    """Sends to peers on other nodes, and receives from them, exactly once and in order."""

    def __init__(self, post: Post, members: Members, clock: Clock) -> None:
        """Link `members` with their peers on other nodes, by way of `post`."""
        self._post = post
        self._members = members
        self._clock = clock
        self._out: dict[Pair, Outgoing] = {}
        self._in: dict[Pair, tuple[Incoming, float]] = {}
        self._early: dict[str, list[tuple[str, Link]]] = {}

    def send(self, pair: Pair, node: str, message: PeerMessage) -> bool:
        """Send to a peer on `node`, or where it will be; False: too much is unacknowledged."""
        link = self._out.get(pair)
        if link is None:
            link = self._out[pair] = Outgoing(node)
        link.head_for(node)
        body = PEER.write(message)
        size = len(message.payload) if isinstance(message, Relay) else 0
        fits = link.put(body, bounds.MESSAGE_BYTES + size, self._clock.monotonic())
        self._post.post(node, Link(*pair, link.last, body))
        return fits

    def hear(self, node: str, messages: Inbound) -> None:
        """Receive what came from a node."""
        heard: dict[Pair, int] = {}
        for message in messages:
            try:
                self._hear_one(node, message, heard)
            except Exception:
                # A message that fails must not harm the others.
                log.exception("handling a message of another node failed")
        for pair, number in heard.items():
            self._post.post(node, Ack(*pair, number))

    def _hear_one(self, node: str, message: NodeMessage | Unknown, heard: dict[Pair, int]) -> None:
        match message:
            case Link(sender, receiver, number):
                if what := self._hear_link(node, message, heard):
                    # Its sender is told, each time that it resends the message.
                    self._post.post(node, Rejected(sender, receiver, number, what))
            case Ack(sender, receiver, number):
                if (link := self._out.get((sender, receiver))) is not None:
                    link.acknowledged(number)
            case NotPeers(sender, receiver):
                self._members.not_peers(sender, receiver)
            case Rejected(sender, receiver, number, what):
                self._rejected((sender, receiver), number, what)
            case Unknown(what, sender, receiver):
                log_not_understood("a message of another node", what)
                if sender and receiver:
                    self._post.post(node, Rejected(sender, receiver, 0, what))

    def seated(self, member_id: str) -> None:
        """A member has a seat now, or will have none: hear what came for it before."""
        for node, link in self._early.pop(member_id, []):
            self.hear(node, [link])

    def drop(self, pair: Pair) -> None:
        """These two have no more to say to each other."""
        self._out.pop(pair, None)

    def reroute(self, pair: Pair, node: str) -> None:
        """The receiver is on `node` now; what it may lack goes there at once."""
        link = self._out.get(pair)
        if link is None or link.node == node:
            return
        now = self._clock.monotonic()
        link.moved(node, now)
        if node != self._post.node:
            for number, body in link.all_again(now):
                self._post.post(node, Link(*pair, number, body))
            return
        # The receiver has come here: what is under way has arrived.
        for number, body in link.all_again(now):
            if what := self._hear_link(node, Link(*pair, number, body), {}):
                self._rejected(pair, number, what)
                return
        link.acknowledged(link.last)

    def resend(self) -> Iterator[Pair]:
        """Resend what is unacknowledged; yields the pairs where that has been too long."""
        now = self._clock.monotonic()
        for pair, link in tuple(self._out.items()):
            presence = self._members.seats.presence(pair[0])
            silent = link.silent_for(now)
            if presence is Presence.UNKNOWN:
                # Redis may not have answered yet that the member has left. Its peer hears of that
                # on this link: on a new one, the number would be one that it has received before.
                over = link.without_sender_for(now) > bounds.LEAVING_SECONDS
                if (over and not link.kept) or silent > bounds.LAST_MESSAGES_SECONDS:
                    del self._out[pair]
                    continue
            again = link.overdue(now, bounds.RESEND_SECONDS)
            for number, body in again:
                self._post.post(link.node, Link(*pair, number, body))
            if again and silent > bounds.SILENT_SECONDS:
                yield pair

    def forget(self) -> None:
        """Forget the senders whose receiver is no longer here."""
        now = self._clock.monotonic()
        for pair, (_, heard_at) in tuple(self._in.items()):
            unknown = self._members.seats.presence(pair[1]) is Presence.UNKNOWN
            if unknown and now - heard_at > bounds.REMEMBER_SECONDS:
                del self._in[pair]

    def detach(self, member_id: str, peer_id: str) -> LinkState:
        """Take away the links of a member that goes on elsewhere."""
        out = self._out.pop((member_id, peer_id), None)
        heard = self._in.pop((peer_id, member_id), None)
        return LinkState(
            out.last if out else 0,
            [KeptState(kept.body, kept.size) for kept in out.kept] if out else [],
            heard[0].received if heard else 0,
        )

    def restore(self, member_id: str, peer_id: str, state: LinkState) -> None:
        """Go on with links that were detached; `reroute` says where the peer is."""
        now = self._clock.monotonic()
        before = state.last - len(state.kept)
        link = self._out[member_id, peer_id] = Outgoing("", last=before)
        for kept in state.kept:
            link.put(kept.body, kept.size, now)
        self._in[peer_id, member_id] = Incoming(state.received), now

    def _hear_link(self, node: str, message: Link, heard: dict[Pair, int]) -> str:
        """Receive a message, unless it comes again or too early.

        Returns:
            What was not understood, if that is why the message is not received.
        """
        pair, receiver = (message.sender, message.receiver), message.receiver
        presence = self._members.seats.presence(receiver)
        if presence is Presence.AWAY:
            # Not acknowledged: its sender will hear where it is, or resend the message.
            return ""
        if presence is Presence.ENTERING:
            self._early.setdefault(receiver, []).append((node, message))
            return ""
        link, _ = self._in.get(pair) or (Incoming(), 0.0)
        self._in[pair] = link, self._clock.monotonic()
        what = ""
        if presence is Presence.UNKNOWN:
            # No member is here to receive it, so nothing comes too early.
            if link.pass_over(message.number) and not self._matters_to_none(message):
                self._deny(node, pair)
        elif link.is_next(message.number):
            what = self._receive(node, message, link)
        heard[pair] = link.received
        return what

    def _receive(self, node: str, message: Link, link: Incoming) -> str:
        """Let a message take effect; what was not understood, if anything."""
        pair = message.sender, message.receiver
        before, what = link.received, ""
        # Counted before it takes effect, because that may send and receive more.
        link.receive(message.number)
        try:
            body = PEER.read(message.body)
            if not self._members.receive(message.receiver, message.sender, body):
                self._deny(node, pair)
        except NotUnderstood as error:
            what = error.what
        except Exception:
            log.exception("handling a message of a peer failed")
            what = "its effect"
        if what:
            # Not received, or it would be lost without a word.
            link.receive(before)
        return what

    def _matters_to_none(self, message: Link) -> bool:
        """Whether a message to a member that is not here may be ignored."""
        try:
            body = PEER.read(message.body)
        except NotUnderstood:
            return False
        return self._members.receive(message.receiver, message.sender, body)

    def _deny(self, node: str, pair: Pair) -> None:
        """Tell a node that these two are not peers, unless a message under way says more."""
        link = self._out.get((pair[1], pair[0]))
        if link is None or not link.kept:
            self._post.post(node, NotPeers(*pair))

    def _rejected(self, pair: Pair, number: int, what: str) -> None:
        """End a pair whose message was rejected. That may be told more than once."""
        link = self._out.get(pair)
        if not self._members.are_peers(*pair):
            return
        if number and (link is None or not link.take_back(number)):
            return
        log_not_understood("a message to the node of a peer", what)
        self._members.not_understood(*pair)
