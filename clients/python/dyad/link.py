"""What keeps a session with the server, over one stream after another."""

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

# How long one attempt to reconnect waits for an answer.
_TRY_SECONDS: Final = 8.0
# The server sends something at least every 10 s. A proxy that answers pings for
# a server that is gone does not.
_SILENCE_SECONDS: Final = 25.0
# How often to show that this side is there while what the server sends waits unread.
_BEAT_SECONDS: Final = 10.0


class Link:
    """Carries a session, and reconnects it if possible.

    Attributes:
        session: the current session; a new one if the seat could not be resumed.
        connected: whether the session has a stream, as far as is known.
        leaving: whether the app only waits to leave.
        may_read: cleared by the owner while too much waits for the app.
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
            token: the JWT for it.
            give_up_after: for how many seconds to try to reconnect.
            receive: called with each frame to act on.
            lost: called when the connection is lost and reconnecting begins.
            back: called with the server's `join_room` after a reconnect.
            gone: called with the end of a connection whose seat is gone while leaving.
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
        self._beat_due = False  # The server waits to hear that this side is there.
        self._patience = asyncio.Timeout(None)

    def put(self, frame: pb.Frame) -> None:
        """Send a frame as soon as possible; `frame.seq` will be its number."""
        self.session.put(frame)
        self._to_write.set()

    def close(self) -> None:
        """Finish the stream once all waiting frames are written."""
        self._closing = True
        self._to_write.set()
        self.may_read.set()

    async def run(self, token: str) -> NoReturn:
        """Be on one stream after another, on the first with `token`.

        Raises:
            Ended: the last end.
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
        """Be on a new stream once the app enters another room, after it left the one before.

        Args:
            end: of the stream before.

        Returns:
            The end of the new stream, or `end` if there is none.
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
        """Try once to reconnect; return how the stream ended."""
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
            # The function may need the same network that is down.
            raise ended(
                grpc.StatusCode.UNAVAILABLE, "The function that gives the token failed."
            ) from failure

    async def _carry(self, session: Session, token: str) -> Ended:
        """Carry `session` on one stream; return how that ended."""
        self._beat_due = False
        async with self._dial(token) as stream:
            writing = asyncio.create_task(self._write(stream, session), name="dyad-write")
            try:
                await self._read(stream, session)
            except Ended as end:
                return end
            finally:
                writing.cancel()
                await asyncio.wait({writing})
        return ended(grpc.StatusCode.OK, "The server ended the call.")

    async def _write(self, stream: Stream, session: Session) -> None:
        while True:
            self._to_write.clear()
            request = session.take()
            if request is None and self._beat_due and self.connected:
                request = pb.SignalRequest()
            if request is not None:
                if not await stream.write(request):
                    # The reader must notice the end, even if many events wait.
                    self.may_read.set()
                    return
                # A write under way when a heartbeat came answers it.
                self._beat_due = False
                self._note_space()
            elif self._closing:
                await stream.finish()
                return
            else:
                await self._to_write.wait()

    async def _read(self, stream: Stream, session: Session) -> None:
        while (response := await _hear(stream)) is not None:
            if not response.frames:
                self._beat_due = True
            for frame in response.frames:
                if session.arrive(frame):
                    self._arrived(session, frame)
            self._to_write.set()
            self._note_space()
            while not (self._closing or self.may_read.is_set()):
                await self._pause()

    async def _pause(self) -> None:
        """Leave the server's messages unread for a while; its heartbeats are among them."""
        try:
            async with asyncio.timeout(_BEAT_SECONDS):
                await self.may_read.wait()
        except TimeoutError:
            self._beat_due = True
            self._to_write.set()

    def _arrived(self, session: Session, frame: pb.Frame) -> None:
        if self.connected:
            self._receive(frame)
            return
        if frame.HasField("error"):
            refused = wire.refused(frame)
            raise ended(
                grpc.StatusCode.ABORTED, f"The seat is lost and the room is closed: {refused}"
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
    """The next message; None: the server ended the stream with OK.

    Raises:
        Ended: it ended otherwise, or the server has fallen silent.
    """
    try:
        async with asyncio.timeout(_SILENCE_SECONDS):
            return await stream.read()
    except TimeoutError:
        sentence = f"Nothing came from the server for {_SILENCE_SECONDS:.0f} s."
        raise ended(grpc.StatusCode.UNAVAILABLE, sentence) from None


def _now() -> float:
    return asyncio.get_running_loop().time()
