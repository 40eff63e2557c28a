"""A pair that goes on with its call while something goes wrong beside it."""

import asyncio
import contextlib
import math
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import grpc

from tests.conftest import token
from tests.support.ends import SignalEnd, candidate, join

_INTERVAL = 0.02
_LEAST = 100
"""Frames of each side: what p99 needs at the least."""
_P99 = 0.250
_GOODBYE = "goodbye"


@dataclass
class Witness:
    """What the pair has seen.

    Attributes:
        delays: of the frames that arrived, in seconds.
        late: how much later than asked this process was woken, in seconds: the
            machine was busy, whatever the server did.
    """

    delays: list[float] = field(default_factory=list)
    late: list[float] = field(default_factory=list)

    def p99(self) -> float:
        """The delay, in seconds, that one frame in a hundred exceeds."""
        return _p99(self.delays)

    def bound(self) -> float:
        """What `p99` must stay below, in seconds."""
        return _P99 + _p99(self.late)


def _p99(seconds: list[float]) -> float:
    return sorted(seconds)[math.ceil(len(seconds) * 0.99) - 1]


class _Side:
    """One of the two: says numbers, and hears the other's."""

    def __init__(self, end: SignalEnd, room_id: str, witness: Witness) -> None:
        self.sent_at: list[float] = []
        self._end = end
        self._room_id = room_id
        self._witness = witness

    async def speak(self, over: asyncio.Event) -> None:
        while not over.is_set() or len(self.sent_at) < _LEAST:
            await self._say(str(len(self.sent_at)))
            # The pace of a conversation: nothing is waited for.
            asked = time.monotonic() + _INTERVAL
            await asyncio.sleep(_INTERVAL)
            self._witness.late.append(max(time.monotonic() - asked, 0))
        await self._say(_GOODBYE)

    async def listen(self, other: "_Side") -> None:
        heard = 0
        while (text := await self._hear()) != _GOODBYE:
            assert text == str(heard), f"the witness waited for {heard}, and heard {text!r}"
            self._witness.delays.append(time.monotonic() - other.sent_at[heard])
            heard += 1
        assert heard == len(other.sent_at) - 1, f"the witness heard only {heard}"

    async def _say(self, text: str) -> None:
        self.sent_at.append(time.monotonic())
        await self._end.send(candidate(self._room_id, text, seq=len(self.sent_at) + 1))

    async def _hear(self) -> str:
        return (await self._end.hear()).ice_candidate.candidate


@asynccontextmanager
async def witnessed(port: int) -> AsyncIterator[Witness]:
    """Let two participants talk through the server on `port` while the context lasts.

    Raises:
        AssertionError: a frame was lost, came twice or out of order, or one in
            a hundred took longer than 250 ms, on a machine that had time for it.
    """
    async with contextlib.AsyncExitStack() as stack:
        alice, bob = [
            SignalEnd(await stack.enter_async_context(channel(port)), token(f"witness-{name}"))
            for name in "ab"
        ]
        await alice.send(join(seq=1))
        room_id = (await alice.hear()).room_id
        await bob.send(join(room_id, seq=1))
        await bob.hear()
        await alice.hear()
        witness, over = Witness(), asyncio.Event()
        one, two = (_Side(end, room_id, witness) for end in (alice, bob))
        async with asyncio.TaskGroup() as talking:
            for side, other in ((one, two), (two, one)):
                talking.create_task(side.speak(over))
                talking.create_task(side.listen(other))
            try:
                yield witness
            finally:
                over.set()
        assert witness.p99() < witness.bound(), (
            f"the witness waited {witness.p99() * 1000:.0f} ms, of {witness.bound() * 1000:.0f}"
        )
        alice.cut()
        bob.cut()


def channel(port: int) -> grpc.aio.Channel:
    """A channel with a connection of its own, which no other test's client shares."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    return grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=options)
