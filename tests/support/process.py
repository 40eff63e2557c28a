"""`dyad serve` as its user starts it, in a process of its own."""

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

DYAD = str(Path(sys.executable).parent / "dyad")
START = 15.0


@dataclass
class Served:
    process: asyncio.subprocess.Process
    port: int


@asynccontextmanager
async def dyad_serve(secret: str, *options: str) -> AsyncIterator[Served]:
    process = await asyncio.create_subprocess_exec(
        DYAD,
        "serve",
        "--port",
        "0",
        *options,
        env=os.environ | {"DYAD_JWT_SECRET": secret},
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stderr is not None
        async with asyncio.timeout(START):
            while True:
                line = (await process.stderr.readline()).decode()
                assert line, "dyad serve ended before it listened"
                if found := re.search(r"listening address=\S+:(\d+)", line):
                    break
        yield Served(process, int(found[1]))
    finally:
        if process.returncode is None:
            process.kill()
        # To the end of the pipe, or its transport outlives the test.
        await process.communicate()


async def run(*arguments: str, env: dict[str, str] | None = None) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *arguments,
        env=env,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(START):
        out, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode()
