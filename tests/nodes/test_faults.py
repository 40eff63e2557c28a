"""What a node is told and tells its participants when Redis or the way to it fails."""

import asyncio
import json
import time
from functools import partial

import msgpack
import pytest
from dyad_server.core.events import (
    Departure,
    EngineUnavailable,
    Event,
    Evicted,
    Forwarded,
    Joined,
    Left,
    OutOfSync,
    PeerJoined,
    PeerLeft,
    Refusal,
    Refused,
)
from dyad_server.engines.redis.answers import OnNode, Verdict
from dyad_server.engines.redis.messages import ENTRY, NODE, PEER, Ack, Entry, Link
from dyad_server.engines.redis.messages import Left as LeftMessage
from redis.asyncio import Redis
from redis.typing import EncodableT, FieldT

from tests.nodes.brokers import Guest, Node, Party, entered, party, said
from tests.support.clock import within
from tests.support.proxy import Way
from tests.support.redis import redis_server
from tests.support.until import PATIENCE, until

TOLD_SECONDS = 10.0
LEASE_SECONDS = 6.0
SERVED_SECONDS = 5.0
_ON_ITS_WAY_SECONDS = 0.2
_AGAIN_SECONDS = 3.0
# Longer than a renewal takes to come.
_STEP_SECONDS = 3.0


def is_ready(node: Node) -> bool:
    return node.broker.ready


async def served(here: Party, *nodes: int) -> None:
    """Await that rooms can be entered on these nodes again."""
    for node in nodes:
        async with within(SERVED_SECONDS):
            await until(partial(is_ready, here.nodes[node]))


async def served_to(guest: Guest) -> Event:
    """What one is told that enters, once its node lets anybody enter again."""
    while isinstance(answer := await entered(guest), EngineUnavailable):
        async with within(SERVED_SECONDS):
            await until(lambda: guest.node.broker.ready)
    return answer


async def silence(here: Party, node: int) -> None:
    """Take the network from a node, for good."""
    network = here.nodes[node].network
    await network.refuse()
    network.stall()


def code(event: Event) -> Refusal | None:
    return event.code if isinstance(event, Refused) else None


async def talk(one: Guest, two: Guest, mark: str) -> None:
    """Let each say something, which the other hears and nothing else."""
    for speaker, listener in ((one, two), (two, one)):
        speaker.say(mark)
        assert await listener.told() == said(speaker, mark)


async def test_a_node_without_a_lease_gives_no_seats() -> None:
    async with party() as here, Redis(port=here.redis.port) as redis:
        await redis.delete(f"dyad:node:{here.nodes[0].broker.node}")
        alice = here.guest("alice", 0)
        alice.enter(create=True)
        assert await alice.told() == Joined(None, polite=False)
        bob, carol = here.guest("bob", 1, alice.room), here.guest("carol", 2, alice.room)
        bob.enter()
        assert await bob.told() == Joined(alice.member, polite=True)
        carol.enter()
        assert code(await carol.told()) is Refusal.ROOM_FULL


async def test_a_leave_that_redis_refuses_for_a_while_still_frees_the_seat() -> None:
    async with party() as here, Redis(port=here.redis.port) as redis:
        alice, bob = await here.pair(0, 1)
        await redis.replicaof("127.0.0.1", 1)
        bob.leave(Departure.DISCONNECTED)
        await until(lambda: not here.nodes[1].broker.ready)
        await redis.replicaof("NO", "ONE")
        assert await alice.told() == PeerLeft(bob.member, Departure.DISCONNECTED)
        await served(here, 2)
        carol = here.guest("carol", 2, alice.room)
        carol.enter()
        assert await carol.told() == Joined(alice.member, polite=True)


async def test_writes_lost_in_a_failover_admit_no_third_participant() -> None:
    async with (
        party(settle_seconds=3.0) as here,
        redis_server("--replicaof", f"127.0.0.1 {here.redis.port}") as replica,
        Redis(port=replica.port) as redis,
    ):
        first, _ = await here.pair(1, 2)
        await until_replicated(redis, f"dyad:room:{first.room}")
        await redis.replicaof("NO", "ONE")
        # These two it knows nothing of.
        alice, bob = await here.pair(0, 1)
        for node in here.nodes:
            node.network.target = replica.port
        for node in here.nodes:
            await node.network.cut()
        await here.redis.end()
        carol = here.guest("carol", 2, alice.room)
        assert code(await served_to(carol)) is Refusal.ROOM_FULL
        await talk(alice, bob, "still here")


