"""Two members on two nodes, linked over inboxes that a test controls."""

from collections import deque

from dyad_server.core.events import Departure, Member
from dyad_server.engines.redis import messages
from dyad_server.engines.redis.message_codec import Map
from dyad_server.engines.redis.messages import NODE, NodeMessage, PeerMessage, read_message
from dyad_server.engines.redis.peer_links import PeerLinks
from dyad_server.engines.redis.seats import Peer, Seat, Seats

from tests.support.fake_clock import FakeClock

ALICE, BOB = Member("a1", "alice"), Member("b1", "bob")
PAIR = ALICE.id, BOB.id
BACK = BOB.id, ALICE.id
LEFT = messages.Left(Departure.LEFT)


class Node:
    """A node, its members, and the messages that it has posted to other nodes."""

    def __init__(self, name: str) -> None:
        self.node = name
        self.clock = FakeClock()
        self.seats = Seats(self.clock)
        self.links = PeerLinks(self, self, self.clock)
        self.posted: deque[tuple[str, Map]] = deque()
        self.received: list[PeerMessage] = []
        self.suspected: list[tuple[str, str]] = []
        self.out_of_sync: list[str] = []

    def seat(self, member: Member, peer: Peer | None, *, seated: bool = True) -> Seat:
        seat = Seat(member, "r1", seated=seated, peer=peer)
        self.seats.add(seat)
        return seat

    def post(self, node: str, message: NodeMessage) -> None:
        if node:
            self.posted.append((node, NODE.write(message)))

    def receive(self, receiver: str, sender: str, message: PeerMessage) -> bool:
        if isinstance(message, messages.Forgotten):
            raise ZeroDivisionError
        if self.are_peers(receiver, sender):
            self.received.append(message)
            return True
        return False

    def are_peers(self, member_id: str, peer_id: str) -> bool:
        seat = self.seats.get(member_id)
        return seat is not None and seat.peer_id == peer_id

    def not_peers(self, member_id: str, peer_id: str) -> None:
        self.suspected.append((member_id, peer_id))

    def not_understood(self, member_id: str, peer_id: str) -> None:
        assert self.are_peers(member_id, peer_id)
        self.out_of_sync.append(member_id)

    def say(self, text: str) -> None:
        """Let Alice send this to Bob on the other node."""
        self.links.send(PAIR, "two", said(text))

    def resend(self, seconds: float = 2.0) -> list[tuple[str, str]]:
        """Let this much time pass, and resend; returns the pairs that are silent."""
        self.clock.advance(seconds)
        return list(self.links.resend())


def said(text: str) -> messages.Relay:
    return messages.Relay(text.encode())


def both() -> tuple[Node, Node]:
    """Alice on one node and Bob on the other."""
    one, two = Node("one"), Node("two")
    one.seat(ALICE, Peer(BOB, "two"))
    two.seat(BOB, Peer(ALICE, "one"))
    return one, two


def exchange(*nodes: Node) -> None:
    """Deliver every posted message, and every message posted in response."""
    names = {node.node: node for node in nodes}
    while any(node.posted for node in nodes):
        for node in nodes:
            while node.posted:
                to, data = node.posted.popleft()
                names[to].links.hear(node.node, [read_message(data)])


def kept(node: Node, pair: tuple[str, str] = PAIR) -> list[Map]:
    """The messages of a member that are not acknowledged."""
    link = node.links._out.get(pair)  # noqa: SLF001 - the links do not show it
    return [each.body for each in link.kept] if link else []
