"""The links between members on two nodes, over mailboxes that lose and repeat."""

import time
from collections import deque

import pytest
from dyad_server.core.events import Departure, Member
from dyad_server.engines.redis import messages
from dyad_server.engines.redis.codec import Map
from dyad_server.engines.redis.messages import NODE, NodeMessage, PeerMessage, read_message
from dyad_server.engines.redis.peer_links import PeerLinks
from dyad_server.engines.redis.seats import Peer, Seat, Seats
from hypothesis import given, settings
from hypothesis import strategies as st

ALICE, BOB = Member("a1", "alice"), Member("b1", "bob")
PAIR = ALICE.id, BOB.id
BACK = BOB.id, ALICE.id
LEFT = messages.Left(Departure.LEFT)
# From another version: a kind, and a value, that this one does not have.
LATER = {"kind": "later"}
BANISHED = {"kind": "left", "reason": "banished"}


class Node:
    """A node, its members, and what it has posted to whom."""

    def __init__(self, name: str) -> None:
        self.node = name
        self.seats = Seats()
        self.links = PeerLinks(self, self)
        self.posted: deque[tuple[str, Map]] = deque()
        self.received: list[PeerMessage] = []
        self.suspected: list[tuple[str, str]] = []
        self.out_of_sync: list[str] = []
        self.later = 0.0

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
        """Let Alice say this to Bob on the other node."""
        self.links.send(PAIR, "two", said(text))

    def resend(self, seconds: float = 2.0) -> list[tuple[str, str]]:
        """Let so much time go by."""
        self.later += seconds
        return list(self.links.resend(time.monotonic() + self.later))


def said(text: str) -> messages.Relay:
    return messages.Relay(text.encode())


def both() -> tuple[Node, Node]:
    """Alice on the one node, Bob on the other."""
    one, two = Node("one"), Node("two")
    one.seat(ALICE, Peer(BOB, "two"))
    two.seat(BOB, Peer(ALICE, "one"))
    return one, two


def exchange(*nodes: Node) -> None:
    """Deliver what is posted, and what is posted because of that."""
    names = {node.node: node for node in nodes}
    while any(node.posted for node in nodes):
        for node in nodes:
            while node.posted:
                to, data = node.posted.popleft()
                names[to].links.hear(node.node, [read_message(data)])


def kept(node: Node, pair: tuple[str, str] = PAIR) -> list[Map]:
    """What a member has said that is not acknowledged."""
    link = node.links._out.get(pair)  # noqa: SLF001 - it is not told
    return [each.body for each in link.kept] if link else []


def plant(node: Node, body: Map) -> None:
    """Let Alice say what a node of another version would let her say."""
    node.links.send(PAIR, "two", LEFT)
    node.posted.pop()
    link = node.links._out[PAIR]  # noqa: SLF001 - this version cannot say it
    link.kept[-1].body = body
    node.post("two", messages.Link(*PAIR, link.last, body))


def test_what_is_said_is_received_in_order_and_then_kept_no_longer() -> None:
    one, two = both()
    for text in "abc":
        one.say(text)
    exchange(one, two)
    assert two.received == [said(text) for text in "abc"]
    assert not kept(one)


@settings(deadline=None)
@given(st.lists(st.sampled_from(["deliver", "lose", "repeat", "swap", "say", "resend"])))
def test_whatever_a_mailbox_does_each_message_is_received_once_and_in_order(
    steps: list[str],
) -> None:
    one, two = both()
    texts: list[str] = []
    for number, step in enumerate(steps):
        if step == "say":
            texts.append(str(number))
            one.say(texts[-1])
        elif step == "resend":
            one.resend()
        elif step == "lose" and one.posted:
            one.posted.popleft()
        elif step == "repeat" and one.posted:
            one.posted.append(one.posted[0])
        elif step == "swap":
            one.posted.rotate(1)
        elif step == "deliver" and one.posted:
            two.links.hear("one", [read_message(one.posted.popleft()[1])])
    exchange(one, two)
    one.resend()
    exchange(one, two)
    assert two.received == [said(text) for text in texts]
    assert not kept(one)


def test_what_is_said_to_a_member_that_is_entering_is_received_once_it_is_seated() -> None:
    one, two = Node("one"), Node("two")
    one.seat(ALICE, Peer(BOB, "two"))
    seat = two.seat(BOB, Peer(ALICE, "one"), seated=False)
    one.say("early")
    exchange(one, two)
    assert (two.received, len(kept(one))) == ([], 1)
    seat.seated = True
    two.links.seated(BOB.id)
    exchange(one, two)
    assert (two.received, kept(one)) == ([said("early")], [])


@pytest.mark.parametrize("why", ["moved", "expected"])
def test_what_is_said_to_a_member_that_moves_is_kept_until_it_is_there(why: str) -> None:
    one, two, three = Node("one"), Node("two"), Node("three")
    one.seat(ALICE, Peer(BOB, "two"))
    if why == "moved":
        two.seats.move_away(two.seat(BOB, Peer(ALICE, "one")))
        one.say("where are you?")
        exchange(one, two, three)
    else:
        with two.seats.expect(BOB.id):
            one.say("where are you?")
            exchange(one, two, three)
    assert len(kept(one)) == 1
    three.seat(BOB, Peer(ALICE, "one"))
    one.links.reroute(PAIR, "three")
    exchange(one, two, three)
    assert (three.received, kept(one)) == ([said("where are you?")], [])


