"""Thousands of streams that end as soon as they begin."""

import asyncio
import contextlib

import grpc
import pytest
from dyad.v1 import signaling_pb2 as pb
from hyperframe.frame import RstStreamFrame

from tests.conftest import token
from tests.faults.site import Watch
from tests.support.ends import End, ListenEnd, SignalEnd, channel, join
from tests.support.http2 import LISTEN, SIGNAL, connected, message

CALLS = 2_000
RESETS = 10_000
AT_ONCE = 20
"""Each opens up to four streams before it waits, and at most 100 may wait to begin."""


async def enter_and_cut(end: End) -> None:
    await end.send(join())
    await end.hear()
    end.cut()


@pytest.mark.parametrize("transport", [SignalEnd, ListenEnd])
async def test_two_thousand_cancelled_streams_leave_nothing_behind(
    watched: Watch, transport: type[End]
) -> None:
    async with watched("--max-opens-per-second", "1000") as site:
        proofs = [token(f"storm-{n}", ttl=600) for n in range(AT_ONCE)]

        async def open_and_cancel(shared: grpc.aio.Channel, proof: str) -> None:
            for stage in range(CALLS // AT_ONCE):
                end = transport(shared, proof)
                if stage % 4 == 0:
                    await enter_and_cut(end)
                    continue
                sending = asyncio.create_task(end.send(join()))
                # At every stage of the join.
                for _ in range(stage % 4):
                    await asyncio.sleep(0)
                end.cut()
                sending.cancel()
                with contextlib.suppress(grpc.aio.AioRpcError, asyncio.CancelledError):
                    await sending

        async with channel(site.port) as shared:
            await asyncio.gather(*(open_and_cancel(shared, proof) for proof in proofs))
            # RPCs are served in order, so all earlier ones have been served.
            await enter_and_cut(transport(shared, token("last")))
        await site.empties()


@pytest.mark.parametrize("path", [SIGNAL, LISTEN])
async def test_ten_thousand_reset_streams_leave_nothing_behind(watched: Watch, path: str) -> None:
    """CVE-2023-44487: reset each stream as soon as it is open."""
    async with watched() as site:
        proof = token("storm", ttl=600)
        opened = 0
        # The server may close the connection of such a client.
        while opened < RESETS:
            async with connected(site.port) as client:
                while opened < RESETS and not client.closed:
                    for _ in range(AT_ONCE):
                        stream = client.call(proof, path)
                        client.say(stream, message(pb.SignalRequest(frames=[join()])))
                        client.write(RstStreamFrame(stream, error_code=8))
                    opened += AT_ONCE
                    await client.drain()
                    await asyncio.sleep(0)
        await site.empties()
