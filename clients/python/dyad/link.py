"""Carries a session with the server over one stream after another."""

import asyncio
from collections.abc import Callable
from typing import Final, NoReturn

import grpc

from dyad import tokens, wire
from dyad.errors import Ended, ended
from dyad.reconnect import How, ReconnectPolicy, Try
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


class Link:
    """Carries a session, and reconnects it if possible.

    Attributes:
        session: the current session. It is a new one if the seat could not be resumed.
        connected: whether the session has a stream, as far as is known.
        leaving: whether the app waits for its `leave`.
        may_read: cleared by the owner while too many events wait for the app.
        may_put: cleared by the owner while it waits until `session` is not full.
    """

    def __init__(
        self,
        dial: Dial,
        token: Token,
        give_up_after: float,
        *,
        receive: Callable[[pb.Frame], None],
        lost: Callable[[], None],
        back: Callable[[pb.Frame], None],
        gone: Callable[[Ended], None],
    ) -> None:
        """Carry a session.

        Args:
            dial: opens a stream.
            token: the JWT for each stream, or a function that returns one.
            give_up_after: for how many seconds to try to reconnect.
            receive: called with each frame to act on.
            lost: called when the connection is lost, before the client reconnects.
            back: called after a reconnect, with the server's `join_room`.
            gone: called if the seat is lost while leaving, with the end of the connection.
        """
        self.session = Session()
        self.connected = True
        self.leaving = False
        self.may_read = asyncio.Event()
        self.may_put = asyncio.Event()
        self.may_read.set()
        self.may_put.set()
        self._dial = dial
        self._token = token
        self._policy = ReconnectPolicy(give_up_after, new_tokens=not isinstance(token, str))
        self._receive = receive
        self._lost = lost
        self._back = back
        self._gone = gone
        self._closing = False
        self._to_write = asyncio.Event()
        self._answer_due = False  # Whether to send something, frames or not.
        self._patience = asyncio.Timeout(None)

    def put(self, frame: pb.Frame) -> None:
        """Send a frame as soon as possible; `frame.seq` will be its number."""
        self.session.put(frame)
        self._to_write.set()

    def close(self) -> None:
        """Finish the stream after all waiting frames."""
        self._closing = True
        self._to_write.set()
        self.may_read.set()

    async def run(self, token: str) -> NoReturn:
        """Carry the session over one stream after another, until it ends.

        Args:
            token: for the first stream.

        Raises:
            Ended: how the session ended.
        """
        end = await self._carry(self.session, token)
        while True:
            if self.leaving and end.final:
                end = await self._start_over(end)
                continue
            if self._closing or not self.session.resume_token:
                raise end
            progress = self.session.acknowledged + self.session.received
            again: Try | None = self._policy.broke(end, progress=progress, now=_now())
            self._disconnected()
            while again is not None:
                await asyncio.sleep(again.wait)
                end = await self._try(again.how)
                if self.connected:
                    break
                again = self._policy.failed(again.how, end, leaving=self.leaving, now=_now())
            else:
                end = await self._start_over(end)

    async def _start_over(self, end: Ended) -> Ended:
        """After the app has left, carry a new session once it enters another room.

        Args:
            end: how the last stream ended.

        Returns:
            How the new stream ended, or `end` if there was none.
        """
        self.session = Session()
        self.connected = True
        self._gone(end)
        self._to_write.clear()
        await self._to_write.wait()
        if self._closing:
            return end
        try:
            token = await self._next_token()
        except TimeoutError:
            raise ended(grpc.StatusCode.UNAVAILABLE, "No token came in time.") from None
        return await self._carry(self.session, token)

    async def _try(self, how: How) -> Ended:
        """Try once to reconnect. Return how the stream ended."""
        if how is How.RESUME:
            session = self.session
            session.cut()
        else:
            session = Session()
            join_room = pb.JoinRoom(resumable=True)
            session.put(pb.Frame(room_id=self.session.room_id, join_room=join_room))
        deadline = self._policy.deadline
        try:
            async with asyncio.timeout_at(deadline) as self._patience:
                token = await self._next_token()
                self._patience.reschedule(min(deadline, _now() + _TRY_SECONDS))
                return await self._carry(session, token)
        except TimeoutError:
            return ended(grpc.StatusCode.UNAVAILABLE, "No answer came in time.")
        except Ended as end:
            return end

    async def _next_token(self) -> str:
        try:
            return await tokens.current(self._token)
        except (Ended, TimeoutError):
            raise
        except Exception as failure:
            # The app may need the same network, which is down.
            raise ended(grpc.StatusCode.UNAVAILABLE, "The app could not get a token.") from failure

    async def _carry(self, session: Session, token: str) -> Ended:
        """Carry `session` on one stream. Return how the stream ended."""
        self._answer_due = False
        async with self._dial(token) as stream:
            writing = asyncio.create_task(self._write(stream, session), name="dyad-write")
            try:
                await self._read(stream, session)
            except Ended as end:
                return end
            finally:
                writing.cancel()
                await asyncio.wait({writing})
        return ended(grpc.StatusCode.OK, "The server ended the stream.")

    async def _write(self, stream: Stream, session: Session) -> None:
        while True:
            self._to_write.clear()
            request = session.take()
            if request is None and self._answer_due and self.connected:
                request = pb.SignalRequest()
            if request is not None:
                if not await stream.write(request):
                    # `_read` must notice the end, even if many events wait.
                    self.may_read.set()
                    return
                # This message has also answered a heartbeat that arrived during the write.
                self._answer_due = False
                self._note_space()
            elif self._closing:
                await stream.finish()
                return
            else:
                await self._to_write.wait()

    async def _read(self, stream: Stream, session: Session) -> None:
        while (response := await _hear(stream)) is not None:
            if not response.frames:
                self._answer_due = True
            for frame in response.frames:
                if session.arrive(frame):
                    self._arrived(session, frame)
            self._to_write.set()
            self._note_space()
            while not (self._closing or self.may_read.is_set()):
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
            self._receive(frame)
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
        self._back(frame)

    def _disconnected(self) -> None:
        self.connected = False
        self._lost()

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
