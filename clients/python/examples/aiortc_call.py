"""A real video call over Dyad, with aiortc as the WebRTC of both sides or of one.

    python aiortc_call.py --plaintext --target localhost:50051 --token "$TOKEN"
    python aiortc_call.py --plaintext --target localhost:50051 --token "$OTHER" --room ID

The first command creates a room and prints its id. The second joins it. Each sends
generated pictures and counts those it receives. A browser may be either side.
"""

import argparse
import asyncio
import sys
from typing import Final

import dyad
from aiortc import RTCConfiguration, RTCIceServer, RTCPeerConnection
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack, VideoStreamTrack
from av import VideoFrame
from dyad.aiortc import Peer

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


class Media:
    """Makes peer connections, and counts the pictures that arrive on them."""

    def __init__(self, stun: str, wanted: int) -> None:
        self.enough = asyncio.Event()
        self.frames = 0
        self._servers = [RTCIceServer(stun)] if stun else []
        self._wanted = wanted
        self._counters: set[asyncio.Task[None]] = set()

    def connection(self) -> RTCPeerConnection:
        """A new peer connection, which sends pictures."""
        pc = RTCPeerConnection(RTCConfiguration(self._servers))
        pc.addTrack(Pulse())
        pc.on("track", self._on_track)
        pc.on("connectionstatechange", lambda: say(pc.connectionState))
        return pc

    def _on_track(self, track: MediaStreamTrack) -> None:
        if track.kind == "video":
            counter = asyncio.create_task(self._count(track))
            self._counters.add(counter)
            counter.add_done_callback(self._counters.discard)

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


async def negotiate(connection: dyad.Connection, peer: Peer) -> None:
    """Give the room's events to the peer, until the other side leaves."""
    async for event in connection:
        await peer.take(event)
        match event:
            case dyad.PeerJoined():
                say("peer joined")
            case dyad.PeerLeft(_, reason):
                say(f"peer left ({reason.name.lower()})")
                return
            case dyad.Reconnecting() | dyad.Reconnected():
                # The pictures do not pass through Dyad, so they continue.
                say(type(event).__name__.lower())
            case dyad.Refused():
                say(f"refused: {event}")


def say(line: str) -> None:
    """Print a line without delay, even into a pipe."""
    print(line, flush=True)


async def call(options: argparse.Namespace) -> int:
    """Place the call, and return the exit status."""
    media = Media(options.stun, options.frames)
    async with dyad.connect(
        options.target, options.token, plaintext=options.plaintext
    ) as connection:
        if options.room:
            room = await connection.join(options.room)
        else:
            room = await connection.create()
        say(f"room {room.room_id}")
        async with Peer(connection, media.connection, polite=room.polite) as peer:
            negotiating = asyncio.create_task(negotiate(connection, peer))
            enough = asyncio.create_task(media.enough.wait())
            both = {negotiating, enough}
            done, going = await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            for task in going:
                task.cancel()
            for task in done:
                await task
    say(f"frames {media.frames}")
    return 0 if media.frames >= options.frames else 1


def main() -> int:
    """Read the command line and place the call. Return the exit status."""
    parser = argparse.ArgumentParser(description="Place a video call with aiortc.")
    parser.add_argument("--target", required=True, metavar="HOST:PORT", help="the Dyad server")
    parser.add_argument("--token", required=True, help="the app's JWT")
    parser.add_argument("--room", default="", metavar="ID", help="join this room; else create one")
    parser.add_argument(
        "--frames", type=int, default=0, metavar="N", help="hang up after N pictures received"
    )
    parser.add_argument(
        "--stun", default="stun:stun.l.google.com:19302", metavar="URL", help="empty: none"
    )
    parser.add_argument("--plaintext", action="store_true", help="do without TLS")
    try:
        return asyncio.run(call(parser.parse_args()))
    except dyad.DyadError as error:
        say(f"ended: {error}")
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
