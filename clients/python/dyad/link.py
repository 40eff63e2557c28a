"""Carries a session with the server over one stream after another."""

import asyncio
import contextlib
import logging
from typing import Final, Protocol

import grpc

from dyad import tokens, wire
from dyad.errors import Ended, as_cut, ended
from dyad.limits import Pace
from dyad.reconnect import How, ReconnectPolicy, Try
from dyad.routing import routing_key
from dyad.session import Session
from dyad.stream import Dial, Stream
from dyad.tokens import Token
from dyad.v1 import signaling_pb2 as pb

# How long one attempt to reconnect may take, after the app has returned a token.
_TRY_SECONDS: Final = 8.0
# The server sends something at least every 10 s. Pings do not show that a server is
# gone if a proxy answers them.
_SILENCE_SECONDS: Final = 25.0
# How often to send something while the server's heartbeats wait unread.
_UNREAD_SECONDS: Final = 10.0

_LOG: Final = logging.getLogger("dyad")


class Owner(Protocol):
    """Acts on what a link reports."""

    def receive(self, frame: pb.Frame) -> None:
        """Act on a frame."""

    def lost(self, end: Ended) -> None:
        """Note that the connection is lost, and that the link tries to reconnect."""

    def trying(self, attempt: int, end: Ended) -> None:
        """Note that an attempt to reconnect follows. `end` is why the last one failed."""

    def back(self, frame: pb.Frame) -> None:
        """Note that the link has reconnected; `frame` is the server's `join_room`."""


