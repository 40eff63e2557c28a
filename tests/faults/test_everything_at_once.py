"""All attacks of `attacks` at once, while calls go on undisturbed."""

import asyncio
import json
import sys
from contextlib import AsyncExitStack

import psutil
import pytest

from tests.conftest import SECRET, token
from tests.faults.attacks import ATTACKS
from tests.faults.background import background_call
from tests.support.ends import ListenEnd
from tests.support.ports import free_port
from tests.support.process import command, dyad_serve
from tests.support.redis import settled_redis

SECONDS = 30
"""Longer than the lease: a participant whose `Send` never gets through would be ended."""
TURN = 0.1
MEMORY = 192 * 1024 * 1024
"""How much the server may grow: 116 MiB were seen. Without a token, 100 RPCs of each method may
wait to begin, each with 20 KiB and up to 16 KiB of headers; the rest is for everything else."""


@pytest.mark.xdist_group("attacks")
@pytest.mark.timeout(900)
async def test_every_attack_at_once_slows_and_ends_no_other_call() -> None:
    metrics_port = free_port()
    async with AsyncExitStack() as stack:
        redis = await stack.enter_async_context(settled_redis())
        options = ("--redis", redis.url)
        served = await stack.enter_async_context(
            dyad_serve(SECRET, *options, "--metrics-port", str(metrics_port), "--reflection")
        )
        other = await stack.enter_async_context(dyad_serve(SECRET, *options))
        seen = [
            await stack.enter_async_context(background_call(served, name="signal")),
            await stack.enter_async_context(background_call(served, kind=ListenEnd, name="listen")),
            await stack.enter_async_context(background_call(served, other, name="crossing")),
        ]
        process = psutil.Process(served.process.pid)
        before = most = process.memory_info().rss
        tokens = [token(name, ttl=600) for name in ("attacker", "alice", "bob")]
        arguments = (str(SECONDS), str(served.port), str(metrics_port), *tokens)
        async with command(sys.executable, "-m", "tests.faults.attacks", *arguments) as attacks:
            while attacks.process.returncode is None:
                most = max(most, process.memory_info().rss)
                await asyncio.sleep(TURN)
            assert await attacks.ended() == 0, attacks.said
        done = json.loads(attacks.said.splitlines()[-1])
        assert done.keys() == ATTACKS.keys()
        assert most - before < MEMORY, f"{(most - before) >> 20} MiB"
    # `background_call` has checked that the calls lost nothing, and their delays.
    assert all(calls.frames for calls in seen)
    print(*seen, f"{(most - before) >> 20} MiB", sep="\n")
    assert "Traceback" not in served.command.said
