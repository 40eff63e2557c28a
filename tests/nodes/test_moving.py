"""Members that go from node to node while Redis says where they were, or will be."""

import asyncio
from typing import Any

import msgpack
import pytest
from dyad_server.core.events import Departure, Joined, Left, OutOfSync, PeerJoined, PeerLeft
from redis.asyncio import Redis

from tests.nodes.brokers import Guest, Party, entered, party, said
from tests.support.until import PATIENCE, until

_MINUTE_MS = 60_000


async def script(guest: Guest, name: str, keys: list[str], *arguments: Any) -> list[bytes]:
    """What Redis answers the guest's node."""
    answer: asyncio.Future[list[bytes]] = asyncio.get_running_loop().create_future()
    bus = guest.node.broker.bus
    keys = [bus.key("room", guest.room), *keys]
    bus.script(name, keys, list(arguments), answer.set_result, PATIENCE)
    return await answer


def token(guest: Guest) -> str:
    return guest.node.broker.bus.key("token", guest.id)


async def park(guest: Guest, state: list[Any]) -> list[bytes]:
    """Have Redis keep what the guest's node has let go of."""
    left = msgpack.packb(state)
    return await script(guest, "park", [token(guest)], guest.id, left, _MINUTE_MS, _MINUTE_MS)


async def claim(guest: Guest) -> list[bytes]:
    """Have Redis give it to the node on which the guest is now."""
    answer = await script(
        guest, "claim", [token(guest)], guest.id, guest.member.user_id, _MINUTE_MS, guest.id
    )
    assert answer[0] == b"ok"
    return answer


def release(guest: Guest) -> list[Any]:
    released = guest.node.broker.release(guest.id)
    assert released is not None
    return released[1]


def adopt(guest: Guest, claimed: list[bytes]) -> None:
    _, term, state, peer = claimed
    unpacked = msgpack.unpackb(state)
    guest.node.broker.adopt(guest.member, guest.room, unpacked, peer, int(term))


async def move(here: Party, guest: Guest, node: int) -> list[bytes]:
    """Let the guest's node let go of it, and Redis give it to another; what Redis answered that."""
    assert await park(guest, release(guest)) == [b"ok"]
    guest.node = here.nodes[node]
    return await claim(guest)


async def test_what_is_said_to_one_who_left_the_node_as_the_other_one_came_is_kept() -> None:
    async with party() as here:
        alice, bob = await here.pair(0, 1)
        left = release(bob)
        alice.say("where are you?")
        # Redis has not heard that Bob goes: he is said to be where Alice comes.
        adopt(alice, await move(here, alice, 1))
        alice.say("here?")
        assert await park(bob, left) == [b"ok"]
        bob.node = here.nodes[2]
        adopt(bob, await claim(bob))
        for text in ("where are you?", "here?"):
            assert await bob.told() == said(alice, text)
        bob.say("here")
        assert await alice.told() == said(bob, "here")


async def test_what_is_said_to_one_who_is_about_to_come_is_not_taken_for_heard() -> None:
    async with party() as here, Redis(port=here.redis.port) as redis:
        alice, bob = await here.pair(0, 1)
        left = here.nodes[1].broker
        with here.nodes[2].broker.may_come(bob.id):
            coming = await move(here, bob, 2)
            # So that Alice's node looks where Bob is.
            await left.stop()
            alice.say("too early")
            inbox = bob.node.broker.bus.key("in", bob.node.broker.node)
            last = "0"
            async with asyncio.timeout(PATIENCE):
                while True:
                    read: Any = await redis.xread({inbox: last}, block=0)
                    ((_, entries),) = read
                    if any(b"too early" in fields[b"m"] for _, fields in entries):
                        break
                    last = entries[-1][0]
            # Until what has come to this node has been heard.
            await script(bob, "watch", [], bob.id, 0)
            adopt(bob, coming)
        assert await bob.told() == said(alice, "too early")


