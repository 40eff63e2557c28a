"""Waits for a state of the server that is not visible from outside."""

import asyncio
import os
from collections.abc import Callable

PATIENCE = float(os.environ.get("TEST_PATIENCE", "60"))
"""Seconds that a test waits for what must happen: so long that only a hang fails it."""
# So that whoever it waits for has its turn.
_TURN = 0.001


async def until(
    holds: Callable[[], bool], seconds: float = PATIENCE, *, turn: float = _TURN
) -> None:
    """Wait until `holds`, checked every `turn` seconds; TimeoutError after `seconds`."""
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110 - there is no event: the server does not tell
            await asyncio.sleep(turn)
