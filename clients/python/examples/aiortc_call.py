"""A real video call over Dyad, with aiortc as the WebRTC of both sides or of one.

    python aiortc_call.py --target localhost:50051 --token "$TOKEN"
    python aiortc_call.py --target localhost:50051 --token "$OTHER" --room ID

The first command creates a room and prints its id. The second joins it. Each sends
generated pictures and counts those it receives. A browser may be either side.
"""

import argparse
import asyncio
import sys
from typing import Final

import dyad
from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack, VideoStreamTrack
from aiortc.sdp import candidate_from_sdp
from av import VideoFrame

_SIZE: Final = (320, 240)


class Pulse(VideoStreamTrack):
    """Pictures of one shade, which goes from black to white and back."""

    async def recv(self) -> VideoFrame:
        """The next picture."""
        pts, time_base = await self.next_timestamp()
        frame = VideoFrame(*_SIZE)
        shade = abs(pts // 3000 % 510 - 255)
        for plane, value in zip(frame.planes, (shade, 128, 128), strict=True):
            plane.update(bytes([value]) * plane.buffer_size)
        frame.pts, frame.time_base = pts, time_base
        return frame


class Call:
    """One peer connection, driven by the events of a Dyad connection."""

    def __init__(self, connection: dyad.Connection, *, polite: bool, frames: int) -> None:
        self.enough = asyncio.Event()
        self.frames = 0
        self._connection = connection
        self._polite = polite
        self._wanted = frames
        self._described = False
        self._early: list[dyad.Candidate] = []
        self._ignored_offer = False
        self._counter: asyncio.Task[None] | None = None
        self._peer = RTCPeerConnection()
        self._peer.addTrack(Pulse())
        self._peer.on("track", self._on_track)
        self._peer.on("connectionstatechange", self._on_state)

    async def run(self) -> None:
        """Negotiate until the peer leaves."""
        async for event in self._connection:
            match event:
                case dyad.PeerJoined():
                    say("peer joined")
                    await self._offer()
                case dyad.Offer(sdp):
                    await self._answer(sdp)
                case dyad.Answer(sdp):
                    await self._describe(sdp, "answer")
                case dyad.Candidate():
                    await self._candidate(event)
                case dyad.PeerLeft(_, reason):
                    say(f"peer left ({reason.name.lower()})")
                    return
                case dyad.Reconnected(resumed=False):
                    say("reconnected too late")
                    return
                case dyad.Reconnecting() | dyad.Reconnected():
                    # The pictures do not pass through Dyad, so they continue.
                    say(type(event).__name__.lower())
                case dyad.Refused():
                    say(f"refused: {event}")

    async def close(self) -> None:
        """End the media."""
        if self._counter is not None:
            self._counter.cancel()
        await self._peer.close()

    async def _offer(self) -> None:
        # aiortc gathers its candidates here and puts them into the SDP.
        await self._peer.setLocalDescription(await self._peer.createOffer())
        await self._connection.send_offer(self._peer.localDescription.sdp)

    async def _answer(self, sdp: str) -> None:
        # If both sides offer at once, the polite side gives way. aiortc cannot take an
        # offer back, so the polite side of this script never makes one.
        glare = self._peer.signalingState != "stable"
        self._ignored_offer = glare and not self._polite
        if self._ignored_offer:
            return
        await self._describe(sdp, "offer")
        await self._peer.setLocalDescription(await self._peer.createAnswer())
        await self._connection.send_answer(self._peer.localDescription.sdp)

    async def _describe(self, sdp: str, kind: str) -> None:
        await self._peer.setRemoteDescription(RTCSessionDescription(sdp, kind))
        self._described = True
        self._ignored_offer = False
        early, self._early = self._early, []
        for candidate in early:
            await self._candidate(candidate)

    async def _candidate(self, event: dyad.Candidate) -> None:
        if self._ignored_offer or not event.candidate:
            return
        if not self._described:
            self._early.append(event)
            return
        try:
            candidate = candidate_from_sdp(event.candidate.removeprefix("candidate:"))
        except (AssertionError, ValueError):
            say("ignored a candidate that aiortc cannot read")
            return
        if candidate.ip.endswith(".local"):
            # mDNS hides the peer's address. The peer will find ours instead.
            return
        candidate.sdpMid = event.sdp_mid
        candidate.sdpMLineIndex = event.sdp_m_line_index
        if candidate.sdpMid is None and candidate.sdpMLineIndex is None:
            candidate.sdpMLineIndex = 0
        await self._peer.addIceCandidate(candidate)

    def _on_track(self, track: MediaStreamTrack) -> None:
        if track.kind == "video" and self._counter is None:
            self._counter = asyncio.create_task(self._count(track))

    async def _count(self, track: MediaStreamTrack) -> None:
        try:
            while True:
                await track.recv()
                self.frames += 1
                if self.frames % 30 == 0:
                    say(f"frames {self.frames}")
                if self.frames == self._wanted:
                    self.enough.set()
        except MediaStreamError:
            pass  # The track has ended.

    def _on_state(self) -> None:
        say(self._peer.connectionState)


def say(line: str) -> None:
    """Print a line without delay, even into a pipe."""
    print(line, flush=True)


async def call(options: argparse.Namespace) -> int:
    """Place the call, and return the exit status."""
    async with dyad.connect(options.target, options.token, plaintext=not options.tls) as connection:
        if options.room:
            room = await connection.join(options.room)
        else:
            room = await connection.create()
        say(f"room {room.room_id}")
        ours = Call(connection, polite=room.polite, frames=options.frames)
        negotiating = asyncio.create_task(ours.run())
        enough = asyncio.create_task(ours.enough.wait())
        try:
            await asyncio.wait({negotiating, enough}, return_when=asyncio.FIRST_COMPLETED)
            if negotiating.done():
                await negotiating
            await connection.leave()
        finally:
            negotiating.cancel()
            enough.cancel()
            await ours.close()
            say(f"frames {ours.frames}")
    return 0 if ours.frames >= options.frames else 1


def main() -> int:
    """Read the command line and place the call. Return the exit status."""
    parser = argparse.ArgumentParser(description="Place a video call with aiortc.")
    parser.add_argument("--target", required=True, metavar="HOST:PORT", help="the Dyad server")
    parser.add_argument("--token", required=True, help="the app's JWT")
    parser.add_argument("--room", default="", metavar="ID", help="join this room; else create one")
    parser.add_argument(
        "--frames", type=int, default=0, metavar="N", help="hang up after N pictures received"
    )
    parser.add_argument("--tls", action="store_true", help="speak TLS")
    try:
        return asyncio.run(call(parser.parse_args()))
    except dyad.DyadError as error:
        say(f"ended: {error}")
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
