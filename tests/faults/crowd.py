"""Many streams at once that end in each possible way.

As a program it is a client to be killed: it opens its streams, says so, and stays.
"""

import asyncio
import contextlib
import signal
import sys
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import grpc
from dyad.v1 import signaling_pb2 as pb

from tests.support.ends import End, ListenEnd, SignalEnd, candidate, channel, leave
from tests.support.process import command
from tests.support.proxy import Proxy
from tests.support.seats import meet

Way = Callable[[int, type[End], list[str]], Coroutine[None, None, None]]
DEADLINE = 1.2
"""A deadline that leaves time for the join, also when many join at once."""


async def enter(ends: Sequence[End]) -> list[str]:
    """Join rooms in resumable pairs, and let each end send a frame; returns the room ids."""

    async def pair(alice: End, bob: End) -> str:
        room_id, _, _ = await meet(alice, bob)
        await alice.send(candidate(room_id, "x" * 1000, seq=2))
        await bob.hear()
        return room_id

    couples = zip(ends[::2], ends[1::2], strict=True)
    return await asyncio.gather(*(pair(alice, bob) for alice, bob in couples))


async def close(end: Any) -> None:
    """End a stream as a client does after its leave."""
    if isinstance(end, SignalEnd):
        await end.call.done_writing()
        assert await end.status() is None
    else:
        end.cut()


async def leaving(port: int, kind: type[End], tokens: list[str]) -> None:
    """Each leaves and closes its stream."""
    async with channel(port) as own:
        ends = [kind(own, proof) for proof in tokens]
        rooms = await enter(ends)
        for n, end in enumerate(ends):
            await end.send(leave(rooms[n // 2]))
            while not (await end.hear()).HasField("leave_room"):
                pass
        for end in ends:
            await close(end)


async def cancelling(port: int, kind: type[End], tokens: list[str]) -> None:
    """Each stream is cancelled."""
    async with channel(port) as own:
        ends = [kind(own, proof) for proof in tokens]
        await enter(ends)
        for end in ends:
            end.cut()


async def expiring(port: int, kind: type[End], tokens: list[str]) -> None:
    """Each stream reaches its deadline."""
    async with channel(port) as own:
        ends = [kind(own, proof) for proof in tokens]
        # On a busy machine the deadline passes before the join.
        with contextlib.suppress(grpc.aio.AioRpcError):
            await asyncio.gather(*(_begin(end) for end in ends))
            await enter(ends)
        for end in ends:
            await _expire(end)


async def resetting(port: int, kind: type[End], tokens: list[str]) -> None:
    """Their common connection is reset."""
    async with Proxy(port) as network, channel(network.port) as own:
        ends = [kind(own, proof) for proof in tokens]
        await enter(ends)
        await network.cut()
        for end in ends:
            assert await end.status() is not None
            end.cut()


async def being_killed(port: int, kind: type[End], tokens: list[str]) -> None:
    """Their process is killed."""
    async with command(
        sys.executable, "-m", __name__, str(port), kind.__name__, *tokens
    ) as program:
        await program.says("there")
        program.process.send_signal(signal.SIGKILL)
        await program.ended()


WAYS: list[Way] = [leaving, cancelling, expiring, resetting, being_killed]


async def _begin(end: Any) -> None:
    if isinstance(end, SignalEnd):
        end.call = end.stub.Signal(metadata=end.metadata, timeout=DEADLINE)
    else:
        end.call = end.stub.Listen(pb.ListenRequest(), metadata=end.metadata, timeout=DEADLINE)
        end.session_id = (await end.call.read()).session_id


async def _expire(end: Any) -> None:
    # On a busy machine the deadline passes during a write: gRPC then reports INTERNAL.
    expired = {grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.INTERNAL}
    assert await end.call.code() in expired, await end.call.details()


async def _main(port: int, kind: type[End], tokens: list[str]) -> None:
    async with channel(port) as own:
        ends = [kind(own, proof) for proof in tokens]
        await enter(ends)
        print("there", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    kinds: dict[str, type[End]] = {"SignalEnd": SignalEnd, "ListenEnd": ListenEnd}
    asyncio.run(_main(int(sys.argv[1]), kinds[sys.argv[2]], sys.argv[3:]))
