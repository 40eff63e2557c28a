"""A peer whose seat is not in Redis: what its partner's node makes of that, and when."""

import pytest
from dyad_server.core.events import (
    Departure,
    Joined,
    Member,
    PeerLeft,
)
from dyad_server.engines.redis import bounds
from dyad_server.engines.redis.script_answers import Entered, OnNode, Verdict
from dyad_server.engines.redis.store import Believed, Seal
from redis.asyncio import Redis

from tests.nodes.brokers import entered, exchange, isolate, party
from tests.support.until import PATIENCE, until


async def test_a_replaced_peer_counts_as_gone_only_if_its_node_cannot_say_so() -> None:
    async with party() as here, Redis(port=here.redis.port) as redis:
        alice, bob = await here.pair(0, 1)
        await exchange(alice, bob, "here")
        node, keys = here.nodes[0], here.nodes[0].keys
        store = node.engine.membership.store

        async def found(*, late: bool = False) -> OnNode | Verdict | None:
            return await node.ask(store.find_peer(alice.room, bob.id, absent_too_long=late))

        assert isinstance(await found(), OnNode)
        again = here.guest("bob", 2, alice.room)
        assert await entered(again) == Joined(alice.member, polite=True)
        assert await found() is Verdict.REPLACED
        await isolate(here, 2)
        await redis.delete(keys.lease(here.nodes[2].broker.node))
        # The lease has been missing for long enough.
        await redis.set(keys.missing(here.nodes[2].broker.node), 0)
        assert await found() is Verdict.ABSENT
        assert await found(late=True) is Verdict.GONE


async def test_a_free_seat_counts_as_left_until_its_node_had_time_to_announce_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # On a busy machine the announcement may take longer than the server's 3 s.
    monkeypatch.setattr(bounds, "ABSENT_SECONDS", PATIENCE)
    async with party() as here, Redis(port=here.redis.port) as redis:
        alice, bob = await here.pair(0, 1)
        # Bob's node has freed his seat, and its message about that is on its way.
        await redis.hdel(here.nodes[0].keys.room(alice.room), "1")
        broker = here.nodes[0].engine
        seat = broker._seats.get(alice.id)  # noqa: SLF001 - so that it checks at this moment
        assert seat is not None
        assert seat.peer is not None
        peer = seat.peer
        broker._reconciler.find_peer(seat, peer)  # noqa: SLF001 - the same
        await until(lambda: peer.absent_since is not None, PATIENCE)
        bob.leave()
        assert await alice.told() == PeerLeft(bob.member, Departure.LEFT)


async def test_a_look_at_many_rooms_names_who_does_not_sit_where_the_node_believes() -> None:
    async with party() as here, Redis(port=here.redis.port) as redis:
        alice, bob = await here.pair(0, 1)
        node, (one, two) = here.nodes[0], (here.nodes[0].broker.node, here.nodes[1].broker.node)
        store = node.engine.membership.store
        # Her name has the words in which a seat has an id.
        eve = Member("eve", f'"id":"{bob.id}"', f'","id":"{bob.id}"')
        enter = store.enter("other", eve, create=True, seal=Seal.IGNORE, until_ms=2**53)
        entered_there = await node.ask(enter)
        assert isinstance(entered_there, Entered)

        async def amiss(*rooms: Believed) -> list[str] | None:
            return await node.ask(store.keep_rooms(rooms))

        room = alice.room
        assert await amiss((room, alice.id, bob.id, two), ("other", "eve", "", "")) == []
        assert await amiss(("other", "eve", bob.id, "")) == [bob.id]
        assert await amiss((room, alice.id, bob.id, one)) == [bob.id]
        assert await amiss(("another", alice.id, bob.id, "")) == [alice.id, bob.id]
        await redis.pexpire(node.keys.room(room), 1000)
        assert await amiss((room, alice.id, bob.id, "")) == []
        assert await redis.pttl(node.keys.room(room)) > bounds.ROOM_MS / 2
        await redis.hset(node.keys.lease(two), "term", "0")
        assert await amiss((room, alice.id, bob.id, two)) == [bob.id]
        await redis.delete(node.keys.lease(two))
        assert await amiss((room, alice.id, bob.id, two)) == [bob.id]
