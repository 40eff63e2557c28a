"""One user has one seat in a room, for every engine and for several nodes of each."""

import asyncio
import uuid

import pytest
from dyad_server.core.events import (
    Departure,
    Evicted,
    Forwarded,
    Joined,
    Member,
    PeerJoined,
    PeerLeft,
    Refused,
)

from tests.contract.engine import KINDS, Engine, engine
from tests.support.until import PATIENCE

pytestmark = [KINDS, pytest.mark.usefixtures("patient_nodes")]


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
        # All enter at the same time on one node, so the last is the newest.
        sessions = [here.member("alice") for _ in range(20)]
        for session in sessions:
            here.of(session).enter(room, session, create=False, reply_to=1)
        *before, newest = sessions
        joined = Joined(bob, polite=True)
        for session in before:
            told = [await here.told(session), await here.told(session)]
            assert told == [joined, Evicted()]
        assert await here.told(newest) == joined
        # Bob may be told of any of them, but the last one he is told of is the newest.
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
            # Evicted members had a seat before; the others were refused.
            async with asyncio.timeout(PATIENCE):
                while len(seated) > 2:
                    await asyncio.sleep(0)
                    seated = {each for each in seated if not evicted(here, each)}
            users = [member.user_id for member in seated]
            assert len(users) == 2
            assert len(set(users)) == 2, "one user has both seats"


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
