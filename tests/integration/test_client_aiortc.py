"""`dyad.aiortc.Peer`: real pictures between two aiortc ends, through glare and lost paths."""

import asyncio
import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aioice.ice
import dyad
import pytest
from aiortc import RTCConfiguration, RTCIceParameters, RTCPeerConnection
from aiortc.mediastreams import (
    AudioStreamTrack,
    MediaStreamError,
    MediaStreamTrack,
    VideoStreamTrack,
)
from aiortc.sdp import SessionDescription, candidate_from_sdp, candidate_to_sdp
from dyad.aiortc import Peer
from dyad_server.server import Server

from tests.conftest import serving
from tests.integration.clients import ALICE, BOB, connect
from tests.integration.party import connected
from tests.support.python_client import hear
from tests.support.until import PATIENCE, until

# Without a STUN server: the default one is out of reach here.
LOCAL = RTCConfiguration(iceServers=[])


class Side:
    """A participant with a `Peer`, which sends pictures and counts those it receives.

    Attributes:
        made: how many peer connections it has made.
        pictures: received on the current one.
    """

    def __init__(
        self, connection: dyad.Connection, room: dyad.Room, *sent: type[MediaStreamTrack]
    ) -> None:
        self.made = 0
        self.pictures = 0
        self._sent = sent or (VideoStreamTrack,)
        self.told: list[dyad.Event] = []
        self.connection = connection
        self.peer = Peer(connection, self._make, polite=room.polite)
        self._counting: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        async for event in self.connection:
            self.told.append(event)
            await self.peer.take(event)

    async def sees_the_other(self) -> None:
        before = self.pictures
        await until(lambda: self.pictures > before + 3)

    async def lose_the_path(self) -> None:
        """End the current path, as aioice does when the other side answers no more."""
        assert self.peer.pc is not None
        for transceiver in self.peer.pc.getTransceivers():
            ice: Any = transceiver.receiver.transport.transport
            await ice._connection.close()  # noqa: SLF001 - aiortc has no way to lose a path

    def _make(self) -> RTCPeerConnection:
        self.made += 1
        self.pictures = 0
        pc = RTCPeerConnection(LOCAL)
        for track in self._sent:
            pc.addTrack(track())
        pc.on("track", lambda track: self._count(track, self.made))
        return pc

    def _count(self, track: MediaStreamTrack, made: int) -> None:
        async def count() -> None:
            try:
                while True:
                    await track.recv()
                    self.pictures += track.kind == "video" and made == self.made
            except MediaStreamError:
                pass  # The track has ended.

        counting = asyncio.create_task(count())
        self._counting.add(counting)
        counting.add_done_callback(self._counting.discard)


async def offer_with_other_numbers() -> str:
    """An offer by aiortc that numbers codecs and header extensions as a browser might."""
    pc = RTCPeerConnection(LOCAL)
    pc.addTrack(VideoStreamTrack())
    await pc.setLocalDescription()
    sdp: str = pc.localDescription.sdp
    await pc.close()
    sdp = re.sub(r"(?<=a=extmap:)\d", lambda each: str(int(each[0]) + 5), sdp)
    numbers = re.compile(r"(?<=[ :=])(9[6-9]|10[0-9])(?=[ \r])")
    return re.sub(
        r"^(m=|a=(rtpmap|rtcp-fb|fmtp):).*",
        lambda line: numbers.sub(lambda each: str(int(each[0]) + 10), line[0]),
        sdp,
        flags=re.MULTILINE,
    )


async def offer_of(path: aioice.Connection) -> str:
    """An offer over this path by a side that wants to begin the DTLS handshake, and does not."""
    pc = RTCPeerConnection(LOCAL)
    pc.addTrack(VideoStreamTrack())
    offer = SessionDescription.parse((await pc.createOffer()).sdp)
    await pc.close()
    (media,) = offer.media
    media.ice = RTCIceParameters(path.local_username, path.local_password)
    media.ice_candidates = [candidate_from_sdp(each.to_sdp()) for each in path.local_candidates]
    media.ice_candidates_complete = True
    assert media.dtls is not None
    media.dtls.role = "client"
    return str(offer)


@asynccontextmanager
async def side(
    connection: dyad.Connection, room: dyad.Room, *sent: type[MediaStreamTrack]
) -> AsyncIterator[Side]:
    own = Side(connection, room, *sent)
    async with own.peer:
        running = asyncio.create_task(own.run())
        try:
            yield own
        finally:
            running.cancel()
            await asyncio.wait({running})
    assert running.cancelled() or running.exception() is None


@asynccontextmanager
async def two_sides(
    server: Server, *bobs: type[MediaStreamTrack]
) -> AsyncIterator[tuple[Side, Side]]:
    async with connect(server.port, ALICE) as first, connect(server.port, BOB) as second:
        room = await first.create()
        async with side(first, room) as alice:
            joined = await second.join(room.room_id)
            async with side(second, joined, *bobs) as bob:
                yield alice, bob


async def test_two_sides_see_each_other() -> None:
    async with serving() as server, two_sides(server) as both, asyncio.timeout(PATIENCE):
        for one in both:
            await one.sees_the_other()
        assert [one.made for one in both] == [1, 1]


async def test_an_offer_without_a_place_for_a_track_is_answered() -> None:
    async with (
        serving() as server,
        two_sides(server, AudioStreamTrack, VideoStreamTrack) as both,
        asyncio.timeout(PATIENCE),
    ):
        for one in both:
            await one.sees_the_other()
        assert [one.made for one in both] == [1, 1]


