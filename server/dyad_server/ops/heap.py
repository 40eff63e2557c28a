"""Gives memory that was freed back to the system.

glibc keeps freed pages if any memory above them is in use. After a flood that would be hundreds of
MiB, until the process ends.
"""

import asyncio
import ctypes
import mmap
from pathlib import Path
from typing import NoReturn

from dyad_server.ops import bounds


class _Usage(ctypes.Structure):
    """glibc's `struct mallinfo2`."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    )


class Heap:
    """What this process has from the system, by glibc's own account."""

    def __init__(self, libc: ctypes.CDLL) -> None:
        """AttributeError: `libc` is not glibc 2.33 or later."""
        self._usage = ctypes.CFUNCTYPE(_Usage)(("mallinfo2", libc))
        self._trim = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_size_t)(("malloc_trim", libc))

    def resident_bytes(self) -> int:
        """How much memory the process has."""
        return int(Path("/proc/self/statm").read_text().split()[1]) * mmap.PAGESIZE

    def free_bytes(self) -> int:
        """How much of the heap is not in use, on pages that the process has or gave back."""
        free: int = self._usage().fordblks
        return free

    def trim(self) -> None:
        """Give pages back on which nothing is in use."""
        self._trim(0)


def glibc_heap() -> Heap | None:
    """The heap of this process, or None without glibc: other libraries keep less."""
    try:
        return Heap(ctypes.CDLL(None))
    except AttributeError:
        return None


async def keep_trimmed(heap: Heap) -> NoReturn:
    """Trim `heap` whenever much of it is free that may be resident, until cancelled."""
    least, rest = heap.resident_bytes(), heap.free_bytes()
    while True:
        await asyncio.sleep(bounds.TRIM_SECONDS)
        resident, free = heap.resident_bytes(), heap.free_bytes()
        # Pages that were given back count as free. They are resident again if the process has
        # grown. Some of what the last trim left may have become free since.
        grown = resident > least + bounds.TRIM_BYTES or free > rest + bounds.TRIM_BYTES
        if grown and free > bounds.TRIM_BYTES:
            await asyncio.to_thread(heap.trim)
            least, rest = heap.resident_bytes(), heap.free_bytes()
        least, rest = min(least, resident), min(rest, free)
