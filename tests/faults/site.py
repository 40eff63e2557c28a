"""A server process, a pair that talks through it, and the server's state as seen from outside."""

import asyncio
import contextlib
import gc
import re
import urllib.request
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

import psutil
from dyad.v1 import signaling_pb2 as pb

from tests.conftest import SECRET, token
from tests.faults.background import BackgroundCall, background_call
from tests.support.clock import within
from tests.support.ends import End, SignalEnd, channel
from tests.support.ports import free_port
from tests.support.process import Served, dyad_serve
from tests.support.until import PATIENCE

WITNESSES = 2
UNBOUND = ("--max-frames-per-second", "1000000", "--max-bytes-per-second", "1000000000")
"""The options of a test that is not about rates."""
_TURN = 0.05
_PROMISED = 10.0
"""Seconds within which the peer is told, by the contract."""


@dataclass
class Site:
    """The target of a fault.

    Attributes:
        served: the process.
        process: the same process, to measure it.
        background: the result of the pair, once the fault is over.
    """

    served: Served
    process: psutil.Process
    background: BackgroundCall
    _metrics_port: int
    _files: int

    @property
    def port(self) -> int:
        return self.served.port

    @asynccontextmanager
    async def end(
        self, sub: str, kind: type[End] = SignalEnd, *, room: str = ""
    ) -> AsyncIterator[End]:
        """A participant with its own connection, cut at the end."""
        async with channel(self.port) as own:
            end = kind(own, token(sub, room=room, ttl=600))
            yield end
            end.cut()

    async def metric(self, name: str) -> float:
        """A metric of the server; 0 if it has no value yet."""
        page = await asyncio.to_thread(self._metrics)
        found = re.search(rf"^{re.escape(name)} (\S+)$", page, re.MULTILINE)
        return float(found[1]) if found else 0

    async def participants(self) -> float:
        """The number of participants besides the pair."""
        return await self.metric("dyad_participants") - WITNESSES

    async def has(self, participants: int, seconds: float = _PROMISED) -> None:
        """Wait until there are so many besides the pair; AssertionError after `seconds`."""
        async with within(seconds):
            while await self.participants() != participants:  # noqa: ASYNC110 - there is no event for it
                await asyncio.sleep(_TURN)

    async def empties(self) -> None:
        """Wait until only the pair and its descriptors are left; AssertionError after a while."""
        await self.has(0)
        # A finished RPC of this process keeps its connection until it is collected.
        gc.collect()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                while self.process.num_fds() > self._files:  # noqa: ASYNC110 - there is no event for it
                    await asyncio.sleep(_TURN)
        assert self.process.num_fds() <= self._files, "descriptors are left"

    def _metrics(self) -> str:
        address = f"http://127.0.0.1:{self._metrics_port}/metrics"
        with urllib.request.urlopen(address, timeout=PATIENCE) as page:
            text: str = page.read().decode()
        return text


Watch = Callable[..., AbstractAsyncContextManager[Site]]


@asynccontextmanager
async def site(*options: str) -> AsyncIterator[Site]:
    """Run a server with these options, and a pair that talks through it.

    Raises:
        AssertionError: the pair was harmed; `background.background_call` says how.
    """
    metrics_port = free_port()
    async with (
        dyad_serve(SECRET, "--metrics-port", str(metrics_port), *options) as served,
        background_call(served) as background,
    ):
        process = psutil.Process(served.process.pid)
        yield Site(served, process, background, metrics_port, process.num_fds())


def proofs(count: int) -> list[str]:
    """Tokens, each for another user."""
    return [token(f"crowd-{n}", ttl=600) for n in range(count)]


async def told_of_the_end(end: End, seconds: float = _PROMISED) -> None:
    """Wait until this participant is told that its peer is disconnected, and nothing else."""
    async with within(seconds):
        frame = await end.hear()
    assert frame.leave_room.reason == pb.LeaveRoom.REASON_DISCONNECTED, frame.WhichOneof("event")
