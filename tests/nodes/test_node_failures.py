"""Nodes that are killed or freeze: what their participants and their peers see."""

import asyncio

import dyad
from dyad.v1 import signaling_pb2 as pb

from tests.nodes.callers import (
    end,
    events_until_the_end,
    meet,
    pair,
    talk,
)
from tests.nodes.fleet import fleet
from tests.support.ends import candidate, join

TOLD_SECONDS = 10.0
SHORT_SECONDS = 1.5


async def test_after_a_node_is_killed_peers_are_told_and_its_clients_reconnect() -> None:
    async with fleet(count=2) as here:
        one, two = here.nodes
        async with pair(here, [one], [two]) as (alice, bob):
            bob.way.nodes = [one]
            await two.kill()
            await bob.way.cut()
            left = await alice.is_told(dyad.PeerLeft)
            assert isinstance(left, dyad.PeerLeft)
            assert left.reason is dyad.Departure.DISCONNECTED
            back = await bob.is_told(dyad.Reconnected)
            assert isinstance(back, dyad.Reconnected)
            assert not back.resumed
            await alice.connection.send_candidate(dyad.Candidate("goes on"))
            await bob.hears(1, 5)
            assert bob.heard == ["goes on"]


async def test_a_node_that_wakes_from_a_freeze_delivers_nothing_from_elsewhere() -> None:
    async with fleet(count=3) as here:
        one, two, three = here.nodes
        async with end(one, "alice") as alice, end(two, "bob") as bob, end(three, "carol") as carol:
            room_id = await meet(alice, bob)
            await alice.send(candidate(room_id, "before"))
            assert (await bob.hear()).ice_candidate.candidate == "before"
            two.freeze()
            told = asyncio.create_task(alice.hear())
            while not told.done():
                await alice.send(candidate(room_id, "while it is frozen"))
                await asyncio.sleep(0.1)
            assert told.result().leave_room.reason == pb.LeaveRoom.REASON_DISCONNECTED
            await carol.send(join(room_id))
            while not (await alice.hear()).HasField("join_room"):
                pass
            two.thaw()
            assert "ice_candidate" not in await events_until_the_end(bob)
            await alice.send(candidate(room_id, "goes on"))
            heard = await carol.hear()
            while not heard.HasField("ice_candidate"):
                heard = await carol.hear()
            assert heard.ice_candidate.candidate == "goes on"


async def test_a_short_freeze_loses_nothing() -> None:
    async with fleet(count=2) as here, pair(here, here.nodes[:1], here.nodes[1:]) as (alice, bob):
        over = asyncio.Event()
        async with asyncio.TaskGroup() as talking:
            talking.create_task(talk(alice, bob, "a", over))
            await bob.hears(20, TOLD_SECONDS)
            here.nodes[1].freeze()
            await asyncio.sleep(SHORT_SECONDS)
            here.nodes[1].thaw()
            over.set()
        assert bob.told == []
