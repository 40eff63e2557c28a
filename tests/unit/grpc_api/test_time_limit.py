"""One timer for many waits: each ends in time, and none affects another."""

import asyncio
import contextlib

import pytest
from dyad_server.grpc_api.time_limit import TimeLimit
from dyad_server.ops.clock import LoopClock

NEVER = 3600.0


async def test_a_wait_beyond_the_limit_is_cancelled_with_a_timeout_error() -> None:
    limit = TimeLimit(0.01, LoopClock())
    work = asyncio.get_running_loop().create_future()
    with pytest.raises(TimeoutError):
        await limit.wait_for(work)
    assert work.cancelled()


async def test_a_task_continues_after_its_limit_and_may_wait_again() -> None:
    limit = TimeLimit(0.01, LoopClock())
    loop = asyncio.get_running_loop()
    for _ in range(2):
        with pytest.raises(TimeoutError):
            await limit.wait_for(loop.create_future())
    task = asyncio.current_task()
    assert task is not None
    assert not task.cancelling()


async def test_each_of_many_waits_has_the_full_time() -> None:
    limit = TimeLimit(0.05, LoopClock())
    loop = asyncio.get_running_loop()

    async def took() -> float:
        began = loop.time()
        with pytest.raises(TimeoutError):
            await limit.wait_for(loop.create_future())
        return loop.time() - began

    first = asyncio.create_task(took())
    await asyncio.sleep(0.02)
    second = asyncio.create_task(took())
    # The loop's clock has a resolution: a timer may run early by that much.
    assert min(await first, await second) > 0.045


async def test_a_wait_that_ends_in_time_leaves_nothing_behind() -> None:
    limit = TimeLimit(0.01, LoopClock())
    await limit.wait_for(asyncio.sleep(0))

    async def fail() -> None:
        raise ConnectionError

    with pytest.raises(ConnectionError):
        await limit.wait_for(fail())
    # A wait that was not removed would cancel this task here.
    with contextlib.suppress(TimeoutError):
        await limit.wait_for(asyncio.get_running_loop().create_future())
    assert len(limit) == 0


async def test_a_wait_that_another_task_cancels_is_cancelled() -> None:
    limit = TimeLimit(NEVER, LoopClock())
    waiting = asyncio.create_task(limit.wait_for(asyncio.get_running_loop().create_future()))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert len(limit) == 0
