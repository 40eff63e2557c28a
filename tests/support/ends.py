"""Participants that send and receive frames over either transport, as the test says."""

import asyncio
from collections import deque
from typing import Any, Protocol

import grpc
from dyad.v1 import signaling_pb2 as pb
from dyad.v1 import signaling_pb2_grpc as pb_grpc

from tests.support.until import PATIENCE


def channel(port: int) -> grpc.aio.Channel:
    """A channel with its own connection, which no other client shares."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    return grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=options)


class End(Protocol):
    call: Any
    metadata: tuple[tuple[str, str], ...]

    def __init__(self, channel: grpc.aio.Channel, token: str) -> None: ...
    def open(self) -> None: ...
    async def send(self, *frames: pb.Frame) -> None: ...
    async def hear(self, patience: float = PATIENCE) -> pb.Frame: ...
    async def status(self) -> grpc.aio.AioRpcError | None: ...
    def cut(self) -> None: ...


class _Base:
    def __init__(self, channel: grpc.aio.Channel, token: str) -> None:
        self.stub: Any = pb_grpc.SignalingStub(channel)
        self.metadata: tuple[tuple[str, str], ...] = (("authorization", f"Bearer {token}"),)
        self.heard: deque[pb.Frame] = deque()
        self.call: Any = None

    async def hear(self, patience: float = PATIENCE) -> pb.Frame:
        async with asyncio.timeout(patience):
            while not self.heard:
                message = await self.call.read()
                if message is grpc.aio.EOF:
                    raise EOFError(f"the stream ended: {await self.call.code()}")
                self.heard.extend(message.frames)
        return self.heard.popleft()

    async def status(self) -> grpc.aio.AioRpcError | None:
        """The error that the stream ended with; None for OK."""
        self.open()
        async with asyncio.timeout(PATIENCE):
            try:
                while await self.call.read() is not grpc.aio.EOF:
                    pass
            except grpc.aio.AioRpcError as error:
                return error
        return None

    def open(self) -> None:
        raise NotImplementedError

    def cut(self) -> None:
        if self.call is not None:
            self.call.cancel()


class SignalEnd(_Base):
    def open(self) -> None:
        if self.call is None:
            self.call = self.stub.Signal(metadata=self.metadata)

    async def send(self, *frames: pb.Frame) -> None:
        self.open()
        await self.call.write(pb.SignalRequest(frames=frames))


class ListenEnd(_Base):
    session_id = ""

    def open(self) -> None:
        if self.call is None:
            self.call = self.stub.Listen(pb.ListenRequest(), metadata=self.metadata)

    async def send(self, *frames: pb.Frame) -> None:
        self.open()
        if not self.session_id:
            self.session_id = (await self.call.read()).session_id
        await self.stub.Send(
            pb.SendRequest(session_id=self.session_id, frames=frames), metadata=self.metadata
        )


async def end_of(end: End, *frames: pb.Frame) -> grpc.aio.AioRpcError:
    """The error that the stream ended with, after these frames.

    Send no frames to a stream that is refused at once: a write that meets the end
    of its stream hides the status.
    """
    refused = None
    if frames:
        try:
            await end.send(*frames)
        except grpc.aio.AioRpcError as error:
            refused = error
    ended = await end.status()
    assert ended is not None, "the stream ended with OK"
    # A Send that ends a session fails with the same status as its Listen.
    assert refused is None or refused.code() is ended.code()
    return ended


def join(room_id: str = "", seq: int = 0) -> pb.Frame:
    return pb.Frame(room_id=room_id, seq=seq, join_room=pb.JoinRoom())


def leave(room_id: str, seq: int = 0) -> pb.Frame:
    return pb.Frame(room_id=room_id, seq=seq, leave_room=pb.LeaveRoom())


def offer(room_id: str, sdp: str = "v=0", seq: int = 0) -> pb.Frame:
    return pb.Frame(room_id=room_id, seq=seq, offer=pb.SessionDescription(sdp=sdp))


def candidate(room_id: str, text: str, seq: int = 0) -> pb.Frame:
    return pb.Frame(room_id=room_id, seq=seq, ice_candidate=pb.IceCandidate(candidate=text))


async def pair(connect: Any) -> tuple[End, End, str]:
    """Alice, who created the room, and Bob, who joined it; both have received all notices."""
    alice, bob = connect("alice", email="a@x"), connect("bob", email="b@x")
    await alice.send(join())
    room_id = (await alice.hear()).room_id
    await bob.send(join(room_id))
    await bob.hear()
    await alice.hear()
    return alice, bob, room_id
