"""Members that move from node to node while Redis still names another node for them."""

import asyncio
from typing import Any

import pytest
from dyad_server.core.events import Departure, Joined, Left, OutOfSync, PeerJoined, PeerLeft
from dyad_server.engines.redis import messages
from dyad_server.engines.redis.script_answers import Claimed, Verdict
from dyad_server.engines.redis.snapshot import SEAT, SeatState
from dyad_server.engines.redis.store import Store
from redis.asyncio import Redis

from tests.nodes.brokers import Guest, Party, entered, party, said
from tests.support.until import PATIENCE, until

_MINUTE_MS = 60_000


def store(guest: Guest) -> Store:
    return guest.node.engine.membership.store


def token(guest: Guest) -> str:
    return store(guest).keys.token(guest.id, guest.member.user_id)


async def hand_off(guest: Guest, state: SeatState, grace_ms: int = _MINUTE_MS) -> bool | None:
    """Hand off in Redis what the guest's node has detached."""
    snapshot = SEAT.pack(state)
    return await guest.node.ask(
        store(guest).hand_off(guest.room, guest.id, [token(guest)], snapshot, grace_ms)
    )


async def claim(guest: Guest) -> Claimed:
    """Claim the seat in Redis for the node on which the guest is now."""
    claimed = await guest.node.ask(
        store(guest).claim(guest.room, token(guest), guest.id, guest.member.user_id, guest.id)
    )
    assert isinstance(claimed, Claimed)
    return claimed


def detach(guest: Guest) -> SeatState:
    detached = guest.node.engine.detach(guest.id)
    assert detached is not None
    return detached[1]


def adopt(guest: Guest, claimed: Claimed) -> None:
    state = SEAT.unpack(claimed.snapshot)
    guest.node.engine.adopt(guest.member, guest.room, state, claimed)


async def move(here: Party, guest: Guest, node: int) -> Claimed:
    """Hand the guest off, and claim its seat for another node."""
    assert await hand_off(guest, detach(guest))
    guest.node = here.nodes[node]
    return await claim(guest)


async def test_frames_to_a_participant_leaving_the_node_as_its_peer_arrives_are_kept() -> None:
    async with party() as here:
        alice, bob = await here.pair(0, 1)
        left = detach(bob)
        alice.say("where are you?")
        # Bob is not handed off in Redis yet, which still names the node that Alice moves to.
        adopt(alice, await move(here, alice, 1))
        alice.say("here?")
        assert await hand_off(bob, left)
        bob.node = here.nodes[2]
        adopt(bob, await claim(bob))
        for text in ("where are you?", "here?"):
            assert await bob.told() == said(alice, text)
        bob.say("here")
        assert await alice.told() == said(bob, "here")


async def test_frames_to_a_participant_about_to_arrive_are_not_acknowledged() -> None:
    async with party() as here, Redis(port=here.redis.port) as redis:
        alice, bob = await here.pair(0, 1)
        left = here.nodes[1].engine
        with here.nodes[2].engine.expect(bob.id):
            coming = await move(here, bob, 2)
            # So that Alice's node asks Redis where Bob is.
            await left.stop()
            alice.say("too early")
            inbox = bob.node.keys.inbox(bob.node.broker.node)
            last = "0"
            async with asyncio.timeout(PATIENCE):
                while True:
                    read: Any = await redis.xread({inbox: last}, block=0)
                    ((_, entries),) = read
                    if any(b"too early" in fields[b"entry"] for _, fields in entries):
                        break
                    last = entries[-1][0]
            # Once this is answered, the node has processed what arrived before.
            await bob.node.ask(store(bob).find_peer(bob.room, bob.id, absent_too_long=False))
            adopt(bob, coming)
        assert await bob.told() == said(alice, "too early")


async def test_a_join_during_the_peers_move_is_announced_on_its_next_node() -> None:
    async with party() as here:
        alice = here.guest("alice", 0)
        assert await entered(alice) == Joined(None, polite=False)
        bob = here.guest("bob", 0, alice.room)
        bob.enter()
        # The join is not sent to Redis yet, which will answer that Alice is on this node.
        left = detach(alice)
        assert await bob.told() == Joined(alice.member, polite=True)
        bob.say("hello")
        assert await hand_off(alice, left)
        alice.node = here.nodes[1]
        adopt(alice, await claim(alice))
        assert await alice.told() == PeerJoined(bob.member)
        assert await alice.told() == said(bob, "hello")


