"""The option `--workers`: several processes that look like one server."""

import asyncio
import os
import secrets
import signal
from contextlib import AsyncExitStack

import dyad
from dyad_server.auth.mint import mint

from tests.support.needs import needs
from tests.support.process import DYAD, command_line, dyad_serve, run, worker_processes
from tests.support.redis import redis_server
from tests.support.until import PATIENCE

SECRET = secrets.token_hex(32)


def token(sub: str) -> str:
    return mint(SECRET, sub=sub, email="", ttl=3600)


async def test_workers_without_redis_are_refused() -> None:
    env = os.environ | {"DYAD_JWT_SECRET": SECRET}
    status, said = await run(DYAD, "serve", "--workers", "2", env=env)
    assert status == 2
    assert "--workers needs --redis" in said


async def test_a_stop_right_after_a_worker_crashed_exits_with_0() -> None:
    needs("redis-server")
    async with (
        redis_server() as redis,
        dyad_serve(SECRET, "--workers", "2", "--redis", redis.url) as served,
    ):
        worker = (await asyncio.to_thread(worker_processes, served.process.pid))[0]
        os.kill(worker, signal.SIGKILL)
        await served.command.says("(?s)worker ended.*worker started")
        served.process.terminate()
        async with asyncio.timeout(PATIENCE):
            assert await served.process.wait() == 0


async def test_participants_on_any_two_workers_meet_and_a_crashed_worker_is_replaced() -> None:
    needs("redis-server")
    async with AsyncExitStack() as stack:
        redis = await stack.enter_async_context(redis_server())
        options = ("--workers", "2", "--redis", redis.url, "--reflection")
        served = await stack.enter_async_context(dyad_serve(SECRET, *options))
        target = f"127.0.0.1:{served.port}"
        workers = await asyncio.to_thread(worker_processes, served.process.pid)
        assert len(workers) == 2
        for _ in range(10):
            # The kernel picks a worker for each connection.
            async with dyad.connect(target, token("alice"), plaintext=True) as alice:
                room = await alice.create(resumable=False)
                async with dyad.connect(target, token("bob"), plaintext=True) as bob:
                    await bob.join(room.room_id, resumable=False)
                    await bob.send_offer("hello")
                    heard = [await anext(aiter(alice)) for _ in range(2)]
                    assert [type(event).__name__ for event in heard] == ["PeerJoined", "Offer"]
        os.kill(workers[0], signal.SIGKILL)
        async with asyncio.timeout(PATIENCE):
            while True:
                now = await asyncio.to_thread(worker_processes, served.process.pid)
                if len(now) == 2 and workers[0] not in now:
                    break
                await asyncio.sleep(0.05)
        # Only to the supervisor. A terminal would signal the workers, too.
        served.process.send_signal(signal.SIGINT)
        async with asyncio.timeout(PATIENCE):
            assert await served.process.wait() == 0
        assert not [pid for pid in now if command_line(pid)]