async def until_replicated(redis: Redis, key: str) -> None:
    async with asyncio.timeout(PATIENCE):
        while not await redis.exists(key):  # noqa: ASYNC110 - it does not tell
            await asyncio.sleep(0.01)


async def test_a_taken_over_seat_survives_the_death_of_the_old_sessions_node() -> None:
    async with party() as here:
        alice, bob = await here.pair(0, 1)
        await talk(alice, bob, "here")
        await silence(here, 1)
        again = here.guest("bob", 2, alice.room)
        assert await entered(again) == Joined(alice.member, polite=True)
        began = time.monotonic()
        while time.monotonic() - began < TOLD_SECONDS:
            again.say("?")
            await asyncio.sleep(0.5)
        assert again.heard.empty()
        assert isinstance(await alice.told(), PeerLeft)
        assert await alice.told() == PeerJoined(again.member)


async def test_a_replaced_session_is_told_even_if_redis_answer_is_lost() -> None:
    async with party() as here:
        alice, bob = await here.pair(0, 1)
        await talk(alice, bob, "here")
        network = here.nodes[2].network
        network.stall(Way.BACK, new=False)
        again = here.guest("bob", 2, alice.room)
        again.enter()
        assert await again.told() == Joined(alice.member, polite=True)
        assert await bob.told() == Evicted()
        assert await alice.told() == PeerLeft(bob.member, Departure.REPLACED)
        assert await alice.told() == PeerJoined(again.member)


async def test_a_repeated_enter_does_not_take_the_seat_from_a_newer_session() -> None:
    async with party() as here, Redis(port=here.redis.port) as redis:
        alice = here.guest("alice", 0)
        assert await entered(alice) == Joined(None, polite=False)
        network = here.nodes[1].network
        network.stall(Way.BACK, new=False)
        old = here.guest("bob", 1, alice.room)
        old.enter()
        # Redis has seated it, and the answer is lost on its way.
        async with asyncio.timeout(PATIENCE):
            while not await sits(redis, old):  # noqa: ASYNC110 - it does not tell
                await asyncio.sleep(0.01)
        new = here.guest("bob", 2, alice.room)
        assert await entered(new) == Joined(alice.member, polite=True)
        assert await old.told() == Evicted()
        assert await alice.told() == PeerJoined(new.member)
        await talk(alice, new, "with the newer one")
        assert old.heard.empty()
        assert new.heard.empty()
        assert await sits(redis, new)
        assert not await sits(redis, old)


async def sits(redis: Redis, guest: Guest) -> bool:
    """Whether Redis has a seat of this session."""
    room = await redis.hgetall(f"dyad:room:{guest.room}")
    return any(json.loads(room[seat])["id"] == guest.id for seat in room.keys() & {b"0", b"1"})


async def test_a_replaced_peer_counts_as_gone_only_if_its_node_cannot_say_so() -> None:
    async with party() as here, Redis(port=here.redis.port) as redis:
        alice, bob = await here.pair(0, 1)
        await talk(alice, bob, "here")
        node, keys = here.nodes[0], here.nodes[0].keys
        store = node.broker.membership.store

        async def found(*, late: bool = False) -> OnNode | Verdict | None:
            return await node.ask(store.find_peer(alice.room, bob.id, absent_too_long=late))

        assert isinstance(await found(), OnNode)
        again = here.guest("bob", 2, alice.room)
        assert await entered(again) == Joined(alice.member, polite=True)
        assert await found() is Verdict.REPLACED
        await silence(here, 2)
        await redis.delete(keys.lease(here.nodes[2].broker.node))
        # Missed for long enough to be believed gone.
        await redis.set(keys.missing(here.nodes[2].broker.node), 0)
        assert await found() is Verdict.ABSENT
        assert await found(late=True) is Verdict.GONE


async def test_a_late_command_on_an_abandoned_redis_connection_has_no_effect() -> None:
    async with party() as here:
        network = here.nodes[0].network
        network.stall(new=False)
        alice = here.guest("alice", 0)
        assert await served_to(alice) == Joined(None, polite=False)
        alice.leave()
        assert await alice.told() == Left()
        await asyncio.sleep(_ON_ITS_WAY_SECONDS)
        network.resume_forwarding()
        await asyncio.sleep(_ON_ITS_WAY_SECONDS)
        bob = here.guest("bob", 1, alice.room)
        assert await entered(bob) == Joined(None, polite=False)


