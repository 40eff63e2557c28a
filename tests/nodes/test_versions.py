"""Nodes of two versions on one Redis: this one, and a later one that `later` plants.

Nothing is released yet, so there is no version before this one to run. The later
version stands for each change that docs/node-messages.md allows: this version reads
what the later one writes, and the other way round.
"""

import asyncio
import sys
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import pytest
from dyad.v1 import signaling_pb2 as pb
from dyad_server.core.events import Departure, Joined, OutOfSync, PeerJoined, PeerLeft
from dyad_server.engines.redis import peer_links
from dyad_server.engines.redis.message_codec import Form, Map
from dyad_server.engines.redis.messages import (
    ANSWER,
    ENTRY,
    NODE,
    PEER,
    Answer,
    Ask,
    Entry,
    PeerMessage,
    QuestionRejected,
    read_message,
)
from dyad_server.engines.redis.snapshot import PARTICIPANT, SEAT, SNAPSHOT, Snapshot
from dyad_server.engines.redis.store import Keys
from grpc import StatusCode
from redis.asyncio import Redis

from tests.integration.test_nodes import nodes
from tests.nodes.brokers import Guest, entered, exchange, party, said
from tests.nodes.callers import lost_nothing, pairs_on_every_two_nodes, talk_both_ways
from tests.nodes.fleet import Fleet, Node, fleet
from tests.nodes.later import VERSION, with_more
from tests.nodes.test_calls import another
from tests.support.ends import SignalEnd, candidate, end_of
from tests.support.seats import hear, resumable, resumes
from tests.support.until import PATIENCE

LATER = (sys.executable, "-m", "tests.nodes.later")


@dataclass(slots=True)
class Later:
    """A message of a kind that this version does not know."""


def write(message: PeerMessage | Later) -> Map:
    return {"kind": "later"} if isinstance(message, Later) else PEER.write(message)


async def versions(here: Fleet) -> set[object]:
    """The versions of the entries in all inboxes."""
    async with Redis(port=here.engine.redis.port) as redis:
        inboxes: list[Any] = [await redis.xrange(key) for key in await redis.keys("dyad:in:*")]
    return {ENTRY.unpack(fields[b"entry"]).version for box in inboxes for _, fields in box}


@pytest.mark.xdist_group("busy")
async def test_a_rolling_restart_to_a_later_version_and_back_drops_no_call() -> None:
    async with fleet() as here, AsyncExitStack() as stack:
        all_nodes = here.nodes
        pairs = await pairs_on_every_two_nodes(here, stack)
        callers = [caller for two in pairs for caller in two]
        over = asyncio.Event()

        async def restart(node: Node, program: tuple[str, ...]) -> None:
            await asyncio.sleep(1)
            await node.drain()
            node.program = program
            await node.start()

        async with asyncio.TaskGroup() as talking:
            for alice, bob in pairs:
                talk_both_ways(talking, alice, bob, over)
            before = all_nodes[0].program
            await restart(all_nodes[0], LATER)
            # Both send to each other now, or this test shows nothing.
            async with asyncio.timeout(PATIENCE):
                while await versions(here) != {1, VERSION}:  # noqa: ASYNC110 - Redis sends no event
                    await asyncio.sleep(0.05)
            for node in all_nodes[1:]:
                await restart(node, LATER)
            await restart(all_nodes[0], tuple(before))
            over.set()
        assert all(map(lost_nothing, callers)), [caller.told for caller in callers]


async def test_a_kind_that_the_peers_node_does_not_know_ends_that_pair_and_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(peer_links, "PEER", Form(write, PEER.read))
    async with party() as here:
        alice, bob = await here.pair(0, 1)
        carol, dave = await here.pair(0, 1)
        broker = alice.node.engine
        seat = broker._seats.get(alice.id)  # noqa: SLF001 - this version never sends it
        assert seat is not None
        assert seat.peer is not None
        alice.say("before")
        broker._members.send(seat, seat.peer, Later())  # type: ignore[arg-type]  # noqa: SLF001
        alice.say("too late")
        assert await alice.told() == OutOfSync()
        assert await bob.told() == said(alice, "before")
        # As her hub does after this event.
        alice.leave(Departure.DISCONNECTED)
        assert await bob.told() == PeerLeft(alice.member, Departure.DISCONNECTED)
        again: Guest = here.guest("alice", 0, alice.room)
        assert await entered(again) == Joined(bob.member, polite=False)
        assert await bob.told() == PeerJoined(again.member)
        await exchange(again, bob, "goes on")
        await exchange(carol, dave, "goes on too")


async def test_a_question_that_a_node_does_not_know_is_answered() -> None:
    async with nodes(SignalEnd, 1) as here, Redis(port=here.redis.port) as redis:
        keys = Keys("dyad:")
        leases: list[Any] = await redis.keys(keys.lease("*"))
        (lease,) = leases
        node = lease.decode().rpartition(":")[2]
        # This test plays a node of a later version.
        await redis.xadd(keys.inbox("later"), {"entry": ""}, maxlen=0, approximate=False)
        ask = Ask("a request", {"kind": "later"})
        await redis.xadd(keys.inbox(node), {"entry": ENTRY.pack(Entry("later", [NODE.write(ask)]))})
        read: Any = await redis.xread({keys.inbox("later"): "0"}, block=int(PATIENCE * 1000))
        ((_, ((_, fields),)),) = read
        (data,) = ENTRY.unpack(fields[b"entry"]).messages
        answer = read_message(data)
        assert isinstance(answer, Answer)
        assert answer.request == "a request"
        assert ANSWER.read(answer.answer) == QuestionRejected()


@pytest.mark.parametrize("later", ["fields", "an event", "a seat"])
async def test_a_participant_that_a_later_version_handed_off_resumes_or_is_told(
    later: str,
) -> None:
    async with nodes(SignalEnd, 1) as here, Redis(port=here.redis.port) as redis:
        async with another(here):
            alice, _, room_id, resume_token = await here.pair(0, 1)
            bob = here.opened[-1]
            bob.cut()
        for key in await redis.keys("dyad:token:*"):
            packed = await redis.hget(key, "snapshot")
            assert isinstance(packed, bytes)
            await redis.hset(key, "snapshot", changed(packed, later))
        if later == "fields":
            await alice.send(candidate(room_id, "still here", seq=2))
            back = here.connect("bob", 0)
            await resumes(back, room_id, resume_token)
            heard = await hear(back, "ice_candidate")
            assert heard.ice_candidate.candidate == "still here"
            return
        async with asyncio.timeout(PATIENCE):
            ended = await end_of(here.connect("bob", 0), resumable(room_id, resume_token, ack=1))
        assert ended.code() is StatusCode.ABORTED
        left = await hear(alice, "leave_room")
        assert left.leave_room.reason == pb.LeaveRoom.REASON_DISCONNECTED


def changed(packed: bytes, later: str) -> bytes:
    """A snapshot, as a later version would have written it."""
    snapshot = SNAPSHOT.unpack(packed)
    seat, participant = snapshot.seat, snapshot.participant
    SEAT.read(seat)
    PARTICIPANT.read(participant)
    if later == "an event":
        event = {"to": "b", "room_id": "r", "reply_to": 0, "event": {"kind": "later"}}
        participant["session"]["kept"].append(event)
    elif later == "a seat":
        seat["epoch"] = "later"
    return SNAPSHOT.pack(Snapshot(with_more(seat), with_more(participant), VERSION))
