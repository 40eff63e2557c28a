"""The links between members when the other node runs another version."""

import pytest
from dyad_server.engines.redis import messages
from dyad_server.engines.redis.message_codec import Map
from dyad_server.engines.redis.messages import read_message
from dyad_server.engines.redis.seats import Peer

from tests.unit.engines.redis.linked import ALICE, BOB, LEFT, PAIR, Node, both, exchange, kept, said

# A kind and a value that only another version has.
LATER = {"kind": "later"}
BANISHED = {"kind": "left", "reason": "banished"}


def plant(node: Node, body: Map) -> None:
    """Let Alice send a message that only another version can send."""
    node.links.send(PAIR, "two", LEFT)
    node.posted.pop()
    link = node.links._out[PAIR]  # noqa: SLF001 - this version cannot send it
    link.kept[-1].body = body
    node.post("two", messages.Link(*PAIR, link.last, body))


@pytest.mark.parametrize("body", [LATER, BANISHED, {}], ids=["kind", "value", "nothing"])
def test_a_message_that_is_not_understood_ends_its_pair_and_is_not_acknowledged(
    body: Map,
) -> None:
    one, two = both()
    one.say("before")
    plant(one, body)
    one.say("after")
    exchange(one, two)
    assert two.received == [said("before")], "later messages would arrive out of order"
    assert one.out_of_sync == [ALICE.id]
    # She leaves because of that, and the message about it arrives.
    one.links.send(PAIR, "two", LEFT)
    exchange(one, two)
    assert two.received == [said("before"), LEFT]
    assert not kept(one)


def test_a_rejection_is_repeated_until_it_arrives_and_counts_once() -> None:
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


def test_an_unknown_kind_of_node_message_ends_the_pair_that_it_is_about() -> None:
    one, two = both()
    later = {"kind": "later", "sender": ALICE.id, "receiver": BOB.id}
    two.links.hear("one", [read_message(later)])
    two.links.hear("one", [read_message(LATER)])
    exchange(one, two)
    assert one.out_of_sync == [ALICE.id]


def test_a_message_that_is_not_understood_does_not_affect_others_in_its_entry() -> None:
    one, two = both()
    one.say("a")
    (_, good) = one.posted.popleft()
    bad = {"kind": "link", "sender": "x", "receiver": "y", "number": "one"}
    two.links.hear("one", [read_message(each) for each in (bad, LATER, b"no map", good)])
    assert two.received == [said("a")]


def test_a_kept_message_that_is_not_understood_ends_its_pair_when_the_member_moves() -> None:
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
