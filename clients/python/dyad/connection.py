"""A participant's connection to the server: enter a room, negotiate, hang up."""

import asyncio
import inspect
from collections import deque
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Final, Self

import grpc

from dyad import wire
from dyad.errors import Ended, Refusal, Refused, ended
from dyad.events import Candidate, Event, Room
from dyad.session import Session
from dyad.stream import Stream, open_channel
from dyad.v1 import signaling_pb2 as pb

Token = str | Callable[[], str | Awaitable[str]]
"""A JWT, or what gives one each time a stream is opened."""

# Past this many bytes not yet written, `send_…` waits.
_OUTBOX_BYTES: Final = 1024 * 1024
# Past this many events not yet iterated over, the stream is not read on.
_INBOX_EVENTS: Final = 1024
# How long the end of `async with` waits for the last frames to go out.
_CLOSE_SECONDS: Final = 1.0


def connect(
    target: str, token: Token, *, credentials: grpc.ChannelCredentials | None = None
) -> "Connection":
    """A connection to the server, to be entered with `async with`.

    Args:
        target: the server, as gRPC names it: `host:port`.
        token: the app's JWT, or a function (it may be async) that gives one.
        credentials: TLS, as by `grpc.ssl_channel_credentials()`; None: plain text.
    """
    return Connection(target, token, credentials)