async def test_offers_that_cross_end_in_one_call() -> None:
    async with serving() as server, two_sides(server) as both, asyncio.timeout(PATIENCE):
        for one in both:
            await one.sees_the_other()
        for _ in range(3):
            await asyncio.gather(*(one.peer.restart() for one in both))
            alice, bob = both
            await until(lambda: not alice.peer._negotiating and not bob.peer._negotiating)  # noqa: SLF001, B023 - awaited here
            for one in both:
                await one.sees_the_other()


@asynccontextmanager
async def first_and_a_side() -> AsyncIterator[tuple[dyad.Connection, Side]]:
    """A participant that the test plays, first in its room, and a side that has joined it."""
    async with (
        serving() as server,
        connect(server.port, ALICE) as first,
        connect(server.port, BOB) as second,
    ):
        room = await first.create()
        async with side(second, await second.join(room.room_id)) as bob:
            assert isinstance(await hear(first), dyad.PeerJoined)
            yield first, bob


async def test_a_new_offer_keeps_the_numbers_of_codecs_and_header_extensions() -> None:
    async with asyncio.timeout(PATIENCE), first_and_a_side() as (first, bob):
        await first.send_offer(await offer_with_other_numbers())
        answer = await hear(first)
        await bob.peer.restart()
        offer = await hear(first)
        assert isinstance(answer, dyad.Answer)
        assert isinstance(offer, dyad.Offer)
        numbered = re.compile(r"a=(?:extmap|rtpmap|rtcp-fb|fmtp):.*")
        assert "a=rtpmap:107 VP8/90000" in offer.sdp
        assert numbered.findall(offer.sdp) == numbered.findall(answer.sdp)


async def test_data_arrives_on_a_new_path_before_the_dtls_handshake() -> None:
    """A browser leaves the old path only for one on which data arrives."""
    async with asyncio.timeout(PATIENCE), first_and_a_side() as (first, _):
        path = aioice.Connection(ice_controlling=True)
        await path.gather_candidates()
        await first.send_offer(await offer_of(path))
        answer = await hear(first)
        assert isinstance(answer, dyad.Answer)
        media = SessionDescription.parse(answer.sdp).media[0]
        assert media.ice is not None
        path.remote_username = media.ice.usernameFragment
        path.remote_password = media.ice.password
        for each in media.ice_candidates:
            candidate = aioice.Candidate.from_sdp(candidate_to_sdp(each))
            await path.add_remote_candidate(candidate)
        await path.add_remote_candidate(None)
        await path.connect()
        assert await path.recv()
        await path.close()


@pytest.mark.parametrize("loser", [0, 1])
async def test_a_lost_path_is_replaced_by_the_side_that_offered(
    loser: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # aioice notices a lost path after 30 s by default.
    monkeypatch.setattr(aioice.ice, "CONSENT_INTERVAL", 0.2)
    async with serving() as server, two_sides(server) as both, asyncio.timeout(PATIENCE):
        for one in both:
            await one.sees_the_other()
        await both[loser].lose_the_path()
        await until(lambda: [one.made for one in both] == [2, 2])
        for one in both:
            await one.sees_the_other()


async def test_media_survives_a_disconnect_of_the_signaling() -> None:
    async with (
        serving() as server,
        connected(server, ALICE) as first,
        connected(server, BOB) as second,
        asyncio.timeout(PATIENCE),
    ):
        room = await first.connection.create()
        async with side(first.connection, room) as alice:
            joined = await second.connection.join(room.room_id)
            async with side(second.connection, joined) as bob:
                await alice.sees_the_other()
                await second.network.refuse()
                await second.network.cut()
                await alice.sees_the_other()
                await second.network.accept()
                await until(lambda: any(isinstance(e, dyad.Reconnected) for e in bob.told))
                await bob.sees_the_other()
                assert (alice.made, bob.made) == (1, 1)


async def test_a_peer_that_comes_back_gets_a_new_call() -> None:
    async with serving() as server, connect(server.port, ALICE) as first:
        room = await first.create()
        async with side(first, room) as alice, asyncio.timeout(PATIENCE):
            for times in (1, 2):
                async with connect(server.port, BOB) as second:
                    joined = await second.join(room.room_id)
                    async with side(second, joined) as bob:
                        await alice.sees_the_other()
                        await bob.sees_the_other()
                await until(lambda: alice.peer.pc is None)
                assert alice.made == times


async def test_what_aiortc_cannot_use_is_logged_without_its_text(
    caplog: pytest.LogCaptureFixture,
) -> None:
    secret = "my-secret"
    broken = f"v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\nm=video {secret} x\r\n"
    async with serving() as server, connect(server.port, ALICE) as first:
        room = await first.create()
        async with side(first, room) as alice, connect(server.port, BOB) as second:
            await second.join(room.room_id)
            assert isinstance(await hear(second), dyad.Offer)
            with caplog.at_level(logging.DEBUG, "dyad"):
                for sdp in ("", secret, broken):
                    await second.send_answer(sdp)
                    await second.send_offer(sdp)
                    await second.send_candidate(dyad.Candidate(f"candidate:{secret}"))
                await second.send_candidate(dyad.Candidate(""))
                await until(lambda: len(alice.told) == 11)
            assert secret not in caplog.text
            assert "aiortc cannot use the answer" in caplog.text
            await alice.peer.restart()
            while not isinstance(await hear(second), dyad.Offer):
                pass
            # The next call is as good as any.
            await second.leave()
            async with side(second, await second.join(room.room_id)) as bob:
                await alice.sees_the_other()
                await bob.sees_the_other()
