"""The Python client answers heartbeats, and notices a silent server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import dyad
import pytest
from dyad import link
from dyad.v1 import signaling_pb2 as pb

from tests.conftest import serving, token
from tests.support.clock import within
from tests.support.scripted import Context, scripted

ROOM = "6f2c0b1e-0000-4000-8000-000000000000"
HEARTBEAT = pb.SignalResponse()


class Fake:
    """A server that sends what a test tells it to send, unlike the real one.

    Attributes:
        heard: the messages received on each stream.
        to_say: the messages to send next.
    """

    def __init__(self) -> None:
        self.heard: list[asyncio.Queue[pb.SignalRequest]] = []
        self.to_say: asyncio.Queue[pb.SignalResponse] = asyncio.Queue()
        self.opened = asyncio.Condition()

    async def signal(self, requests: AsyncIterator[pb.SignalRequest], context: Context) -> None:
        heard: asyncio.Queue[pb.SignalRequest] = asyncio.Queue()
        async with self.opened:
            self.heard.append(heard)
            self.opened.notify_all()
        saying = asyncio.create_task(self._say(context))
        try:
            async for request in requests:
                for frame in request.frames:
                    if frame.HasField("join_room"):
                        await context.write(self._answer(frame))
                heard.put_nowait(request)
        finally:
            saying.cancel()

    async def streams(self, count: int) -> None:
        """Wait until this many streams have been opened."""
        async with self.opened:
            await self.opened.wait_for(lambda: len(self.heard) >= count)

    async def _say(self, context: Context) -> None:
        while True:
            await context.write(await self.to_say.get())

    def _answer(self, asked: pb.Frame) -> pb.SignalResponse:
        resumed = bool(asked.join_room.resume_token)
        answer = pb.Frame(
            room_id=ROOM,
            reply_to=asked.seq,
            ack=asked.seq,
            seq=0 if resumed else 1,
            join_room=pb.JoinRoom(resume_token="t", resumed=resumed),
        )
        return pb.SignalResponse(frames=[answer])


@asynccontextmanager
async def faked() -> AsyncIterator[tuple[Fake, dyad.Connection]]:
    """A client in a room of a `Fake`."""
    fake = Fake()
    async with (
        scripted(fake.signal) as port,
        dyad.connect(f"127.0.0.1:{port}", "token", plaintext=True) as connection,
    ):
        await connection.create()
        assert (await fake.heard[0].get()).frames
        yield fake, connection


async def test_a_heartbeat_is_answered_by_one_empty_message() -> None:
    async with faked() as (fake, _):
        for _beat in range(3):
            fake.to_say.put_nowait(HEARTBEAT)
            async with within(1):
                assert await fake.heard[0].get() == pb.SignalRequest()
        assert fake.heard[0].empty()


async def test_a_client_whose_app_reads_no_events_still_sends_heartbeats(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(link, "_UNREAD_SECONDS", 0.05)
    async with faked() as (fake, _):
        frames = [
            pb.Frame(room_id=ROOM, seq=seq, offer=pb.SessionDescription(sdp="v=0"))
            for seq in range(2, 2002)
        ]
        fake.to_say.put_nowait(pb.SignalResponse(frames=frames))
        # First its acknowledgement, then heartbeats that it sends by itself.
        assert (await fake.heard[0].get()).frames[0].ack == 2001
        for _beat in range(3):
            assert await fake.heard[0].get() == pb.SignalRequest()


async def test_a_client_leaves_a_silent_server_and_resumes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(link, "_SILENCE_SECONDS", 2)
    async with faked() as (fake, connection):
        events = aiter(connection)
        async with within(5):
            assert isinstance(await anext(events), dyad.Reconnecting)
            back = await anext(events)
        assert isinstance(back, dyad.Reconnected)
        assert back.resumed
        await fake.streams(2)
        assert (await fake.heard[1].get()).frames[0].join_room.resume_token == "t"


async def test_a_client_that_only_receives_stays_connected_past_its_lease() -> None:
    async with (
        serving(heartbeat=0.5, lease=3) as server,
        dyad.connect(f"127.0.0.1:{server.port}", token("alice"), plaintext=True) as alice,
        dyad.connect(f"127.0.0.1:{server.port}", token("bob"), plaintext=True) as bob,
    ):
        room = await alice.create()
        await bob.join(room.room_id)
        for n in range(45):
            await bob.send_offer(str(n))
            await asyncio.sleep(0.1)
        events = aiter(alice)
        assert isinstance(await anext(events), dyad.PeerJoined)
        for n in range(45):
            heard = await anext(events)
            assert isinstance(heard, dyad.Offer), heard
            assert heard.sdp == str(n)


async def test_a_quiet_client_stays_connected_past_its_lease() -> None:
    async with (
        serving(heartbeat=0.5, lease=3) as server,
        dyad.connect(f"127.0.0.1:{server.port}", token("alice"), plaintext=True) as alice,
    ):
        await alice.create()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5):
                await anext(aiter(alice))
