"""A Redis server for one test, on a free port, without persistence."""

import asyncio
import re
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from redis.asyncio import Redis

from tests.support.needs import ROOT, needs
from tests.support.ports import free_port
from tests.support.until import PATIENCE

REDIS = shutil.which("redis-server")
PASSWORD = "of-a-test"
_SCALING = (ROOT / "docs" / "scaling.md").read_text()
RIGHTS = re.findall(r"^ACL SETUSER dyad on >PASSWORD (.+)$", _SCALING, re.MULTILINE)[0]


@dataclass
class RedisServer:
    process: asyncio.subprocess.Process
    port: int

    @property
    def url(self) -> str:
        """The URL for Dyad, whose user has exactly the rights in docs/scaling.md."""
        return self.through(self.port)

    def through(self, port: int) -> str:
        """As `url`, with another port."""
        return f"redis://dyad:{PASSWORD}@127.0.0.1:{port}"

    async def settle(self) -> None:
        """Look like a Redis that has been in use: with an empty one, nodes wait at their start."""
        async with Redis(port=self.port) as client:
            run: str = (await client.info("server"))["run_id"]
            await client.set("dyad:generation", f"1-{run}")

    async def end(self) -> None:
        """Kill it."""
        self.process.kill()
        await self.process.wait()


@asynccontextmanager
async def redis_server(*options: str, port: int = 0) -> AsyncIterator[RedisServer]:
    port = port or free_port()
    assert REDIS is not None
    # A replica writes its copy of the data there.
    folder = tempfile.TemporaryDirectory(prefix="dyad-redis-")
    process = await asyncio.create_subprocess_exec(
        REDIS,
        *("--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"),
        *("--dir", folder.name, "--user", "dyad", "on", f">{PASSWORD}", *RIGHTS.split()),
        *options,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            while b"Ready to accept connections" not in (line := await process.stdout.readline()):
                assert line, "redis-server ended at once"
        yield RedisServer(process, port)
    finally:
        if process.returncode is None:
            process.kill()
        # Read the pipe to its end: otherwise its transport outlives the test.
        await process.communicate()
        folder.cleanup()


@asynccontextmanager
async def settled_redis() -> AsyncIterator[RedisServer]:
    """A Redis that looks as if it had been in use, so that nodes start at once."""
    needs("redis-server")
    async with redis_server() as redis:
        await redis.settle()
        yield redis
