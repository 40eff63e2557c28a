"""The server's shutdown under load, and a server without file descriptors."""

import asyncio
import contextlib
import resource
import signal
import uuid

from dyad.v1 import signaling_pb2 as pb

from tests.conftest import SECRET, token
from tests.faults.site import UNBOUND, Watch
from tests.support.clock import within
from tests.support.ends import candidate, join, offer
from tests.support.http2 import SIGNAL, Http2, connected
from tests.support.process import dyad_serve

PAIRS = 50
TOLD = 2.0
DRAINED = 10.0
SPARE = 4


async def talking(client: Http2, room_id: str) -> tuple[int, int]:
    """Two participants on one connection, in this room."""
    streams = []
    for name in ("alice", "bob"):
        stream = client.call(token(f"{name}-{room_id}", room=room_id))
        client.say(stream, pb.SignalRequest(frames=[join()]))
        frame = (await client.hear(stream, pb.SignalResponse)).frames[0]
        assert frame.room_id == room_id
        streams.append(stream)
    return streams[0], streams[1]


async def test_sigterm_under_load_tells_all_participants_and_exits_with_0_in_time() -> None:
    async with (
        dyad_serve(SECRET, *UNBOUND) as served,
        connected(served.port) as client,
        connected(served.port, window=64) as deaf,
    ):
        rooms = [str(uuid.uuid4()) for _ in range(PAIRS)]
        pairs = [await talking(client, room_id) for room_id in rooms]
        # A client that never reads its status must not delay the exit.
        room_id = str(uuid.uuid4())
        deaf.say(
            deaf.call(token("deaf", room=room_id), SIGNAL),
            pb.SignalRequest(frames=[join()]),
        )

        async def load() -> None:
            number = 0
            while not client.trailers:
                number += 1
                for room_id, pair in zip(rooms, pairs, strict=True):
                    for stream in pair:
                        frame = candidate(room_id, str(number))
                        client.say(stream, pb.SignalRequest(frames=[frame]))
                await client.drain()
                await asyncio.sleep(0.02)

        loading = asyncio.create_task(load())
        for _, stream in pairs:
            # Wait until there is load.
            await client.hear(stream, pb.SignalResponse)
        async with within(DRAINED):
            served.process.send_signal(signal.SIGTERM)
            async with within(TOLD):
                ended = [await client.ended(stream) for pair in pairs for stream in pair]
            await loading
            assert await served.command.ended() == 0
        for trailers in ended:
            assert trailers["grpc-status"] == "14", "UNAVAILABLE"
            assert 200 <= int(trailers["retry-after-ms"]) <= 2000


async def test_without_file_descriptors_existing_participants_are_served(
    watched: Watch,
) -> None:
    async with watched() as site:
        most = site.process.num_fds() + SPARE
        resource.prlimit(site.process.pid, resource.RLIMIT_NOFILE, (most, most))
        async with contextlib.AsyncExitStack() as stack:
            crowd = [await stack.enter_async_context(connected(site.port)) for _ in range(20)]
            for n, client in enumerate(crowd):
                client.say(client.call(token(f"crowd-{n}")), pb.SignalRequest(frames=[join()]))
            rooms = [
                (await client.hear(1, pb.SignalResponse)).frames[0].room_id
                for client in crowd[:SPARE]
            ]
            crowd[0].say(1, pb.SignalRequest(frames=[offer(rooms[0])]))
            frame = (await crowd[0].hear(1, pb.SignalResponse)).frames[0]
            assert frame.error.code == pb.Error.CODE_PEER_ABSENT
            assert not any(client.heard for client in crowd[SPARE:])
        async with site.end("late") as late:
            await late.send(join())
            assert (await late.hear()).HasField("join_room")