def test_what_is_said_to_a_member_that_is_nowhere_is_answered() -> None:
    one, two = Node("one"), Node("two")
    one.seat(ALICE, Peer(BOB, "two"))
    one.say("hello?")
    exchange(one, two)
    assert one.suspected == [PAIR]
    assert not kept(one)


def test_links_go_on_where_their_member_goes_on() -> None:
    one, two, three = Node("one"), Node("two"), Node("three")
    one.seat(ALICE, Peer(BOB, "two"))
    two.seat(BOB, Peer(ALICE, "one"))
    one.say("a")
    exchange(one, two)
    one.say("b")
    one.posted.clear()
    state = one.links.detach(*PAIR)
    three.seat(ALICE, Peer(BOB, "two"))
    three.links.restore(*PAIR, state)
    three.links.reroute(PAIR, "two")
    three.say("c")
    two.links.send(BACK, "three", said("to Alice"))
    exchange(one, two, three)
    assert two.received == [said(text) for text in "abc"]
    assert three.received == [said("to Alice")]


def test_a_member_that_comes_to_the_node_of_its_peer_finds_there_what_was_said() -> None:
    one, two = Node("one"), Node("two")
    one.seat(ALICE, Peer(BOB, "two"))
    one.say("a")
    one.posted.clear()
    one.seat(BOB, Peer(ALICE, "one"))
    one.links.reroute(PAIR, "one")
    assert (one.received, kept(one)) == ([said("a")], [])
    assert not one.posted
    assert not two.received


def test_a_peer_that_acknowledges_nothing_is_silent_after_seven_seconds() -> None:
    one, _ = both()
    one.say("hello?")
    assert one.resend(2) == []
    assert one.resend(6) == [PAIR]


def test_more_is_not_kept_than_may_be() -> None:
    one, _ = both()
    fits = [one.links.send(PAIR, "two", said("x")) for _ in range(513)]
    assert fits == [True] * 512 + [False]
    one, _ = both()
    assert one.links.send(PAIR, "two", said("x" * 500_000))
    assert not one.links.send(PAIR, "two", said("x" * 50_000))


def test_last_words_are_resent_for_a_while_and_then_forgotten() -> None:
    one, two = both()
    one.links.send(PAIR, "two", LEFT)
    one.posted.clear()
    seat = one.seats.get(ALICE.id)
    assert seat is not None
    one.seats.remove(seat)
    one.resend(2)
    assert len(one.posted) == 1
    one.resend(30)
    assert not kept(one)
    exchange(one, two)
    assert two.received == [LEFT]


# Another version on the other node.


@pytest.mark.parametrize("body", [LATER, BANISHED, {}], ids=["kind", "value", "nothing"])
def test_a_message_that_is_not_understood_ends_its_pair_and_is_not_taken_for_received(
    body: Map,
) -> None:
    one, two = both()
    one.say("before")
    plant(one, body)
    one.say("after")
    exchange(one, two)
    assert two.received == [said("before")], "what comes after it would come out of order"
    assert one.out_of_sync == [ALICE.id]
    # Which makes her leave, and that gets through.
    one.links.send(PAIR, "two", LEFT)
    exchange(one, two)
    assert two.received == [said("before"), LEFT]
    assert not kept(one)


def test_that_a_message_is_not_understood_is_told_until_it_arrives_and_counts_once() -> None:
    one, two = both()
    plant(one, LATER)
    again = list(one.posted)
    for to, data in again * 2:
        assert to == "two"
        two.links.hear("one", [read_message(data)])
    one.posted.clear()
    two.posted.popleft()
    one.resend()
    exchange(one, two)
    assert one.out_of_sync == [ALICE.id]
    one.links.send(PAIR, "two", LEFT)
    exchange(one, two)
    assert two.received == [LEFT]


def test_a_message_whose_effect_fails_ends_its_pair() -> None:
    one, two = both()
    one.links.send(PAIR, "two", messages.Forgotten())
    exchange(one, two)
    assert one.out_of_sync == [ALICE.id]


def test_a_kind_between_nodes_that_is_not_understood_ends_the_pair_that_it_is_about() -> None:
    one, two = both()
    later = {"kind": "later", "sender": ALICE.id, "receiver": BOB.id}
    two.links.hear("one", [read_message(later)])
    two.links.hear("one", [read_message(LATER)])
    exchange(one, two)
    assert one.out_of_sync == [ALICE.id]


def test_a_message_that_is_not_understood_harms_none_beside_it() -> None:
    one, two = both()
    one.say("a")
    (_, good) = one.posted.popleft()
    bad = {"kind": "link", "sender": "x", "receiver": "y", "number": "one"}
    two.links.hear("one", [read_message(each) for each in (bad, LATER, b"no map", good)])
    assert two.received == [said("a")]


def test_what_a_member_left_behind_that_is_not_understood_ends_its_pair_here() -> None:
    one, two = both()
    plant(one, LATER)
    one.posted.clear()
    state = one.links.detach(*PAIR)
    two.seat(ALICE, Peer(BOB, "two"))
    two.links.restore(*PAIR, state)
    two.links.reroute(PAIR, "two")
    assert two.out_of_sync == [ALICE.id]
    two.links.send(PAIR, "two", LEFT)
    exchange(two)
    assert two.received == [LEFT]
    assert two.out_of_sync == [ALICE.id]
