"""Freed memory goes back to the system."""

import asyncio
import contextlib

import pytest
from dyad_server.ops import bounds
from dyad_server.ops.heap import glibc_heap, keep_trimmed

from tests.support.until import until

MIB = 1024 * 1024


async def test_freed_memory_below_what_is_in_use_is_given_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    heap = glibc_heap()
    if heap is None:
        pytest.skip("this Python does not use glibc")
    monkeypatch.setattr(bounds, "TRIM_SECONDS", 0.01)
    trimming = asyncio.create_task(keep_trimmed(heap))
    await asyncio.sleep(0)
    before = heap.resident_bytes()
    blocks = [b"x" * (20_000 + number % 2) for number in range(10_000)]
    assert heap.resident_bytes() - before > 150 * MIB
    # Every hundredth block stays.
    blocks = blocks[::100]
    await until(lambda: heap.resident_bytes() - before < 32 * MIB)
    assert len(blocks) == 100
    trimming.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await trimming
