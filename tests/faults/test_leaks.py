"""Streams leave nothing behind, however they end: no task, no seat, no descriptor."""

import asyncio
import contextlib
import gc
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from typing import Any

import pytest
from dyad_server.completion_queue.rpc import Rpc
from dyad_server.core import participant, rooms, session
from dyad_server.engines.redis.seats import Seat
from dyad_server.grpc_api.aio import AioStream
from dyad_server.grpc_api.stream_writer import StreamOutlet
from dyad_server.server import Server

from tests.conftest import serving
from tests.faults.crowd import WAYS, Way, enter, leaving
from tests.faults.site import proofs
from tests.support.ends import End, ListenEnd, SignalEnd, channel
from tests.support.redis import settled_redis
from tests.support.until import until

CALLS = 20
ROUNDS = 3
GRACE = 0.3
KINDS: dict[str, tuple[type, ...]] = {
    # Whatever serves the RPCs.
    "streams": (AioStream, Rpc),
    "outlets": (StreamOutlet,),
    "connections": (participant.Connection,),
    "participants": (participant.Participant,),
    "seats": (Seat,),
    "rooms": (rooms._Room,),  # noqa: SLF001 - the only way to see that none is left
    "sessions": (session.Session,),
}


@pytest.fixture(autouse=True)
def without_older_objects() -> Iterator[None]:
    """Count only objects that the test makes: to search all others would take most of its time."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


def living(server: Server, older: Collection[asyncio.Task[Any]]) -> dict[str, int]:
    """The living objects of the server and its clients in this process.

    Tasks of earlier tests, `older`, may end at any time, so they do not count.
    """
    gc.collect()
    counts = counted()
    counts["tasks"] = len(asyncio.all_tasks() - set(older))
    counts["tokens"] = len(server.dyad.hub.registry.tokens)
    return counts


def counted() -> dict[str, int]:
    """The objects of the server that are in memory, garbage as well."""
    # The list of all objects must not be in a variable: it would contain itself.
    types = Counter(map(type, gc.get_objects()))
    return {name: sum(types[kind] for kind in kinds) for name, kinds in KINDS.items()}


def none_is_left(counts: dict[str, int]) -> bool:
    """Whether no object of the server is left."""
    return not any(counts[name] for name in KINDS)


async def settled(holds: Callable[[], bool]) -> None:
    """Wait for this, longer than the grace time of reserved seats."""
    with contextlib.suppress(TimeoutError):
        # Rarely: counting collects garbage first, which takes long.
        await until(holds, turn=0.05)


async def test_living_objects_are_counted() -> None:
    older = asyncio.all_tasks()
    async with serving(resume_grace=GRACE) as server, channel(server.port) as own:
        before = living(server, older)
        ends = [SignalEnd(own, proof) for proof in proofs(2)]
        await enter(ends)
        now = living(server, older)
        assert {name for name in before if now[name] <= before[name]} == {"seats"}
        for end in ends:
            end.cut()
        await settled(lambda: none_is_left(living(server, older)))
        assert none_is_left(living(server, older))


@pytest.mark.parametrize("transport", [SignalEnd, ListenEnd])
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
async def test_no_object_outlives_streams_that_ended_by(way: Way, transport: type[End]) -> None:
    older = asyncio.all_tasks()
    async with serving(resume_grace=GRACE) as server:
        before = living(server, older)
        assert none_is_left(before)
        for _ in range(ROUNDS):
            await way(server.port, transport, proofs(CALLS))
            await settled(lambda: living(server, older) == before)
            assert living(server, older) == before


@pytest.mark.parametrize("transport", [SignalEnd, ListenEnd])
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
async def test_no_object_waits_for_the_garbage_collector(way: Way, transport: type[End]) -> None:
    async with serving(resume_grace=GRACE) as server:
        await leaves_no_garbage(server, way, transport)


async def test_no_object_of_a_seat_in_redis_waits_for_the_garbage_collector() -> None:
    async with settled_redis() as redis, serving(resume_grace=GRACE, redis=redis.url) as server:
        await leaves_no_garbage(server, leaving, SignalEnd)


async def leaves_no_garbage(server: Server, way: Way, transport: type[End]) -> None:
    gc.disable()
    try:
        await way(server.port, transport, proofs(CALLS))
        await settled(lambda: none_is_left(counted()))
        assert counted() == dict.fromkeys(KINDS, 0)
    finally:
        gc.enable()
