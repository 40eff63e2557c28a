"""A participant of a call that speaks `Listen` and `Send`, as a page does."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import grpc
import httpx2
from dyad.v1 import signaling_pb2 as pb
from google.protobuf.message import DecodeError

from dyad_server.core.clock import Clock
from dyad_server.doctor import bounds
from dyad_server.doctor.call import Away, CallFailed, HeldBack, Refused
from dyad_server.doctor.grpc_web import Answer, Browser

T = TypeVar("T")


class WebSide:
    """A participant that speaks `Listen` and `Send`; a `call.Side`."""

    def __init__(self, browser: Browser, token: str, clock: Clock) -> None:
        self._browser = browser
        self._authorization = ("authorization", f"Bearer {token}")
        self._clock = clock
        self._session = ""
        self._room_id = ""
        self._sent = self._heard = 0
        self._frames: asyncio.Queue[pb.Frame] = asyncio.Queue()
        self._opened = asyncio.Event()
        self._listening: asyncio.Task[CallFailed] | None = None
        # Parallel requests may overtake each other.
        self._one_by_one = asyncio.Lock()

    async def enter(self, room_id: str) -> str:
        """See `call.Side.enter`."""
        self._listening = asyncio.create_task(self._listen(), name="dyad-doctor-listen")
        await self._unless_ended(self._opened.wait(), "The first message of a Listen")
        await self._send(pb.Frame(room_id=room_id, join_room=pb.JoinRoom()))
        frame = await self._next("The answer to join_room", "join_room", reply=True)
        self._room_id = frame.room_id
        return self._room_id

    async def meet(self) -> None:
        """See `call.Side.meet`."""
        await self._next("The announcement of the peer", "join_room", reply=False)

    async def send(self, text: str, *, answer: bool) -> None:
        """See `call.Side.send`."""
        said = pb.SessionDescription(sdp=text)
        if answer:
            await self._send(pb.Frame(room_id=self._room_id, answer=said))
        else:
            await self._send(pb.Frame(room_id=self._room_id, offer=said))

    async def receive(self) -> str:
        """See `call.Side.receive`."""
        frame = await self._next("An offer or answer of the peer", "offer", "answer", reply=False)
        return frame.offer.sdp if frame.HasField("offer") else frame.answer.sdp

    async def hold(self, seconds: float) -> None:
        """Wait, and answer heartbeats meanwhile.

        Raises:
            CallFailed: the `Listen` ended.
        """
        if self._listening is not None:
            ended, _ = await asyncio.wait({self._listening}, timeout=seconds)
            if ended:
                raise self._listening.result()

    async def close(self) -> None:
        """See `call.Side.close`."""
        if self._listening is None:
            return
        try:
            if self._room_id and not self._listening.done():
                await self._send(pb.Frame(room_id=self._room_id, leave_room=pb.LeaveRoom()))
        finally:
            self._listening.cancel()
            await asyncio.wait({self._listening})

    async def _listen(self) -> CallFailed:
        """Read until the end; returns why it ended."""
        began = self._clock.monotonic()
        answer: Answer | None = None
        try:
            request = pb.ListenRequest().SerializeToString()
            async with self._browser.stream("Listen", request, self._authorization) as answer:
                async for message in answer.messages():
                    await self._take(pb.ListenResponse.FromString(message))
        except httpx2.HTTPError as failure:
            if answer is None:
                return Away(f"{type(failure).__name__} {failure}".strip())
        except CallFailed as failure:
            return failure
        except DecodeError:
            return Away("the answer is not Dyad's")
        return answer.failure(self._clock.monotonic() - began)

    async def _take(self, message: pb.ListenResponse) -> None:
        if message.session_id:
            self._session = message.session_id
            self._opened.set()
        elif not message.frames:
            await self._send(pb.Frame(ack=self._heard), numbered=False)
        for frame in message.frames:
            self._heard = max(self._heard, frame.seq)
            self._frames.put_nowait(frame)

    async def _send(self, frame: pb.Frame, *, numbered: bool = True) -> None:
        async with self._one_by_one:
            request = pb.SendRequest(session_id=self._session, frames=[frame])
            if numbered:
                self._sent += 1
                request.frames[0].MergeFrom(pb.Frame(seq=self._sent))
            answer = await self._browser.ask(
                "Send", request.SerializeToString(), self._authorization
            )
        if answer.code != grpc.StatusCode.OK.name:
            raise answer.failure(0.0)

    async def _next(self, what: str, *kinds: str, reply: bool) -> pb.Frame:
        """The next frame of one of these kinds, either a reply or from the peer."""
        while True:
            frame = await self._unless_ended(self._frames.get(), what)
            kind = frame.WhichOneof("event")
            if kind == "error":
                name = pb.Error.Code.Name(frame.error.code)
                raise Refused(name, frame.error.message, by_dyad=True)
            if kind in kinds and bool(frame.reply_to) == reply:
                return frame

    async def _unless_ended(self, coming: Coroutine[Any, Any, T], what: str) -> T:
        """Wait for what comes on `Listen`, within a time limit."""
        if self._listening is None:
            raise RuntimeError("`enter` comes first")
        waiting = asyncio.ensure_future(coming)
        both: set[asyncio.Future[Any]] = {waiting, self._listening}
        try:
            await asyncio.wait(
                both, timeout=bounds.ANSWER_SECONDS, return_when=asyncio.FIRST_COMPLETED
            )
            if waiting.done():
                return waiting.result()
            if self._listening.done():
                raise self._listening.result()
            raise HeldBack(what)
        finally:
            waiting.cancel()