class Connection:
    """What `connect` gives.

    Iterating over it yields the events of the call. That stops after `leave`,
    and raises `Ended` when the connection ends otherwise. Leaving the `async
    with` block without `leave` looks to the peer like a lost connection.
    """

    def __init__(
        self, target: str, token: Token, credentials: grpc.ChannelCredentials | None
    ) -> None:
        self._target = target
        self._token = token
        self._credentials = credentials
        self._session = Session()
        self._room_id = ""
        self._left = False
        self._closing = False
        self._end: Ended | None = None
        self._replies: dict[int, asyncio.Future[pb.Frame]] = {}
        self._inbox: deque[Event] = deque()
        self._news = asyncio.Event()  # Iterating has something to look at.
        self._may_read = asyncio.Event()  # Not too much waits in the inbox.
        self._may_put = asyncio.Event()  # Not too much waits to be written.
        self._to_write = asyncio.Event()  # Something waits to be written.

    async def __aenter__(self) -> Self:
        token = self._token if isinstance(self._token, str) else self._token()
        if inspect.isawaitable(token):
            token = await token
        if not (token.isascii() and token.isprintable()):
            raise ended(
                grpc.StatusCode.UNAUTHENTICATED, "The token has characters that no header may have."
            )
        self._channel = open_channel(self._target, self._credentials)
        self._stream = Stream(self._channel, token)
        self._may_read.set()
        self._may_put.set()
        self._reader = asyncio.create_task(self._read(), name="dyad-read")
        self._writer = asyncio.create_task(self._write(), name="dyad-write")
        self._reader.add_done_callback(self._ended)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._closing = True
        try:
            if kind is None and self._end is None:
                self._to_write.set()
                self._may_read.set()
                await asyncio.wait({self._reader}, timeout=_CLOSE_SECONDS)
        finally:
            self._stream.cancel()
            self._reader.cancel()
            self._writer.cancel()
            await asyncio.gather(self._reader, self._writer, return_exceptions=True)
            await self._channel.close()

    async def create(self, *, resumable: bool = False) -> Room:
        """Create a room and enter it.

        Args:
            resumable: ask the server to hold the seat if the connection breaks.

        Raises:
            Refused: the server would not.
            Ended: the connection ended first.
        """
        return await self._enter("", resumable=resumable)

    async def join(self, room_id: str, *, resumable: bool = False) -> Room:
        """Enter a room that there is.

        Args:
            room_id: which one.
            resumable: ask the server to hold the seat if the connection breaks.

        Raises:
            Refused: there is no such room, or two are in it already.
            Ended: the connection ended first.
        """
        return await self._enter(room_id, resumable=resumable)

    async def leave(self) -> None:
        """Hang up; returns when the server knows.

        Raises:
            Refused: there is no room to leave.
            Ended: the connection ended first.
        """
        await self._ask(pb.Frame(room_id=self._room(), leave_room=pb.LeaveRoom()))

    async def send_offer(self, sdp: str) -> None:
        """Send the peer an SDP offer.

        Raises:
            Refused: not in a room. What the server refuses comes as an event.
            Ended: the connection is over.
        """
        description = pb.SessionDescription(sdp=sdp)
        await self._send(pb.Frame(room_id=self._room(), offer=description))

    async def send_answer(self, sdp: str) -> None:
        """Send the peer an SDP answer.

        Raises:
            Refused: not in a room. What the server refuses comes as an event.
            Ended: the connection is over.
        """
        description = pb.SessionDescription(sdp=sdp)
        await self._send(pb.Frame(room_id=self._room(), answer=description))

    async def send_candidate(self, candidate: Candidate) -> None:
        """Send the peer an ICE candidate; an empty one says that no more follow.

        Raises:
            Refused: not in a room. What the server refuses comes as an event.
            Ended: the connection is over.
        """
        ice = wire.ice_candidate(candidate)
        await self._send(pb.Frame(room_id=self._room(), ice_candidate=ice))

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        while not self._inbox:
            if self._left or (self._end is not None and self._closing):
                raise StopAsyncIteration
            if self._end is not None:
                raise self._end
            self._news.clear()
            await self._news.wait()
        event = self._inbox.popleft()
        if len(self._inbox) < _INBOX_EVENTS:
            self._may_read.set()
        return event

    def _room(self) -> str:
        if self._end is not None:
            raise self._end
        if not self._room_id:
            raise Refused(Refusal.NOT_IN_ROOM, "This connection is in no room.")
        return self._room_id

    async def _enter(self, room_id: str, *, resumable: bool) -> Room:
        join_room = pb.JoinRoom(resumable=resumable)
        return wire.room(await self._ask(pb.Frame(room_id=room_id, join_room=join_room)))

    async def _ask(self, frame: pb.Frame) -> pb.Frame:
        """Send a frame and await the server's answer to it."""
        seq = self._put(frame)
        reply: asyncio.Future[pb.Frame] = asyncio.get_running_loop().create_future()
        self._replies[seq] = reply
        # An answer is awaited even where nobody takes the events before it.
        self._may_read.set()
        try:
            answer = await reply
        finally:
            del self._replies[seq]
        if answer.HasField("error"):
            raise wire.refused(answer)
        return answer

    async def _send(self, frame: pb.Frame) -> None:
        """Send a frame; does not wait unless too much waits to be written."""
        self._put(frame)
        if self._session.waiting_bytes > _OUTBOX_BYTES:
            self._may_put.clear()
            await self._may_put.wait()
            if self._end is not None:
                raise self._end

    def _put(self, frame: pb.Frame) -> int:
        if self._end is not None:
            raise self._end
        seq = self._session.put(frame)
        self._to_write.set()
        return seq

    async def _write(self) -> None:
        """Write what waits, one message at a time, until the call is over."""
        while True:
            request = self._session.take()
            if request is not None:
                if not await self._stream.write(request):
                    self._may_read.set()
                    return
            elif self._closing:
                await self._stream.finish()
                return
            else:
                self._to_write.clear()
                await self._to_write.wait()
            if self._session.waiting_bytes <= _OUTBOX_BYTES:
                self._may_put.set()

    async def _read(self) -> None:
        """Take in what comes until the call is over; `_ended` makes that known."""
        while (response := await self._stream.read()) is not None:
            for frame in response.frames:
                if self._session.arrive(frame.seq):
                    self._take_in(frame)
            if len(self._inbox) >= _INBOX_EVENTS and not self._replies and not self._closing:
                self._may_read.clear()
                await self._may_read.wait()

    def _take_in(self, frame: pb.Frame) -> None:
        if frame.reply_to:
            # What an acknowledgement says holds even where nobody awaits it.
            if frame.HasField("join_room"):
                self._room_id = frame.room_id
                self._left = False
            elif frame.HasField("leave_room"):
                self._room_id = ""
                self._left = True
                self._news.set()
            reply = self._replies.get(frame.reply_to)
            if reply is not None and not reply.done():
                reply.set_result(frame)
                return
            if not frame.HasField("error"):
                return
        event = wire.event(frame)
        if event is not None:
            self._inbox.append(event)
            self._news.set()

    def _ended(self, reader: asyncio.Task[None]) -> None:
        """Make the end known to all who wait for something."""
        failure = None if reader.cancelled() else reader.exception()
        if isinstance(failure, Ended):
            self._end = failure
        elif failure is not None:
            self._end = ended(grpc.StatusCode.INTERNAL, "The client failed.")
            self._end.__cause__ = failure
        elif self._closing:
            self._end = Ended(grpc.StatusCode.CANCELLED, "The connection is closed.")
        else:
            self._end = ended(grpc.StatusCode.OK, "The server ended the call.")
        for reply in self._replies.values():
            if not reply.done():
                reply.set_exception(self._end)
        self._writer.cancel()
        self._news.set()
        self._may_put.set()
