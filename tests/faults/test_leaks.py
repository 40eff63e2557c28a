"""Streams that ended, in any way, leave nothing behind: no task, no seat, no descriptor."""

import asyncio
import contextlib
import gc
from collections.abc import Callable

import pytest
from dyad_server.core import participant, rooms, session
from dyad_server.grpc_api import writer
from dyad_server.server import Server

from tests.conftest import serving
from tests.faults.crowd import WAYS, Way, enter, proofs
from tests.support.ends import End, ListenEnd, SignalEnd, channel
from tests.support.until import until

CALLS = 20
ROUNDS = 3
GRACE = 0.3
KINDS = (
    writer.StreamOutlet,
    participant.Connection,
    participant.Participant,
    rooms._Room,  # noqa: SLF001 - there is no other way to see that none is left
    session.Session,
)


def there(server: Server) -> dict[str, int]:
    """The living objects of the server and its clients in this process."""
    gc.collect()
    objects = gc.get_objects()
    counts = {kind.__name__: sum(type(o) is kind for o in objects) for kind in KINDS}
    counts["tasks"] = len(asyncio.all_tasks())
    counts["tokens"] = len(server.dyad.hub.registry.tokens)
    return counts


def none(counts: dict[str, int]) -> bool:
    """Whether no object of the server is left."""
    return not any(counts[kind.__name__] for kind in KINDS)


async def settled(holds: Callable[[], bool]) -> None:
    """Wait for this, longer than the grace time of reserved seats."""
    with contextlib.suppress(TimeoutError):
        # Seldom: to count is to collect what is to be counted.
        await until(holds, turn=0.05)


async def test_living_objects_are_counted() -> None:
    async with serving(resume_grace=GRACE) as server, channel(server.port) as own:
        before = there(server)
        ends = [SignalEnd(own, proof) for proof in proofs(2)]
        await enter(ends)
        now = there(server)
        assert all(now[name] > before[name] for name in before)
        for end in ends:
            end.cut()
        # Or the next test would find what is left of these.
        await settled(lambda: none(there(server)))
        assert none(there(server))


@pytest.mark.parametrize("transport", [SignalEnd, ListenEnd])
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
async def test_no_object_outlives_streams_that_ended_by(way: Way, transport: type[End]) -> None:
    async with serving(resume_grace=GRACE) as server:
        # Whatever test came before this one.
        await settled(lambda: none(there(server)))
        before = there(server)
        assert none(before)
        for _ in range(ROUNDS):
            await way(server.port, transport, proofs(CALLS))
            await settled(lambda: there(server) == before)
            assert there(server) == before
