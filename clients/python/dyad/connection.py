"""A participant's connection to the server: enter a room, negotiate, hang up."""

import asyncio
from collections import deque
from functools import partial
from types import TracebackType
from typing import Final, NoReturn, Self

import grpc

from dyad import tokens, wire
from dyad.errors import Ended, Refusal, Refused
from dyad.events import Candidate, Event, Reconnected, Reconnecting, Room
from dyad.link import Link
from dyad.stream import open_stream
from dyad.tokens import Token
from dyad.v1 import signaling_pb2 as pb

# Past this many events not yet iterated over, the stream is not read on.
_INBOX_EVENTS: Final = 1024
# How long the end of `async with` waits for the last frames to go out.
_CLOSE_SECONDS: Final = 1.0
_GIVE_UP_SECONDS: Final = 60.0


def connect(
    target: str,
    token: Token,
    *,
    credentials: grpc.ChannelCredentials | None = None,
    give_up_after: float = _GIVE_UP_SECONDS,
) -> "Connection":
    """A connection to the server, to be entered with `async with`.

    Args:
        target: the server, as gRPC names it: `host:port`.
        token: the app's JWT, or a function (it may be async) that gives one;
            it is asked before each try to come back.
        credentials: TLS, as by `grpc.ssl_channel_credentials()`; None: plain text.
        give_up_after: how many seconds to try to come back after a loss.
    """
    return Connection(target, token, credentials, give_up_after)


