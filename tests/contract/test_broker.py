"""The promise of `core.ports.Broker`, for every engine, and for several nodes of each."""

import asyncio
import functools
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from dyad_server.core.events import (
    Departure,
    Event,
    Evicted,
    Forwarded,
    Joined,
    Left,
    Member,
    Output,
    PeerJoined,
    PeerLeft,
    Refusal,
    Refused,
)
from dyad_server.core.ports import Broker
from dyad_server.engines.memory import MemoryBroker
from dyad_server.engines.redis.engine import RedisBroker
from dyad_server.engines.redis.membership import Membership

from tests.support.needs import needs
from tests.support.redis import redis_server
from tests.support.until import PATIENCE


class Engine:
    """Nodes of one engine; each member is on the next one."""

    def __init__(self) -> None:
        self.nodes: list[Broker] = []
        self.outputs: dict[str, asyncio.Queue[Output]] = defaultdict(asyncio.Queue)
        self.made = 0

    def deliver(self, output: Output) -> None:
        self.outputs[output.to].put_nowait(output)

    def member(self, user: str) -> Member:
        self.made += 1
        return Member(f"{user}-{uuid.uuid4().hex}", user, f"{user}@x")

    def of(self, member: Member, index: int | None = None) -> Broker:
        order = {"alice": 0, "bob": 1, "carol": 0}
        place = order.get(member.user_id, 0) if index is None else index
        return self.nodes[place % len(self.nodes)]

    async def told(self, member: Member) -> Event:
        async with asyncio.timeout(PATIENCE):
            return (await self.outputs[member.id].get()).event

    def enter(self, member: Member, room: str, *, create: bool = False, reply_to: int = 1) -> None:
        self.of(member).enter(room, member, create=create, reply_to=reply_to)

    async def pair(self) -> tuple[Member, Member, str]:
        alice, bob, room = self.member("alice"), self.member("bob"), str(uuid.uuid4())
        self.enter(alice, room, create=True)
        assert await self.told(alice) == Joined(None, polite=False)
        self.enter(bob, room)
        assert await self.told(bob) == Joined(alice, polite=True)
        assert await self.told(alice) == PeerJoined(bob)
        return alice, bob, room


@asynccontextmanager
async def engine(kind: str) -> AsyncIterator[Engine]:
    here = Engine()
    async with AsyncExitStack() as stack:
        if kind == "memory":
            here.nodes = [MemoryBroker(here.deliver)]
        else:
            needs("redis-server")
            redis = await stack.enter_async_context(redis_server())
            membership = functools.partial(Membership, redis.url, settle_seconds=0)
            here.nodes = [
                RedisBroker(membership, here.deliver) for _ in range(int(kind.partition(" ")[2]))
            ]
        for node in here.nodes:
            await node.start()
            stack.push_async_callback(node.stop)
        yield here


pytestmark = pytest.mark.parametrize("kind", ["memory", "redis 1", "redis 2"])


async def test_two_participants_are_paired_and_told_of_each_other(kind: str) -> None:
    async with engine(kind) as here:
        await here.pair()


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
                # The two nodes leave each in its own time.
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
            # It came in between, so it is told.
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


@pytest.mark.parametrize("node", [0, 1])
async def test_a_user_that_enters_again_takes_over_its_seat(kind: str, node: int) -> None:
    async with engine(kind) as here:
        alice, bob, room = await here.pair()
        stranger, again = here.member("carol"), here.member("bob")
        here.of(bob).enter(room, stranger, create=False, reply_to=1)
        assert isinstance(await here.told(stranger), Refused)
        here.of(again, node).enter(room, again, create=False, reply_to=1)
        assert await here.told(again) == Joined(alice, polite=True)
        assert await here.told(bob) == Evicted()
        assert await here.told(alice) == PeerLeft(bob, Departure.REPLACED)
        assert await here.told(alice) == PeerJoined(again)
        here.of(alice).relay(room, alice.id, b"to the new one", reply_to=2)
        assert await here.told(again) == Forwarded(alice, b"to the new one")
        here.of(again, node).relay(room, again.id, b"from the new one", reply_to=2)
        assert await here.told(alice) == Forwarded(again, b"from the new one")
        assert all(queue.empty() for queue in here.outputs.values())