@pytest.mark.parametrize("asked", ["before", "after"])
async def test_a_join_on_the_node_that_the_peer_is_moving_to_is_announced_there(
    asked: str,
) -> None:
    async with party() as here:
        alice = here.guest("alice", 0)
        assert await entered(alice) == Joined(None, polite=False)
        bob = here.guest("bob", 1, alice.room)
        if asked == "before":
            coming = await move(here, alice, 1)
            assert await entered(bob) == Joined(alice.member, polite=True)
        else:
            # Redis answers Bob that Alice is between two nodes.
            assert await hand_off(alice, detach(alice))
            assert await entered(bob) == Joined(alice.member, polite=True)
            alice.node = here.nodes[1]
            coming = await claim(alice)
        bob.say("hello")
        adopt(alice, coming)
        bob.say("are you there?")
        assert await alice.told() == PeerJoined(bob.member)
        for text in ("hello", "are you there?"):
            assert await alice.told() == said(bob, text)
        alice.say("here")
        assert await bob.told() == said(alice, "here")


async def test_no_frame_arrives_from_a_participant_that_was_not_announced() -> None:
    async with party() as here, Redis(port=here.redis.port) as redis:
        alice = here.guest("alice", 0)
        room = alice.node.keys.room(alice.room)
        # As after a loss of data, with a clock that is behind that of the old Redis.
        await redis.hset(room, "epoch", 10**14)
        assert await entered(alice) == Joined(None, polite=False)
        await redis.hdel(room, "epoch")
        bob = here.guest("bob", 0, alice.room)
        assert await entered(bob) == Joined(alice.member, polite=True)
        bob.say("hello")
        assert await bob.told() == OutOfSync()
        assert alice.heard.empty()


async def test_a_participant_its_peer_was_told_has_left_is_told_on_arrival() -> None:
    async with party() as here:
        alice, bob = await here.pair(0, 1)
        coming = await move(here, bob, 0)
        # For a while, Redis has no seat of Bob.
        async with Redis(port=here.redis.port) as redis:
            room = alice.node.keys.room(alice.room)
            seat = await redis.hget(room, "1")
            await redis.hdel(room, "1")
            assert await alice.told() == PeerLeft(bob.member, Departure.DISCONNECTED)
            await redis.hset(room, "1", seat)
        adopt(bob, coming)
        assert await bob.told() == OutOfSync()


async def test_a_hand_off_succeeds_even_if_redis_answer_is_lost() -> None:
    async with party() as here:
        alice, bob = await here.pair(0, 1)
        state = detach(bob)
        assert await hand_off(bob, state)
        assert await hand_off(bob, state), "a repeated hand-off is refused"
        before, bob.node = bob.node, here.nodes[2]
        adopt(bob, await claim(bob))
        after, bob.node = bob.node, before
        assert await hand_off(bob, state), "a hand-off repeated after the claim is refused"
        bob.node = after
        alice.say("still here")
        assert await bob.told() == said(alice, "still here")


async def test_a_node_does_not_act_for_a_participant_on_another_node() -> None:
    async with party() as here:
        alice, bob = await here.pair(1, 1)
        detached = bob.node.engine.detach(bob.id)
        assert detached is not None
        seat, state = detached
        assert await hand_off(bob, state)
        # As a node does that does not know of the hand-off.
        bob.node.engine.release(seat)
        assert await bob.node.ask(store(bob).leave(bob.room, bob.id)) is Verdict.MOVED
        bob.node = here.nodes[2]
        adopt(bob, await claim(bob))
        alice.say("still here")
        assert await bob.told() == said(alice, "still here")
        bob.leave()
        assert await alice.told() == PeerLeft(bob.member, Departure.LEFT)


async def test_a_claim_awaits_only_its_own_member() -> None:
    async with party() as here:
        alice, bob = await here.pair(0, 1)
        with here.nodes[1].engine.expect("another member"):
            bob.leave()
            assert await bob.told() == Left()
            assert await alice.told() == PeerLeft(bob.member, Departure.LEFT)
            # The node must acknowledge a message for a member that is gone, or it is sent forever.
            node = here.nodes[1].broker.node
            links = here.nodes[0].engine._members.links  # noqa: SLF001 - there is no event for it
            links.send((alice.id, bob.id), node, messages.Left(Departure.LEFT))
            link = links._out[alice.id, bob.id]  # noqa: SLF001 - the same
            await until(lambda: not link.kept, PATIENCE)


async def test_a_room_lives_as_long_as_a_handed_off_seat_whatever_its_peer_does() -> None:
    async with party() as here:
        alice, bob = await here.pair(0, 1)
        assert await hand_off(alice, detach(alice), 10 * _MINUTE_MS)
        bob.resume()
        assert isinstance(await bob.told(), Joined)
        # The peer leaves, and joins again.
        bob.leave()
        assert isinstance(await bob.told(), Left)
        again = here.guest("bob", 1, bob.room)
        again.enter()
        assert isinstance(await again.told(), Joined)
        async with Redis(port=here.redis.port) as redis:
            assert await redis.pttl(store(alice).keys.room(alice.room)) > 9 * _MINUTE_MS
