"""A file of tokens, each made when a program asks for it."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

_LOOK_SECONDS = 0.01


@asynccontextmanager
async def token_file(path: Path, make: Callable[[], str]) -> AsyncIterator[Path]:
    """Let each program that reads the file at `path` get a token of its own."""
    os.mkfifo(path)
    serving = asyncio.create_task(_serve(path, make))
    try:
        yield path
    finally:
        serving.cancel()
        with suppress(asyncio.CancelledError):
            await serving


async def _serve(path: Path, make: Callable[[], str]) -> None:
    while True:
        try:
            given = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            # Nobody reads it, and no event announces a reader.
            await asyncio.sleep(_LOOK_SECONDS)
            continue
        # The next reader gets another FIFO. In this one, its token could follow the first.
        _replace(path)
        os.write(given, make().encode())
        os.close(given)


def _replace(fifo: Path) -> None:
    fifo.unlink()
    os.mkfifo(fifo)
