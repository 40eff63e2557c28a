"""Nodes that drain and restart: their participants go on elsewhere."""

import asyncio
import time
from contextlib import AsyncExitStack

import dyad
import pytest

from tests.nodes.callers import (
    lost_nothing,
    pair,
    pairs_on_every_two_nodes,
    talk_both_ways,
)
from tests.nodes.fleet import fleet

TOLD_SECONDS = 10.0


async def test_participants_of_a_drained_node_go_on_elsewhere_without_notice() -> None:
    async with fleet() as here, AsyncExitStack() as stack:
        one, two, three = here.nodes
        both = await stack.enter_async_context(pair(here, [one], [one]))
        across = await stack.enter_async_context(pair(here, [one], [two]))
        over = asyncio.Event()
        async with asyncio.TaskGroup() as talking:
            for alice, bob in (both, across):
                talk_both_ways(talking, alice, bob, over)
            await asyncio.sleep(0.5)
            for caller in (*both, across[0]):
                caller.way.nodes = [two, three]
            await one.drain()
            for caller in (*both, across[0]):
                await caller.is_told(dyad.Reconnected)
            over.set()
        assert all(map(lost_nothing, (*both, *across))), [
            caller.told for caller in (*both, *across)
        ]


async def test_a_burst_interrupted_by_a_drain_continues_where_it_stopped() -> None:
    async with fleet(count=2) as here, pair(here, here.nodes, here.nodes) as (alice, bob):
        said: list[str] = []
        for turn in range(4):
            node = here.nodes[turn % 2]
            over = asyncio.Event()

            async def talk_on(turn: int = turn, over: asyncio.Event = over) -> None:
                while not over.is_set():
                    # Fewer than are kept for a reserved seat.
                    if len(said) - len(bob.heard) < 100:
                        said.append(f"{turn} {len(said)}")
                        await alice.connection.send_candidate(dyad.Candidate(said[-1]))
                    await asyncio.sleep(0)

            async with asyncio.TaskGroup() as talking:
                talking.create_task(talk_on())
                await asyncio.sleep(0.2)
                await node.drain()
                over.set()
            await bob.hears(len(said), TOLD_SECONDS)
            await node.start()
        assert bob.heard == said
        assert lost_nothing(alice), alice.told
        assert lost_nothing(bob), bob.told


async def test_a_late_resume_after_a_drain_loses_nothing() -> None:
    async with (
        fleet("--resume-grace", "60", count=2) as here,
        pair(here, here.nodes[:1], here.nodes[1:]) as (alice, bob),
    ):
        await alice.way.refuse()
        draining = asyncio.create_task(here.nodes[0].drain())
        for number in range(100):
            await bob.connection.send_candidate(dyad.Candidate(str(number)))
        await draining
        alice.way.nodes = here.nodes[1:]
        # Longer than a message between nodes may stay unacknowledged.
        await asyncio.sleep(9)
        await alice.way.accept()
        await alice.hears(100, TOLD_SECONDS)
        assert alice.heard == [str(number) for number in range(100)]
        assert lost_nothing(alice)
        assert lost_nothing(bob)


async def test_the_last_frames_before_a_leave_reach_a_peer_between_two_nodes() -> None:
    async with fleet(count=2) as here, pair(here, here.nodes[:1], here.nodes[1:]) as (alice, bob):
        await alice.way.refuse()
        await here.nodes[0].drain()
        await bob.connection.send_candidate(dyad.Candidate("last words"))
        await bob.connection.leave()
        alice.way.nodes = here.nodes[1:]
        await alice.way.accept()
        left = await alice.is_told(dyad.PeerLeft)
        assert isinstance(left, dyad.PeerLeft)
        assert left.reason is dyad.Departure.LEFT
        assert alice.heard == ["last words"]


async def test_a_participant_that_never_resumes_after_a_drain_is_disconnected() -> None:
    async with (
        fleet("--resume-grace", "4", count=2) as here,
        pair(here, here.nodes[:1], here.nodes[1:]) as (alice, bob),
    ):
        await alice.way.refuse()
        await here.nodes[0].drain()
        drained_at = time.monotonic()
        await bob.is_told(dyad.PeerLeft)
        assert time.monotonic() - drained_at > 2


@pytest.mark.xdist_group("busy")
async def test_a_rolling_restart_of_all_nodes_under_load_drops_no_call() -> None:
    async with fleet() as here, AsyncExitStack() as stack:
        pairs = await pairs_on_every_two_nodes(here, stack)
        callers = [caller for two in pairs for caller in two]
        over = asyncio.Event()
        async with asyncio.TaskGroup() as talking:
            for alice, bob in pairs:
                talk_both_ways(talking, alice, bob, over)
            for node in here.nodes:
                await asyncio.sleep(1)
                await node.drain()
                await node.start()
            over.set()
        assert all(map(lost_nothing, callers)), [caller.told for caller in callers]
        moved = [caller for caller in callers if caller.told]
        assert len(moved) == len(callers), "a caller was on no node that was restarted"
