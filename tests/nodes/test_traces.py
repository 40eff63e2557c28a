"""Traces of calls whose participants are on different nodes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
import pytest

from tests.conftest import token
from tests.nodes.fleet import fleet
from tests.support.collector import Collector, attributes, collecting
from tests.support.ends import SignalEnd, channel
from tests.support.seats import meet, resumes

STREAM = "dyad.v1.Signaling/Signal"


@asynccontextmanager
async def two_traced_nodes(
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[tuple[Collector, grpc.aio.Channel, grpc.aio.Channel]]:
    """The collector of both nodes, and a channel to each of them."""
    with collecting() as collector:
        for name, text in collector.environment.items():
            monkeypatch.setenv(name, text)
        async with (
            fleet(count=2) as here,
            channel(here.nodes[0].port) as first,
            channel(here.nodes[1].port) as second,
        ):
            yield collector, first, second


async def test_both_ends_of_a_call_across_nodes_are_linked_and_say_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with two_traced_nodes(monkeypatch) as (collector, first, second):
        alice, bob = SignalEnd(first, token("alice")), SignalEnd(second, token("bob"))
        await meet(alice, bob)
        bob.cut()
        (bobs,) = await collector.gets(STREAM)
        alice.cut()
        (alices,) = (each for each in await collector.gets(STREAM, 2) if each.links)
    # The newcomer's node has the context from Redis, and the other node from the newcomer's.
    (join,) = collector.named("join_room", outcome="second")
    (met,) = alices.events
    for span, link, said, peer in (
        (alices, alices.links, attributes(met), bobs),
        (join, join.links, attributes(join), alices),
    ):
        assert [(each.trace_id, each.span_id) for each in link] == [(peer.trace_id, peer.span_id)]
        assert said["dyad.peer_node"] == attributes(peer)["dyad.node"]
        assert span.trace_id != peer.trace_id
    (alone,) = collector.named("join_room", outcome="first")
    assert "dyad.peer_node" not in attributes(alone)


async def test_a_resume_on_another_node_is_linked_and_both_ends_name_each_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with two_traced_nodes(monkeypatch) as (collector, first, second):
        alice, bob = SignalEnd(first, token("alice")), SignalEnd(second, token("bob"))
        room_id, _, ticket = await meet(alice, bob)
        back = SignalEnd(first, token("bob"))
        await resumes(back, room_id, ticket)
        (resume,) = await collector.gets("resume", outcome="resumed")
        (broken,) = await collector.gets(STREAM, reason="resumed")
        alice.cut()
        back.cut()
        (alone,) = (each for each in await collector.gets(STREAM, 3) if each.events)
    assert [each.span_id for each in resume.links] == [broken.span_id]
    (joined,) = collector.named("join_room", outcome="second")
    assert joined.parent_span_id == broken.span_id
    assert attributes(alone.events[0])["dyad.peer"] == attributes(joined)["dyad.member"]
    assert attributes(resume)["dyad.member"] == attributes(joined)["dyad.member"]
    nodes = {attributes(each)["dyad.node"] for each in collector.named(STREAM)}
    assert len(nodes) == 2
    # Now both are on one node.
    assert attributes(joined)["dyad.peer_node"] in nodes
    assert "dyad.peer_node" not in attributes(resume)
