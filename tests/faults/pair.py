"""A pair that talks in the background while a test breaks something else.

It runs in its own process, so that no frame waits for the test, which may play thousands
of participants. Its arguments are the transport, then for each participant the server's
port, the server's process and a token. It prints "talking" when both are in their room. On
SIGTERM it ends the call and prints what both have seen.
"""

import asyncio
import json
import math
import os
import signal
import sys
from contextlib import AsyncExitStack, closing

import grpc
from dyad.v1 import signaling_pb2 as pb

from tests.support.clock import FairClock, slowness
from tests.support.ends import End, ListenEnd, SignalEnd, candidate, channel, join

_INTERVAL = 0.05
_LEAST = 100
"""The frames of each side: the fewest that give a p99."""
_LONGEST_SECONDS = 1800
_GOODBYE = "goodbye"


class _Side:
    """One end of the pair: sends numbers, and receives the other end's.

    Attributes:
        sent_at: when each of its frames was sent, in seconds of the clock.
        delays: the delay of each frame that it received, in seconds.
    """

    def __init__(self, end: End, room_id: str, clock: FairClock) -> None:
        self.sent_at: list[float] = []
        self.delays: list[float] = []
        self._end = end
        self._room_id = room_id
        self._clock = clock

    async def speak(self, over: asyncio.Event) -> None:
        while not over.is_set() or len(self.sent_at) < _LEAST:
            await self._say(str(len(self.sent_at)))
            # At a steady pace: it does not wait for the other side.
            await asyncio.sleep(_INTERVAL)
        await self._say(_GOODBYE)

    async def listen(self, other: "_Side") -> None:
        while (text := await self._hear()) != _GOODBYE:
            heard = len(self.delays)
            assert text == str(heard), f"the background call waited for {heard}, and heard {text!r}"
            self.delays.append(self._clock.now() - other.sent_at[heard])
        assert len(self.delays) == len(other.sent_at) - 1, f"it heard only {len(self.delays)}"

    async def _say(self, text: str) -> None:
        self.sent_at.append(self._clock.now())
        frame = candidate(self._room_id, text, seq=len(self.sent_at) + 1)
        while not await self._sent(frame):
            # The frame's number makes the retry idempotent, as it does for every client.
            pass

    async def _sent(self, frame: pb.Frame) -> bool:
        """Send it; False if gRPC cancels a `Send` because too many RPCs wait."""
        try:
            await self._end.send(frame)
        except grpc.aio.AioRpcError as error:
            # If the stream ends during the write, gRPC reports INTERNAL.
            if error.code() not in (grpc.StatusCode.CANCELLED, grpc.StatusCode.INTERNAL):
                raise
            return False
        return True

    async def _hear(self) -> str:
        return (await self._end.hear()).ice_candidate.candidate


async def _talk(kind: type[End], *servers: tuple[int, int, str]) -> None:
    over = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
    async with AsyncExitStack() as stack:
        alice, bob = [
            kind(await stack.enter_async_context(channel(port)), token)
            for port, _, token in servers
        ]
        await alice.send(join(seq=1))
        room_id = (await alice.hear()).room_id
        await bob.send(join(room_id, seq=1))
        await bob.hear()
        await alice.hear()
        slow = slowness()
        print("talking", flush=True)
        clock = stack.enter_context(
            closing(FairClock(*{process for _, process, _ in servers}, os.getpid()))
        )
        one, two = (_Side(end, room_id, clock) for end in (alice, bob))
        async with asyncio.TaskGroup() as talking:
            for side, other in ((one, two), (two, one)):
                talking.create_task(side.speak(over))
                talking.create_task(side.listen(other))
        alice.cut()
        bob.cut()
    delays = sorted(one.delays + two.delays)
    p99 = delays[math.ceil(len(delays) * 0.99) - 1]
    print(json.dumps({"frames": len(delays), "p99": p99, "slowness": max(slow, slowness())}))


def _main(kind: str, *rest: str) -> None:
    kinds: dict[str, type[End]] = {"SignalEnd": SignalEnd, "ListenEnd": ListenEnd}
    ports, processes, tokens = rest[::3], rest[1::3], rest[2::3]
    servers = zip(map(int, ports), map(int, processes), tokens, strict=True)
    asyncio.run(_talk(kinds[kind], *servers))


if __name__ == "__main__":
    # The end in any case, even if the test that started this is gone.
    signal.alarm(_LONGEST_SECONDS)
    _main(*sys.argv[1:])