@pytest.mark.parametrize("ways", [(), (Way.OUT,), (Way.BACK,)], ids=["both ways", "out", "back"])
async def test_a_stalled_connection_is_replaced_and_nothing_is_lost(ways: tuple[Way, ...]) -> None:
    async with party() as here:
        alice, bob = await here.pair(0, 1)
        await talk(alice, bob, "before")
        here.nodes[0].network.stall(*ways, new=False)
        for number in range(20):
            alice.say(f"a{number}")
            bob.say(f"b{number}")
        async with within(SERVED_SECONDS):
            for number in range(20):
                assert await bob.told() == said(alice, f"a{number}")
                assert await alice.told() == said(bob, f"b{number}")
        here.nodes[0].network.resume_forwarding()
        await talk(alice, bob, "after")


async def test_a_redis_that_lost_its_data_is_restored_before_new_joins() -> None:
    async with party(settle_seconds=3.0) as here, Redis(port=here.redis.port) as redis:
        alice, bob = await here.pair(0, 1)
        carol, dave = await here.pair(2, 2)
        await redis.flushall()
        rooms = (alice.room, carol.room)
        strangers = [here.guest("eve", node, room) for node in range(3) for room in rooms]
        async with within(SERVED_SECONDS):
            for stranger in strangers:
                while isinstance(answer := await entered(stranger), EngineUnavailable):
                    pass
                assert code(answer) is Refusal.ROOM_FULL
        await talk(alice, bob, "still here")
        await talk(carol, dave, "still here")


async def test_sessions_from_before_redis_lost_its_data_are_not_heard_by_later_ones() -> None:
    async with party(settle_seconds=0.5) as here, Redis(port=here.redis.port) as redis:
        alice = here.guest("alice", 0)
        assert await entered(alice) == Joined(None, polite=False)
        eve = here.guest("eve", 1, alice.room)
        assert await entered(eve) == Joined(alice.member, polite=True)
        eve.leave()
        assert await alice.told() == PeerJoined(eve.member)
        assert await alice.told() == PeerLeft(eve.member, Departure.LEFT)
        here.nodes[0].network.stall()
        bob = here.guest("bob", 1, alice.room)
        assert await entered(bob) == Joined(alice.member, polite=True)
        bob.say("old")
        here.nodes[1].network.stall()
        await redis.flushall()
        here.nodes[0].network.resume_forwarding()
        # Whom a node seats now, it seats after all who sat there before.
        assert await served_to(here.guest("dave", 0)) == Joined(None, polite=False)
        carol = here.guest("carol", 2, alice.room)
        assert await served_to(carol) == Joined(alice.member, polite=True)
        assert await alice.told() == PeerJoined(carol.member)
        await talk(alice, carol, "new")
        here.nodes[1].network.resume_forwarding()
        assert await bob.told() == OutOfSync()
        bob.leave(Departure.DISCONNECTED)
        began = time.monotonic()
        # Until all of Bob's has been sent again.
        while time.monotonic() - began < _AGAIN_SECONDS:
            await talk(carol, alice, "still here")
            await asyncio.sleep(0.1)


async def test_a_peer_is_told_if_redis_lost_a_seat_that_was_not_restored() -> None:
    async with party(settle_seconds=0.5) as here, Redis(port=here.redis.port) as redis:
        alice, bob = await here.pair(0, 1)
        here.nodes[0].network.stall()
        await redis.flushall()
        # Back before its lease runs out, and after the others gave it up.
        told = await bob.told()
        here.nodes[0].network.resume_forwarding()
        assert told == PeerLeft(alice.member, Departure.DISCONNECTED)
        assert isinstance(await alice.told(), OutOfSync | PeerLeft)


async def test_the_death_of_the_peers_node_is_announced_and_the_participant_stays() -> None:
    async with party() as here:
        alice, bob = await here.pair(0, 1)
        await silence(here, 1)
        async with within(TOLD_SECONDS):
            while alice.heard.empty():
                alice.say("?")
                await asyncio.sleep(0.1)
        assert await alice.told() == PeerLeft(bob.member, Departure.DISCONNECTED)
        assert await bob.told() == OutOfSync()
        carol = await here.joined("carol", 2, alice)
        await talk(alice, carol, "anew")


async def test_a_node_cut_off_beyond_its_lease_delivers_no_old_frames() -> None:
    async with party() as here:
        alice, bob = await here.pair(0, 1)
        network = here.nodes[1].network
        network.stall()
        alice.say("too late")
        async with within(LEASE_SECONDS + 1):
            assert await bob.told() == OutOfSync()
        bob.leave(Departure.DISCONNECTED)
        assert await alice.told() == PeerLeft(bob.member, Departure.DISCONNECTED)
        network.resume_forwarding()
        await served(here, 1)
        again = await here.joined("bob", 1, alice)
        await talk(alice, again, "anew")
        assert bob.heard.empty()


