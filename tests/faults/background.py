"""A background call: a pair that talks while a test breaks something else (see `pair`)."""

import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from tests.conftest import token
from tests.support.ends import End, SignalEnd
from tests.support.process import Served, command

_P99 = 0.250


@dataclass
class BackgroundCall:
    """The result of the pair, complete once its call is over.

    Attributes:
        frames: how many frames arrived: all that were sent.
        p99: the delay in seconds that one frame in a hundred exceeds, without the time in
            which the pair or the server waited for a processor.
        slowness: see `clock.slowness`.
    """

    frames: int = 0
    p99: float = 0
    slowness: float = 1


@asynccontextmanager
async def background_call(
    *served: Served, kind: type[End] = SignalEnd, name: str = "background"
) -> AsyncIterator[BackgroundCall]:
    """Let two participants talk while the context lasts.

    Args:
        served: one server for both, or one for each.
        kind: their transport.
        name: the prefix of their user ids.

    Raises:
        AssertionError: a frame was lost, duplicated or reordered, or one in a hundred
            took longer than 250 ms times the slowness of the machine.
    """
    which = [
        text
        for server, who in zip((served * 2)[:2], "ab", strict=True)
        for text in (str(server.port), str(server.process.pid), token(f"{name}-{who}", ttl=600))
    ]
    async with command(sys.executable, "-m", "tests.faults.pair", kind.__name__, *which) as pair:
        await pair.says("talking")
        background = BackgroundCall()
        yield background
        assert pair.process.returncode is None, pair.said
        pair.process.terminate()
        assert await pair.ended() == 0, pair.said
        seen = json.loads(pair.said.splitlines()[-1])
    background.frames, background.p99 = seen["frames"], seen["p99"]
    background.slowness = seen["slowness"]
    assert background.p99 < _P99 * background.slowness, (
        f"the background call waited {background.p99 * 1000:.0f} ms "
        f"on a machine {background.slowness:.1f} times slower than the reference"
    )
