"""Waits for states of the server that no event announces."""

import asyncio
import os
from collections.abc import Callable

PATIENCE = float(os.environ.get("TEST_PATIENCE", "60"))
"""How many seconds a test waits for an event that must come: only a hang takes so long."""
# The pause lets other tasks run.
_TURN = 0.001


async def until(
    holds: Callable[[], bool], seconds: float = PATIENCE, *, turn: float = _TURN
) -> None:
    """Wait until `holds`, checked every `turn` seconds; TimeoutError after `seconds`."""
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110 - no event announces it
            await asyncio.sleep(turn)