async def test_partitioned_member_is_told_when_its_seat_was_lost() -> None:
    async with party() as here:
        bob = here.guest("bob", 0)
        assert await entered(bob) == Joined(None, polite=False)
        network = here.nodes[0].network
        network.stall()
        alice = here.guest("alice", 1, bob.room)
        assert await entered(alice) == Joined(bob.member, polite=True)
        assert await alice.told() == PeerLeft(bob.member, Departure.DISCONNECTED)
        network.resume_forwarding()
        assert await bob.told() == OutOfSync()
        bob.leave(Departure.DISCONNECTED)
        await served(here, 0)
        again = await here.joined("bob", 0, alice, polite=False)
        await talk(alice, again, "anew")


async def test_a_pair_on_a_partitioned_node_goes_on_and_keeps_its_room() -> None:
    async with party() as here:
        alice, bob = await here.pair(1, 1)
        network = here.nodes[1].network
        network.stall()
        began = time.monotonic()
        while time.monotonic() - began < LEASE_SECONDS + 1:
            await talk(alice, bob, "go on")
            await asyncio.sleep(0.1)
        network.resume_forwarding()
        await served(here, 1)
        carol = here.guest("carol", 0, alice.room)
        assert code(await entered(carol)) is Refusal.ROOM_FULL
        await talk(alice, bob, "still here")


async def test_a_partitioned_pair_is_told_if_others_took_its_room() -> None:
    async with party() as here:
        alice, bob = await here.pair(1, 1)
        network = here.nodes[1].network
        network.stall()
        carol = here.guest("carol", 0, alice.room)
        # Until the lease of the two has run out.
        while not isinstance(await entered(carol), Joined):  # noqa: ASYNC110 - nobody is told
            await asyncio.sleep(0.5)
        network.resume_forwarding()
        assert isinstance(await alice.told(), OutOfSync)
        assert isinstance(await bob.told(), OutOfSync)
        dave = here.guest("dave", 2, alice.room)
        assert await entered(dave) == Joined(carol.member, polite=True)


async def test_without_redis_a_join_is_refused_within_two_seconds() -> None:
    async with party() as here:
        here.nodes[0].network.stall()
        for _ in range(4):
            # At any moment of the round trip that fails.
            guest = here.guest("alice", 0)
            async with within(2):
                assert await entered(guest) == EngineUnavailable()
            await asyncio.sleep(0.3)


async def test_a_seat_taken_over_by_its_user_is_not_resumed() -> None:
    async with party() as here:
        alice, bob = await here.pair(0, 1)
        await talk(alice, bob, "here")
        again = here.guest("bob", 2, alice.room)
        assert await entered(again) == Joined(alice.member, polite=True)
        bob.resume()
        assert isinstance(await bob.told(), Evicted | OutOfSync)


async def test_frames_arrive_once_and_in_order_over_an_unreliable_network() -> None:
    async with party() as here:
        alice, bob = await here.pair(0, 1)

        async def break_it() -> None:
            for number in range(12):
                network = here.nodes[number % 2].network
                await asyncio.sleep(0.25)
                match number % 3:
                    case 0:
                        # Mended before: a lease is not to run out on a busy machine.
                        heard = [(guest, guest.heard.qsize()) for guest in (alice, bob)]
                        await until(lambda: all(g.heard.qsize() > n for g, n in heard))  # noqa: B023 - awaited
                        await network.cut()
                    case 1:
                        network.stall(new=False)
                    case 2:
                        network.resume_forwarding()
                        await network.cut(half_open=True)

        breaking = asyncio.create_task(break_it())
        count = 0
        while not breaking.done():
            alice.say(f"a{count}")
            bob.say(f"b{count}")
            count += 1
            await asyncio.sleep(0.01)
        for who, peer, mark in ((alice, bob, "b"), (bob, alice, "a")):
            for number in range(count):
                told = await who.told()
                assert isinstance(told, Forwarded), (told, number, count)
                assert told == said(peer, f"{mark}{number}")