class Link:
    """Carries a session, and reconnects it if possible.

    Attributes:
        session: the current session. It is a new one if the seat could not be resumed.
        connected: whether the session has a stream, as far as is known.
        known: whether the server may know of the session.
        leaving: whether the app hangs up.
        stream_id: names the latest stream in the server's log; empty before the first.
        may_read: cleared by the owner while too many events wait for the app.
        may_put: cleared by the owner while it waits until `session` is not full.
    """

    def __init__(
        self, dial: Dial, token: Token, give_up_after: float, pace: Pace, owner: Owner
    ) -> None:
        """Carry a session at this `pace`, for `owner`. `dial` opens each stream."""
        self.connected = True
        self.known = False
        self.leaving = False
        self.stream_id = ""
        self.may_read = asyncio.Event()
        self.may_put = asyncio.Event()
        self.may_read.set()
        self.may_put.set()
        self._dial = dial
        self._token = token
        self._policy = ReconnectPolicy(give_up_after, new_tokens=not isinstance(token, str))
        self._pace = pace
        self._owner = owner
        self.session = self._new_session()
        self._stream: Stream | None = None
        self._over = False
        self._flushing = False
        self._hurry = asyncio.Event()
        self._to_write = asyncio.Event()
        self._answer_due = False  # Whether to send something, frames or not.
        self._patience = asyncio.Timeout(None)

    def put(self, frame: pb.Frame) -> None:
        """Send a frame as soon as possible; `frame.seq` will be its number."""
        self.session.put(frame)
        self._to_write.set()

    def finish(self) -> None:
        """End the session: the server has nothing more to say about it."""
        self._over = True

    def flush(self) -> None:
        """Finish the stream after all waiting frames."""
        self._flushing = True
        self._to_write.set()
        self.may_read.set()

    def hurry(self) -> None:
        """If disconnected, make the next attempt at once."""
        if not self.connected:
            self._policy.start_over()
            self._hurry.set()

    def change_network(self) -> None:
        """Reconnect at once over another network, if the session can be resumed."""
        if self.session.resume_token:
            self._policy.start_over()
            self._hurry.set()
            if self._stream is not None:
                self._stream.cancel("The app said that the network changed.")

    async def run(self, room_id: str) -> None:
        """Carry the session over one stream after another, until the app has left.

        Args:
            room_id: the room that it enters, or empty if it creates one.

        Raises:
            Ended: how the session ended otherwise.
            Exception: the app's token function raised it before the first stream.
        """
        end = await self._carry(self.session, await tokens.current(self._token), room_id)
        while not self._over:
            if self.session.room_id:
                end = as_cut(end)
            if self.leaving and (end.final or not self.session.resume_token):
                return  # The seat is released, so the user has left.
            if self._flushing or not self.session.resume_token:
                raise end
            end = await self._reconnect(end)

    async def _reconnect(self, end: Ended) -> Ended:
        """Reconnect after the connection ended like this. Return how the new one ended."""
        progress = self.session.acknowledged + self.session.received
        again: Try | None = self._policy.broke(end, progress=progress, now=_now())
        self.connected = False
        self._owner.lost(end)
        attempt = 0
        while again is not None:
            attempt += 1
            self._owner.trying(attempt, end)
            await self._wait(again.wait)
            end = as_cut(await self._try(again.how))
            if self.connected:
                return end
            _LOG.debug("attempt %d to reconnect failed: %s", attempt, end)
            again = self._policy.failed(again.how, end, leaving=self.leaving, now=_now())
        self._over = True  # The seat is released, so the user has left.
        return end

    async def _wait(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._hurry.wait()
        self._hurry.clear()

    async def _try(self, how: How) -> Ended:
        """Try once to reconnect. Return how the stream ended."""
        if how is How.RESUME:
            session = self.session
            session.cut()
        else:
            session = self._new_session()
            join_room = pb.JoinRoom(resumable=True)
            session.put(pb.Frame(room_id=self.session.room_id, join_room=join_room))
        deadline = self._policy.deadline
        try:
            async with asyncio.timeout_at(deadline) as self._patience:
                token = await self._next_token()
                self._patience.reschedule(min(deadline, _now() + _TRY_SECONDS))
                return await self._carry(session, token, self.session.room_id)
        except TimeoutError:
            return ended(grpc.StatusCode.UNAVAILABLE, "No answer came in time.")
        except Ended as end:
            return end

    async def _next_token(self) -> str:
        try:
            return await tokens.current(self._token)
        except Ended:
            raise
        except Exception as failure:
            # The app may need the same network, which is down.
            sentence = "The app's token function failed: see the cause of this error."
            raise ended(grpc.StatusCode.UNAVAILABLE, sentence) from failure

    def _new_session(self) -> Session:
        return Session(
            window_frames=self._pace.window_frames,
            window_bytes=self._pace.window_bytes,
            message_bytes=self._pace.message_bytes,
            message_frames=self._pace.message_frames,
        )

    async def _carry(self, session: Session, token: str, room_id: str) -> Ended:
        """Carry `session` on one stream. Return how the stream ended."""
        self._answer_due = False
        async with self._dial(token, routing_key(room_id, token)) as stream:
            self._stream = stream
            writing = asyncio.create_task(self._write(stream, session), name="dyad-write")
            try:
                await self._read(stream, session)
            except Ended as end:
                return end
            finally:
                writing.cancel()
                await asyncio.wait({writing})
                self._stream = None
                self.stream_id = stream.id or self.stream_id
        return ended(grpc.StatusCode.OK, "The server ended the stream.", foreign=True)

    async def _write(self, stream: Stream, session: Session) -> None:
        await stream.opened()
        self.known = True
        while True:
            self._to_write.clear()
            request = session.take()
            if request is None and self._answer_due and self.connected:
                request = pb.SignalRequest()
            if request is not None:
                await self._keep_pace(request)
                if not await stream.write(request):
                    # `_read` must notice the end, even if many events wait.
                    self.may_read.set()
                    return
                # This message has also answered a heartbeat that arrived during the write.
                self._answer_due = False
                self._note_space()
            elif self._flushing:
                await stream.finish()
                return
            else:
                await self._to_write.wait()

    async def _keep_pace(self, request: pb.SignalRequest) -> None:
        """Wait until the server accepts the message. Heartbeats and acknowledgements never wait."""
        frames, size = len(request.frames), request.ByteSize()
        if any(frame.seq for frame in request.frames):
            await asyncio.sleep(self._pace.wait(frames, size, _now()))
        self._pace.spend(frames, size, _now())

    async def _read(self, stream: Stream, session: Session) -> None:
        while not self._over and (response := await _hear(stream)) is not None:
            self.stream_id = stream.id or self.stream_id
            if not response.frames:
                self._answer_due = True
            for frame in response.frames:
                if session.arrive(frame):
                    self._arrived(session, frame)
            self._to_write.set()
            self._note_space()
            while not (self._flushing or self.may_read.is_set()):
                await self._pause()

    async def _pause(self) -> None:
        """Wait until the app takes events. Heartbeats wait unread too: send in their place."""
        try:
            async with asyncio.timeout(_UNREAD_SECONDS):
                await self.may_read.wait()
        except TimeoutError:
            self._answer_due = True
            self._to_write.set()

    def _arrived(self, session: Session, frame: pb.Frame) -> None:
        if self.connected:
            self._owner.receive(frame)
            return
        if frame.HasField("error"):
            refused = wire.refused(frame)
            raise ended(
                grpc.StatusCode.ABORTED, f"The seat is lost, and joining again failed: {refused}"
            ) from refused
        self.session = session
        self.connected = True
        self._patience.reschedule(None)
        self._policy.connected(now=_now())
        self._owner.back(frame)

    def _note_space(self) -> None:
        if not self.session.full:
            self.may_put.set()


async def _hear(stream: Stream) -> pb.SignalResponse | None:
    """Return the next message, or None if the server ended the stream with OK.

    Raises:
        Ended: the stream ended in another way, or the server has fallen silent.
    """
    try:
        async with asyncio.timeout(_SILENCE_SECONDS):
            return await stream.read()
    except TimeoutError:
        sentence = f"The server sent nothing for {_SILENCE_SECONDS:.0f} s."
        raise ended(grpc.StatusCode.UNAVAILABLE, sentence) from None


def _now() -> float:
    return asyncio.get_running_loop().time()
