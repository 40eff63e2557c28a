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

# Reading from the stream pauses while this many events wait for the app.
_INBOX_EVENTS: Final = 1024
# How long leaving `async with` waits until the last frames are written.
_CLOSE_SECONDS: Final = 1.0
_GIVE_UP_SECONDS: Final = 60.0


def connect(
    target: str,
    token: Token,
    *,
    credentials: grpc.ChannelCredentials | None = None,
    give_up_after: float = _GIVE_UP_SECONDS,
) -> "Connection":
    """Return a connection to the server. Open it with `async with`.

    Args:
        target: the server, as gRPC names it: `host:port`.
        token: the app's JWT, or a function (it may be async) that returns one.
            The client calls it before each attempt to connect.
        credentials: for TLS, such as `grpc.ssl_channel_credentials()`. None means
            plain text.
        give_up_after: for how many seconds to try to reconnect after a loss.
    """
    return Connection(target, token, credentials, give_up_after)


class Connection:
    """A connection to the server, as returned by `connect`.

    Iterating over it yields the events of the call. The iteration stops after
    `leave`, and raises `Ended` if the connection ends in any other way. If the
    network connection breaks and the seat is resumable, the client reconnects by
    itself. `Reconnecting` and `Reconnected` report that.

    To the peer, leaving the `async with` block without `leave` looks like a lost
    connection: a resumable seat stays reserved for the server's grace time, and
    the peer is told only after that.
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
            receive=self._receive,
            lost=self._lost,
            back=self._back,
            gone=self._gone,
        )
        self._left = False
        self._closing = False
        self._end: Ended | None = None
        # The frames that wait for an answer, by number.
        self._asked: dict[int, tuple[pb.Frame, asyncio.Future[pb.Frame]]] = {}
        self._inbox: deque[Event] = deque()
        self._news = asyncio.Event()  # Wakes the iteration.

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
            resumable: keep the seat reserved if the connection breaks, and resume it.

        Raises:
            Refused: the server refused it.
            Ended: the connection ended first.
        """
        return await self._enter("", resumable=resumable)

    async def join(self, room_id: str, *, resumable: bool = True) -> Room:
        """Enter an existing room.

        Args:
            room_id: the room's UUID.
            resumable: keep the seat reserved if the connection breaks, and resume it.

        Raises:
            Refused: the room does not exist or is full.
            Ended: the connection ended first.
        """
        return await self._enter(room_id, resumable=resumable)

    async def leave(self) -> None:
        """Hang up. Returns when the server has acknowledged that, or has released the seat.

        The connection may then enter another room.

        Raises:
            Refused: this connection is in no room.
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
            Refused: not in a room. A refusal by the server arrives as an event.
            Ended: the connection is over.
        """
        await self._send(pb.Frame(offer=pb.SessionDescription(sdp=sdp)))

    async def send_answer(self, sdp: str) -> None:
        """Send the peer an SDP answer.

        Raises:
            Refused: not in a room. A refusal by the server arrives as an event.
            Ended: the connection is over.
        """
        await self._send(pb.Frame(answer=pb.SessionDescription(sdp=sdp)))

    async def send_candidate(self, candidate: Candidate) -> None:
        """Send the peer an ICE candidate. An empty candidate marks their end.

        Raises:
            Refused: not in a room. A refusal by the server arrives as an event.
            Ended: the connection is over.
        """
        await self._send(pb.Frame(ice_candidate=wire.ice_candidate(candidate)))

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
        if self._end is not None:
            raise self._end
        self._link.put(frame)
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
        """Send a frame to the peer. Waits only while too much is unacknowledged."""
        frame.room_id = self._room()
        self._link.put(frame)
        while self._end is None and self._link.session.full:
            self._link.may_put.clear()
            await self._link.may_put.wait()
        if self._end is not None:
            raise self._end

    def _tell(self, event: Event) -> None:
        self._inbox.append(event)
        self._news.set()
        self._note_inbox()

    def _note_inbox(self) -> None:
        """Pause or continue reading. Never pause while a method waits for an answer."""
        if len(self._inbox) < _INBOX_EVENTS or self._asked:
            self._link.may_read.set()
        else:
            self._link.may_read.clear()

    def _receive(self, frame: pb.Frame) -> None:
        if frame.reply_to:
            # The answer counts even if the method no longer waits.
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
            # The new session does not know the frames that wait for an answer: send them again.
            asked, self._asked = self._asked, {}
            for again, reply in asked.values():
                self._link.put(again)
                self._asked[again.seq] = again, reply
        self._tell(Reconnected(wire.room(frame), resumed))

    def _gone(self, end: Ended) -> None:
        """Let a pending `leave` succeed, because the seat is gone."""
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
        """Report the end to every method that waits."""
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
