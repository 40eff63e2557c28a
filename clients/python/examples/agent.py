"""Answers calls in the room of its token: `TOKEN=… python agent.py HOST:PORT [--plaintext]`."""

import asyncio
import math
import os
import sys
from array import array

import dyad
from aiortc import RTCConfiguration, RTCIceServer, RTCPeerConnection
from aiortc.mediastreams import AudioStreamTrack, MediaStreamTrack, VideoStreamTrack
from av.frame import Frame
from dyad.aiortc import Peer

heard, listening = [0.0], {}  # How loud the caller is, from 0 to 1, and what notes that.


class Voice(AudioStreamTrack):
    async def recv(self) -> Frame:  # A tone for half of each second, as loud as the caller.
        frame, rate = await super().recv(), 8000
        high = 4_000 + 20_000 * heard[0] if frame.pts % rate < rate / 2 else 0
        turns = (math.tau * 440 * (frame.pts + n) / rate for n in range(frame.samples))
        frame.planes[0].update(array("h", (int(high * math.sin(turn)) for turn in turns)))
        return frame


class Face(VideoStreamTrack):
    async def recv(self) -> Frame:  # A picture as bright as the caller is loud.
        frame = await super().recv()
        shade = frame.pts // 3000 % 60 + int(180 * heard[0])
        frame.planes[0].update(bytes([shade]) * frame.planes[0].buffer_size)
        return frame


def hear(track: MediaStreamTrack) -> None:
    async def listen() -> None:
        while frame := await track.recv():
            if track.kind == "audio":
                heard[0] = max(map(abs, array("h", bytes(frame.planes[0])))) / 32768

    listening[track.kind] = asyncio.gather(listen(), return_exceptions=True)


def make() -> RTCPeerConnection:
    pc = RTCPeerConnection(RTCConfiguration([RTCIceServer("stun:stun.l.google.com:19302")]))
    pc.addTrack(Voice())
    pc.addTrack(Face())
    pc.on("track", hear)
    return pc


async def answer(target: str, *options: str) -> None:
    async with dyad.connect(target, os.environ["TOKEN"], plaintext=bool(options)) as connection:
        room = await connection.create()
        async with Peer(connection, make, polite=room.polite) as peer:
            async for event in connection:
                await peer.take(event)


asyncio.run(answer(*sys.argv[1:]))