async def test_a_user_that_enters_its_own_room_again_is_not_its_own_peer(kind: str) -> None:
    async with engine(kind) as here:
        room = str(uuid.uuid4())
        first, second = here.member("alice"), here.member("alice")
        here.of(first, 0).enter(room, first, create=True, reply_to=1)
        assert await here.told(first) == Joined(None, polite=False)
        here.of(second, 1).enter(room, second, create=True, reply_to=1)
        assert await here.told(second) == Joined(None, polite=False)
        assert await here.told(first) == Evicted()
        bob = here.member("bob")
        here.enter(bob, room)
        assert await here.told(bob) == Joined(second, polite=True)
        assert await here.told(second) == PeerJoined(bob)


async def test_the_newest_session_wins_even_while_the_older_one_is_entering(kind: str) -> None:
    async with engine(kind) as here:
        room, bob = str(uuid.uuid4()), here.member("bob")
        here.of(bob).enter(room, bob, create=True, reply_to=1)
        assert await here.told(bob) == Joined(None, polite=False)
        # All under way at once on one node, so the last is the newest.
        sessions = [here.member("alice") for _ in range(20)]
        for session in sessions:
            here.of(session).enter(room, session, create=False, reply_to=1)
        *before, newest = sessions
        joined = Joined(bob, polite=True)
        for session in before:
            told = [await here.told(session), await here.told(session)]
            assert told == [joined, Evicted()]
        assert await here.told(newest) == joined
        # Whom Bob has in the end is the newest, however many he was told of on the way.
        believed: Member | None = None
        while believed != newest:
            match await here.told(bob):
                case PeerJoined(who):
                    assert believed is None
                    believed = who
                case PeerLeft(who, reason):
                    assert (who, reason) == (believed, Departure.REPLACED)
                    believed = None
        assert here.outputs[newest.id].empty()


async def test_in_a_race_of_fifty_no_user_has_two_seats(kind: str) -> None:
    async with engine(kind) as here:
        for _ in range(10):
            room = str(uuid.uuid4())
            members = [here.member(f"user-{n // 2}") for n in range(50)]
            for n, member in enumerate(members):
                here.of(member, n).enter(room, member, create=True, reply_to=1)
            seated: set[Member] = set()
            for member in members:
                event = await here.told(member)
                if isinstance(event, Joined):
                    seated.add(member)
            # Who was evicted was seated before; the rest were refused.
            async with asyncio.timeout(PATIENCE):
                while len(seated) > 2:
                    await asyncio.sleep(0)
                    seated = {one for one in seated if not evicted(here, one)}
            users = [member.user_id for member in seated]
            assert len(users) == 2
            assert len(set(users)) == 2, "one user sits on both seats"


def evicted(here: Engine, member: Member) -> bool:
    queue = here.outputs[member.id]
    return Evicted() in [queue.get_nowait().event for _ in range(queue.qsize())]


async def test_the_broker_knows_whether_a_user_is_in_a_room(kind: str) -> None:
    async with engine(kind) as here:
        alice, _, room = await here.pair()

        async def sits(user: str, where: str, node: int) -> bool | None:
            answer: asyncio.Future[bool | None] = asyncio.get_running_loop().create_future()
            here.of(alice, node).seats_user(where, user, answer.set_result)
            async with asyncio.timeout(PATIENCE):
                return await answer

        for node in (0, 1):
            assert await sits("alice", room, node)
            assert await sits("bob", room, node)
            assert await sits("carol", room, node) is False
            assert await sits("alice", str(uuid.uuid4()), node) is False