@pytest.mark.parametrize("nodes", [(0, 0), (0, 1)], ids=["one node", "two nodes"])
async def test_a_room_that_redis_evicts_is_written_again_without_notice(
    nodes: tuple[int, int],
) -> None:
    async with party() as here, Redis(port=here.redis.port) as redis:
        alice, bob = await here.pair(*nodes)
        room = here.nodes[0].keys.room(alice.room)
        for turn in range(2):
            await redis.delete(room)
            async with asyncio.timeout(PATIENCE):
                while None in await redis.hmget(room, "0", "1"):  # noqa: ASYNC110 - it does not tell
                    await asyncio.sleep(0.05)
            carol = here.guest("carol", 2, alice.room)
            assert code(await served_to(carol)) is Refusal.ROOM_FULL
            await talk(alice, bob, f"still here {turn}")


async def test_participants_who_joined_an_evicted_room_stay_and_the_old_pair_is_told() -> None:
    async with party() as here, Redis(port=here.redis.port) as redis:
        alice, bob = await here.pair(0, 1)
        carol = here.guest("carol", 2, alice.room)
        await redis.delete(here.nodes[0].keys.room(alice.room))
        if isinstance(answer := await served_to(carol), Joined):
            assert answer.peer is None
            for guest in (alice, bob):
                told = await guest.told()
                while isinstance(told, PeerLeft | PeerJoined):
                    told = await guest.told()
                assert told == OutOfSync()
        else:
            # They had said it again before she came.
            assert code(answer) is Refusal.ROOM_FULL


async def test_a_jump_of_redis_clock_that_ends_all_leases_ends_no_call() -> None:
    async with party() as here, Redis(port=here.redis.port) as redis:
        alice, bob = await here.pair(0, 1)
        carol, dave = await here.pair(2, 2)
        began = time.monotonic()
        while time.monotonic() - began < 3 * _STEP_SECONDS:
            # As an expiry would.
            await redis.delete(*(f"dyad:node:{node.broker.node}" for node in here.nodes))
            for node, room in ((2, alice.room), (0, carol.room)):
                assert code(await served_to(here.guest("eve", node, room))) is Refusal.ROOM_FULL
            step = time.monotonic()
            while time.monotonic() - step < _STEP_SECONDS:
                await talk(alice, bob, "still here")
                await talk(carol, dave, "still here")
                await asyncio.sleep(0.05)
        assert all(guest.heard.empty() for guest in (alice, bob, carol, dave))


@pytest.mark.parametrize(
    "entry",
    [
        {"entry": b"\xc1"},
        {"x": b""},
        {"entry": msgpack.packb(7)},
        {"entry": ENTRY.pack(Entry("a", [7, {"kind": 7}, NODE.write(Ack("a", "b", 1))]))},
    ],
    ids=["no msgpack", "no messages", "no list", "messages of nobody's"],
)
async def test_an_unreadable_mailbox_entry_does_not_stop_a_node(
    entry: dict[FieldT, EncodableT],
) -> None:
    async with party() as here, Redis(port=here.redis.port) as redis:
        alice, bob = await here.pair(0, 1)
        for node in here.nodes[:2]:
            await redis.xadd(node.keys.inbox(node.broker.node), entry)
        await talk(alice, bob, "still here")


async def test_an_unreadable_message_affects_no_other_message() -> None:
    async with party() as here, Redis(port=here.redis.port) as redis:
        alice, bob = await here.pair(0, 1)
        # The first that Bob's node said was that he came.
        left = NODE.write(Link(bob.id, alice.id, 2, PEER.write(LeftMessage(Departure.LEFT))))
        entry = Entry(here.nodes[1].broker.node, [{"kind": "link"}, left])
        inbox = here.nodes[0].keys.inbox(here.nodes[0].broker.node)
        await redis.xadd(inbox, {"entry": ENTRY.pack(entry)})
        assert await alice.told() == PeerLeft(bob.member, Departure.LEFT)


async def test_a_free_seat_counts_as_left_until_its_node_had_time_to_announce_it() -> None:
    async with party() as here, Redis(port=here.redis.port) as redis:
        alice, bob = await here.pair(0, 1)
        # Bob's node has freed his seat, and what it says of that is on its way.
        await redis.hdel(here.nodes[0].keys.room(alice.room), "1")
        broker = here.nodes[0].broker
        seat = broker._seats.get(alice.id)  # noqa: SLF001 - so that it looks just now
        assert seat is not None
        assert seat.peer is not None
        peer = seat.peer
        broker._reconciler.find_peer(seat, peer)  # noqa: SLF001 - the same
        await until(lambda: peer.absent_since is not None, PATIENCE)
        bob.leave()
        assert await alice.told() == PeerLeft(bob.member, Departure.LEFT)
