"""Clients that do not read, that are frozen, or that vanish silently."""

import asyncio
import signal
import sys
import uuid
from pathlib import Path

import grpc
import pytest
from dyad.v1 import signaling_pb2 as pb

from tests.conftest import token
from tests.faults.site import UNBOUND, Site, Watch, told_of_the_end
from tests.support.ends import End, ListenEnd, SignalEnd, channel, join, offer
from tests.support.http2 import LISTEN, SEND, SIGNAL, Http2, connected
from tests.support.process import command
from tests.support.proxy import Proxy
from tests.support.until import PATIENCE

PARTICIPANT = str(Path(__file__).parents[1] / "integration" / "participant.py")
BIG = "x" * 60_000


async def enter(client: Http2, path: str, room: str) -> None:
    """Join a room on a stream to which the server can write only 64 bytes."""
    proof = token("bob", room=room, ttl=600)
    stream = client.call(proof, path)
    if path == SIGNAL:
        client.say(stream, pb.SignalRequest(frames=[join()]))
        return
    client.say(stream, pb.ListenRequest(), end=True)
    session_id = (await client.hear(stream, pb.ListenResponse)).session_id
    sending = client.call(proof, SEND)
    client.say(sending, pb.SendRequest(session_id=session_id, frames=[join()]), end=True)


async def ended_for_not_reading(site: Site, frames: int, room: str) -> None:
    """Send frames to a client that does not read until the server ends it."""
    async with site.end("alice", room=room) as alice:
        await alice.send(join())
        assert (await alice.hear()).join_room.peer.user_id == "bob"
        for _ in range(frames):
            await alice.send(offer(room, BIG))
        await told_of_the_end(alice)


async def refused(site: Site) -> bool:
    """Whether the server refuses another stream of Bob."""
    # By `Listen`: a failed write of `Signal` could hide the status.
    async with site.end("bob", ListenEnd) as bob:
        try:
            await bob.send(join())
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.RESOURCE_EXHAUSTED:
                raise
            return True
        await bob.hear()
    return False


@pytest.mark.parametrize("path", [SIGNAL, LISTEN])
@pytest.mark.parametrize("frames", [3, 20], ids=["some", "more than may wait"])
async def test_a_client_that_never_reads_is_ended_and_counts_until_it_disconnects(
    watched: Watch, path: str, frames: int
) -> None:
    limits = ("--max-streams-per-user", "3", "--write-timeout", "1")
    async with watched(*UNBOUND, *limits) as site:
        async with connected(site.port, window=64) as client:
            for _ in range(3):
                room = str(uuid.uuid4())
                await enter(client, path, room)
                await site.has(1)
                await ended_for_not_reading(site, frames, room)
                await site.has(0)
            # It has no seat any longer, but its unread frames still use memory.
            assert await refused(site)
        async with asyncio.timeout(PATIENCE):
            while await refused(site):
                pass
        await site.empties()


async def test_a_client_that_answers_no_pings_is_disconnected(watched: Watch) -> None:
    async with watched(*UNBOUND) as site:
        room = str(uuid.uuid4())
        async with connected(site.port) as client:
            await enter(client, SIGNAL, room)
            await site.has(1)
            client.stop_reading()
            await ended_for_not_reading(site, 1, room)
            await site.has(0)


async def test_a_frozen_process_is_disconnected(watched: Watch) -> None:
    async with watched() as site, site.end("alice") as alice:
        await alice.send(join())
        room = (await alice.hear()).room_id
        address = f"127.0.0.1:{site.port}"
        async with command(sys.executable, PARTICIPANT, address, token("bob"), room) as bob:
            await bob.says("joined")
            assert (await alice.hear()).sender.user_id == "bob"
            bob.process.send_signal(signal.SIGSTOP)
            await told_of_the_end(alice)
            await site.has(1)


@pytest.mark.parametrize("transport", [SignalEnd, ListenEnd])
async def test_a_client_that_loses_its_network_silently_is_disconnected(
    watched: Watch, transport: type[End]
) -> None:
    async with watched() as site, Proxy(site.port) as network, site.end("alice") as alice:
        await alice.send(join())
        room = (await alice.hear()).room_id
        async with channel(network.port) as far:
            bob = transport(far, token("bob"))
            await bob.send(join(room))
            assert (await alice.hear()).sender.user_id == "bob"
            network.stall()
            await told_of_the_end(alice)
            await site.has(1)
            bob.cut()