async def test_who_enters_as_the_other_one_leaves_the_node_is_told_of_on_the_next() -> None:
    async with party() as here:
        alice = here.guest("alice", 0)
        assert await entered(alice) == Joined(None, polite=False)
        bob = here.guest("bob", 0, alice.room)
        bob.enter()
        # Redis has not been asked yet: it will say that Alice is here.
        left = release(alice)
        assert await bob.told() == Joined(alice.member, polite=True)
        bob.say("hello")
        assert await park(alice, left) == [b"ok"]
        alice.node = here.nodes[1]
        adopt(alice, await claim(alice))
        assert await alice.told() == PeerJoined(bob.member)
        assert await alice.told() == said(bob, "hello")


@pytest.mark.parametrize("asked", ["before", "after"])
async def test_who_enters_on_the_node_to_which_the_other_one_is_coming_is_told_of_there(
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
            # Redis still says to Bob that Alice is on her way.
            assert await park(alice, release(alice)) == [b"ok"]
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


async def test_nobody_hears_one_of_whom_it_was_not_told_that_it_came() -> None:
    async with party() as here, Redis(port=here.redis.port) as redis:
        alice = here.guest("alice", 0)
        room = alice.node.broker.bus.key("room", alice.room)
        # As if Redis had forgotten, and its clock were behind that of the one before.
        await redis.hset(room, "epoch", 10**14)
        assert await entered(alice) == Joined(None, polite=False)
        await redis.hdel(room, "epoch")
        bob = here.guest("bob", 0, alice.room)
        assert await entered(bob) == Joined(alice.member, polite=True)
        bob.say("hello")
        assert await bob.told() == OutOfSync()
        assert alice.heard.empty()


async def test_one_whom_its_peer_has_given_up_is_told_so_as_it_comes_to_that_ones_node() -> None:
    async with party() as here:
        alice, bob = await here.pair(0, 1)
        coming = await move(here, bob, 0)
        # As where Redis says for a while that Bob is nowhere.
        async with Redis(port=here.redis.port) as redis:
            room = alice.node.broker.bus.key("room", alice.room)
            seat = await redis.hget(room, "1")
            await redis.hdel(room, "1")
            assert await alice.told() == PeerLeft(bob.member, Departure.DISCONNECTED)
            await redis.hset(room, "1", seat)
        adopt(bob, coming)
        assert await bob.told() == OutOfSync()


async def test_who_is_left_for_another_node_is_so_also_when_redis_answer_was_lost() -> None:
    async with party() as here:
        alice, bob = await here.pair(0, 1)
        state = release(bob)
        assert await park(bob, state) == [b"ok"]
        assert await park(bob, state) == [b"ok"], "asked again, for want of the answer"
        before, bob.node = bob.node, here.nodes[2]
        adopt(bob, await claim(bob))
        after, bob.node = bob.node, before
        assert await park(bob, state) == [b"ok"], "by now another node has it"
        bob.node = after
        alice.say("still here")
        assert await bob.told() == said(alice, "still here")


async def test_a_node_does_not_speak_for_one_who_sits_on_another() -> None:
    async with party() as here:
        alice, bob = await here.pair(1, 1)
        released = bob.node.broker.release(bob.id)
        assert released is not None
        seat, state = released
        assert await park(bob, state) == [b"ok"]
        # As it does where it does not know that.
        bob.node.broker.forsake(seat)
        assert await script(bob, "leave", [], bob.id) == [b"moved"]
        bob.node = here.nodes[2]
        adopt(bob, await claim(bob))
        alice.say("still here")
        assert await bob.told() == said(alice, "still here")
        bob.leave()
        assert await alice.told() == PeerLeft(bob.member, Departure.LEFT)


async def test_a_claim_makes_nobody_else_about_to_come() -> None:
    async with party() as here:
        alice, bob = await here.pair(0, 1)
        with here.nodes[1].broker.may_come("somebody else"):
            bob.leave()
            assert await bob.told() == Left()
            assert await alice.told() == PeerLeft(bob.member, Departure.LEFT)
            # Heard, and known to be for nobody: else it would be sent again and again.
            node = here.nodes[1].broker.bus.node
            crossing = here.nodes[0].broker._seating.crossing  # noqa: SLF001 - it is not told
            crossing.send((alice.id, bob.id), node, ["left", "left"], 0)
            link = crossing._out[alice.id, bob.id]  # noqa: SLF001 - the same
            await until(lambda: not link.kept, PATIENCE)