class Connection:
    """What `connect` gives.

    Iterating over it yields the events of the call. That stops after `leave`,
    and raises `Ended` when the connection ends otherwise. In a resumable room
    a connection that breaks is no end: it comes back by itself, and says so by
    `Reconnecting` and `Reconnected`.

    Leaving the `async with` block without `leave` looks to the peer like a
    lost connection: a resumable room holds the seat for the server's grace
    time, and only then the peer is told.
    """

    def __init__(
        self,
        target: str,
        token: Token,
        credentials: grpc.ChannelCredentials | None,
        give_up_after: float,
    ) -> None:
        self._token = token
        self._link = Link(
            partial(open_stream, target, credentials),
            token,
            give_up_after,
            take_in=self._take_in,
            lost=self._lost,
            back=self._back,
            gone=self._gone,
        )
        self._left = False
        self._closing = False
        self._end: Ended | None = None
        # What awaits an answer, by its number.
        self._asked: dict[int, tuple[pb.Frame, asyncio.Future[pb.Frame]]] = {}
        self._inbox: deque[Event] = deque()
        self._news = asyncio.Event()  # Iterating has something to look at.

    async def __aenter__(self) -> Self:
        token = await tokens.current(self._token)
        self._running = asyncio.create_task(self._link.run(token), name="dyad-link")
        self._running.add_done_callback(self._over)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._closing = True
        try:
            if kind is None and self._link.connected:
                self._link.close()
                await asyncio.wait({self._running}, timeout=_CLOSE_SECONDS)
        finally:
            self._running.cancel()
            await asyncio.wait({self._running})

    async def create(self, *, resumable: bool = True) -> Room:
        """Create a room and enter it.

        Args:
            resumable: have the seat held if the connection breaks, and come back to it.

        Raises:
            Refused: the server would not.
            Ended: the connection ended first.
        """
        return await self._enter("", resumable=resumable)

    async def join(self, room_id: str, *, resumable: bool = True) -> Room:
        """Enter a room that there is.

        Args:
            room_id: which one.
            resumable: have the seat held if the connection breaks, and come back to it.

        Raises:
            Refused: there is no such room, or two are in it already.
            Ended: the connection ended first.
        """
        return await self._enter(room_id, resumable=resumable)

    async def leave(self) -> None:
        """Hang up; returns when the server knows, or has let the seat go by itself.

        The connection may enter another room.

        Raises:
            Refused: there is no room to leave.
            Ended: the connection ended first.
        """
        frame = pb.Frame(room_id=self._room(), leave_room=pb.LeaveRoom())
        self._link.leaving = True
        try:
            await self._ask(frame)
        finally:
            self._link.leaving = False

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
        """Send the peer an ICE candidate; an empty one means that all were sent.

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
        self._note_inbox()
        return event

    def _room(self) -> str:
        if self._end is not None:
            raise self._end
        if not self._link.session.room_id:
            raise Refused(Refusal.NOT_IN_ROOM, "This connection is in no room.")
        return self._link.session.room_id

    async def _enter(self, room_id: str, *, resumable: bool) -> Room:
        join_room = pb.JoinRoom(resumable=resumable)
        return wire.room(await self._ask(pb.Frame(room_id=room_id, join_room=join_room)))

    async def _ask(self, frame: pb.Frame) -> pb.Frame:
        """Send a frame and await the server's answer to it."""
        self._put(frame)
        reply: asyncio.Future[pb.Frame] = asyncio.get_running_loop().create_future()
        self._asked[frame.seq] = frame, reply
        self._note_inbox()
        try:
            answer = await reply
        finally:
            _, latest = self._asked.get(frame.seq, (None, None))
            if latest is reply:
                del self._asked[frame.seq]
            self._note_inbox()
        if answer.HasField("error"):
            raise wire.refused(answer)
        return answer

    async def _send(self, frame: pb.Frame) -> None:
        """Send a frame; waits only while too much is under way."""
        self._put(frame)
        while self._end is None and self._link.session.full:
            self._link.may_put.clear()
            await self._link.may_put.wait()
        if self._end is not None:
            raise self._end

    def _put(self, frame: pb.Frame) -> None:
        if self._end is not None:
            raise self._end
        self._link.put(frame)

    def _tell(self, event: Event) -> None:
        self._inbox.append(event)
        self._news.set()
        self._note_inbox()

    def _note_inbox(self) -> None:
        """Read on, or not; an answer is awaited even where nobody takes the events before it."""
        if len(self._inbox) < _INBOX_EVENTS or self._asked:
            self._link.may_read.set()
        else:
            self._link.may_read.clear()

    def _take_in(self, frame: pb.Frame) -> None:
        if frame.reply_to:
            # What an acknowledgement says holds even where nobody awaits it.
            if not frame.HasField("error"):
                self._left = frame.HasField("leave_room")
                self._news.set()
            _, reply = self._asked.get(frame.reply_to, (None, None))
            if reply is not None and not reply.done():
                reply.set_result(frame)
                return
            if not frame.HasField("error"):
                return
        event = wire.event(frame)
        if event is not None:
            self._tell(event)

    def _lost(self) -> None:
        self._tell(Reconnecting())

    def _back(self, frame: pb.Frame) -> None:
        resumed = frame.join_room.resumed
        if not resumed:
            # A new session knows nothing of what awaits an answer: ask again.
            asked, self._asked = self._asked, {}
            for again, reply in asked.values():
                self._link.put(again)
                self._asked[again.seq] = again, reply
        self._tell(Reconnected(wire.room(frame), resumed))

    def _gone(self, end: Ended) -> None:
        """Take note that the seat that was to be left is gone."""
        self._left = True
        asked, self._asked = self._asked, {}
        for frame, reply in asked.values():
            if reply.done():
                continue
            if frame.HasField("leave_room"):
                reply.set_result(frame)
            else:
                reply.set_exception(end)
        self._news.set()
        self._link.may_put.set()

    def _over(self, running: asyncio.Task[NoReturn]) -> None:
        """Make the end known to all who wait for something."""
        failure = None if running.cancelled() else running.exception()
        if failure is not None and not isinstance(failure, Ended):
            self._end = Ended(grpc.StatusCode.INTERNAL, "The client failed.")
            self._end.__cause__ = failure
        elif failure is None or self._closing:
            self._end = Ended(grpc.StatusCode.CANCELLED, "The connection is closed.")
        else:
            self._end = failure
        for _, reply in self._asked.values():
            if not reply.done():
                reply.set_exception(self._end)
        self._news.set()
        self._link.may_put.set()
