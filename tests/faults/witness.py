"""A pair that goes on with its call while something goes wrong beside it: `pair`."""

import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import grpc

from tests.conftest import token
from tests.support.ends import End, SignalEnd
from tests.support.process import Served, command

_P99 = 0.250


@dataclass
class Witness:
    """What the pair has seen, once its call is over.

    Attributes:
        frames: how many arrived, which are all that were said.
        p99: the delay, in seconds, that one of a hundred exceeds; what it waited
            for a processor that others had is not counted.
    """

    frames: int = 0
    p99: float = 0


@asynccontextmanager
async def witnessed(
    *served: Served, kind: type[End] = SignalEnd, name: str = "witness"
) -> AsyncIterator[Witness]:
    """Let two participants talk while the context lasts.

    Args:
        served: one server for both, or one for each.
        kind: their transport.
        name: what their user ids begin with.

    Raises:
        AssertionError: a frame was lost, came twice or out of order, or one in
            a hundred took longer than 250 ms, on a machine that had time for it.
    """
    which = [
        text
        for server, who in zip((served * 2)[:2], "ab", strict=True)
        for text in (str(server.port), str(server.process.pid), token(f"{name}-{who}", ttl=600))
    ]
    async with command(sys.executable, "-m", "tests.faults.pair", kind.__name__, *which) as pair:
        await pair.says("talking")
        witness = Witness()
        yield witness
        assert pair.process.returncode is None, pair.said
        pair.process.terminate()
        assert await pair.ended() == 0, pair.said
        seen = json.loads(pair.said.splitlines()[-1])
    witness.frames, witness.p99 = seen["frames"], seen["p99"]
    assert witness.p99 < _P99, f"the witness waited {witness.p99 * 1000:.0f} ms"


def channel(port: int) -> grpc.aio.Channel:
    """A channel with a connection of its own, which no other test's client shares."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    return grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=options)
