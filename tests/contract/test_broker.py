"""The promise of `core.ports.Broker`, for every engine and for several nodes of each."""

import asyncio
import uuid

import pytest
from dyad_server.core.events import (
    Departure,
    Forwarded,
    Joined,
    Left,
    PeerJoined,
    PeerLeft,
    Refusal,
    Refused,
)

from tests.contract.engine import KINDS, engine
from tests.support.until import PATIENCE

pytestmark = [KINDS, pytest.mark.usefixtures("patient_nodes")]


async def test_two_participants_are_paired_and_told_of_each_other(kind: str) -> None:
    async with engine(kind) as here:
        await here.pair()


async def test_the_broker_knows_whether_a_peer_is_on_another_node(kind: str) -> None:
    async with engine(kind) as here:
        alice, bob, room = await here.pair()
        for one, other in ((alice, bob), (bob, alice)):
            node, there = here.of(one), here.of(other)
            assert node.remote_peer(room, one.id) == ("" if node is there else there.node)


async def test_a_missing_room_is_not_found(kind: str) -> None:
    async with engine(kind) as here:
        alice = here.member("alice")
        here.enter(alice, str(uuid.uuid4()), reply_to=7)
        event = await here.told(alice)
        assert isinstance(event, Refused)
        assert event.code is Refusal.ROOM_NOT_FOUND


async def test_a_third_participant_is_refused(kind: str) -> None:
    async with engine(kind) as here:
        _, _, room = await here.pair()
        carol = here.member("carol")
        here.enter(carol, room)
        event = await here.told(carol)
        assert isinstance(event, Refused)
        assert event.code is Refusal.ROOM_FULL


async def test_of_a_hundred_concurrent_joins_on_all_nodes_two_succeed(kind: str) -> None:
    async with engine(kind) as here:
        room = str(uuid.uuid4())
        members = [here.member(f"user-{n}") for n in range(100)]
        for n, member in enumerate(members):
            here.of(member, n).enter(room, member, create=True, reply_to=1)
        events = [await here.told(member) for member in members]
        joined = [event for event in events if isinstance(event, Joined)]
        full = [event for event in events if isinstance(event, Refused)]
        assert {event.polite for event in joined} == {False, True}
        assert (len(joined), len(full)) == (2, 98)


async def test_frames_arrive_once_in_order_and_only_at_the_peer(kind: str) -> None:
    async with engine(kind) as here:
        alice, bob, room = await here.pair()
        for n in range(500):
            here.of(alice).relay(room, alice.id, b"a%d" % n, reply_to=n)
            here.of(bob).relay(room, bob.id, b"b%d" % n, reply_to=n)
            if n % 50 == 0:
                await asyncio.sleep(0)
        for who, peer in ((alice, bob), (bob, alice)):
            mark = peer.user_id[0]
            for n in range(500):
                event = await here.told(who)
                assert isinstance(event, Forwarded)
                assert (event.who, event.payload) == (peer, f"{mark}{n}".encode())
        assert all(queue.empty() for queue in here.outputs.values())


async def test_a_frame_without_a_peer_is_refused(kind: str) -> None:
    async with engine(kind) as here:
        alice, room = here.member("alice"), str(uuid.uuid4())
        here.enter(alice, room, create=True)
        here.of(alice).relay(room, alice.id, b"x", reply_to=2)
        here.of(alice).relay(str(uuid.uuid4()), alice.id, b"x", reply_to=3)
        events = [await here.told(alice) for _ in range(3)]
        assert sorted(event.code.name for event in events if isinstance(event, Refused)) == [
            "NOT_IN_ROOM",
            "PEER_ABSENT",
        ]


@pytest.mark.parametrize("reason", [Departure.LEFT, Departure.DISCONNECTED])
async def test_leaving_is_announced_and_frees_the_seat(kind: str, reason: Departure) -> None:
    async with engine(kind) as here:
        alice, bob, room = await here.pair()
        here.of(bob).leave(room, bob.id, reason, reply_to=5)
        if reason is Departure.LEFT:
            assert await here.told(bob) == Left()
        assert await here.told(alice) == PeerLeft(bob, reason)
        again = here.member("bob")
        here.enter(again, room)
        assert await here.told(again) == Joined(alice, polite=True)
        assert await here.told(alice) == PeerJoined(again)


async def test_an_empty_room_is_gone(kind: str) -> None:
    async with engine(kind) as here:
        alice, bob, room = await here.pair()
        here.of(alice).leave(room, alice.id, Departure.LEFT, reply_to=2)
        here.of(bob).leave(room, bob.id, Departure.LEFT, reply_to=2)
        assert {type(await here.told(alice)), type(await here.told(bob))} <= {Left, PeerLeft}
        carol = here.member("carol")
        async with asyncio.timeout(PATIENCE):
            while True:
                # The nodes do not act at the same moment: one of them may still have its member.
                here.enter(carol, room)
                event = await here.told(carol)
                if isinstance(event, Refused) and event.code is Refusal.ROOM_NOT_FOUND:
                    return
                here.of(carol).leave(room, carol.id, Departure.DISCONNECTED, reply_to=0)


async def test_a_disconnect_while_entering_leaves_nothing_behind(kind: str) -> None:
    async with engine(kind) as here:
        alice, room = here.member("alice"), str(uuid.uuid4())
        here.enter(alice, room, create=True)
        here.of(alice).leave(room, alice.id, Departure.DISCONNECTED, reply_to=0)
        bob = here.member("bob")
        here.of(alice).enter(room, bob, create=False, reply_to=1)
        event = await here.told(bob)
        if isinstance(event, Joined) and event.peer is not None:
            # Bob joined before Alice left.
            assert await here.told(bob) == PeerLeft(alice, Departure.DISCONNECTED)
        else:
            assert isinstance(event, Refused)
            assert event.code is Refusal.ROOM_NOT_FOUND


async def test_a_reserved_seat_is_resumed_without_notice_to_the_peer(kind: str) -> None:
    async with engine(kind) as here:
        alice, bob, room = await here.pair()
        here.of(alice).relay(room, alice.id, b"meanwhile", reply_to=2)
        assert await here.told(bob) == Forwarded(alice, b"meanwhile")
        here.of(bob).resume(room, bob.id)
        assert await here.told(bob) == Joined(alice, polite=True, resumed=True)
        assert here.outputs[alice.id].empty()
