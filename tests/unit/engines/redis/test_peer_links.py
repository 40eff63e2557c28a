"""The links between members on two nodes, over inboxes that lose and repeat."""

import pytest
from dyad_server.engines.redis.messages import read_message
from dyad_server.engines.redis.seats import Peer
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.engines.redis.linked import (
    ALICE,
    BACK,
    BOB,
    LEFT,
    PAIR,
    Node,
    both,
    exchange,
    kept,
    said,
)


def test_messages_are_received_in_order_and_then_no_longer_kept() -> None:
    one, two = both()
    for text in "abc":
        one.say(text)
    exchange(one, two)
    assert two.received == [said(text) for text in "abc"]
    assert not kept(one)


@settings(deadline=None)
@given(st.lists(st.sampled_from(["deliver", "lose", "repeat", "swap", "say", "resend"])))
def test_each_message_is_received_once_and_in_order_whatever_an_inbox_does(
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


def test_a_message_to_a_member_that_is_entering_is_received_when_it_is_seated() -> None:
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
def test_a_message_to_a_member_that_moves_is_kept_until_it_arrives(why: str) -> None:
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


def test_a_message_to_an_unknown_member_is_answered() -> None:
    one, two = Node("one"), Node("two")
    one.seat(ALICE, Peer(BOB, "two"))
    one.say("hello?")
    exchange(one, two)
    assert one.suspected == [PAIR]
    assert not kept(one)


def test_links_move_with_their_member() -> None:
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


def test_a_member_that_moves_to_the_node_of_its_peer_receives_its_messages_there() -> None:
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


def test_the_number_and_the_size_of_kept_messages_are_bounded() -> None:
    one, _ = both()
    fits = [one.links.send(PAIR, "two", said("x")) for _ in range(513)]
    assert fits == [True] * 512 + [False]
    one, _ = both()
    assert one.links.send(PAIR, "two", said("x" * 500_000))
    assert not one.links.send(PAIR, "two", said("x" * 50_000))


def test_a_peer_hears_of_a_leave_whose_answer_from_redis_took_a_while() -> None:
    one, two = both()
    one.say("a")
    exchange(one, two)
    seat = one.seats.get(ALICE.id)
    assert seat is not None
    one.seats.remove(seat)
    # Redis has a second to answer, and links are looked after meanwhile.
    for _ in range(4):
        one.resend(0.25)
    one.links.send(PAIR, "two", LEFT)
    exchange(one, two)
    assert two.received == [said("a"), LEFT]


def test_the_link_of_a_member_that_is_gone_is_forgotten() -> None:
    one, two = both()
    one.say("a")
    exchange(one, two)
    seat = one.seats.get(ALICE.id)
    assert seat is not None
    one.seats.remove(seat)
    one.resend(0.25)
    one.resend(5)
    assert not one.links._out  # noqa: SLF001 - the links do not show it


def test_messages_of_a_member_that_left_are_resent_for_a_while_and_then_forgotten() -> None:
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
