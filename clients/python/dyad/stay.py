"""One participant's stay in one room: from `create` or `join` until it has left."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

import grpc

from dyad import wire
from dyad.errors import Ended, Refusal, Refused, TooLarge
from dyad.events import Event, Reconnected, Reconnecting, Room
from dyad.limits import Pace
from dyad.link import Link
from dyad.state import Phase, State
from dyad.stream import Dial
from dyad.tokens import Token
from dyad.v1 import signaling_pb2 as pb

# Reading from the stream pauses while this many events wait for the app.
_INBOX_EVENTS: Final = 1024
# How long a cancelled `create` or `join` tries to leave the room again.
_LEAVE_SECONDS: Final = 5.0
# The most bytes that `seq` and `ack` add to a frame.
_NUMBERS_BYTES: Final = 22

_LOG: Final = logging.getLogger("dyad")


class Stay:
    """Enters a room, sends and receives there, and leaves it.

    Attributes:
        room_id: the room, once it is entered.
        leaving: whether the app hangs up, or has done so.
        over: whether nothing of the stay goes on.
        end: how the stay ended, if not by leaving.
    """

    def __init__(
        self,
        dial: Dial,
        token: Token,
        *,
        give_up_after: float,
        pace: Pace,
        frame_bytes: int,
        changed: Callable[["Stay", State], None],
    ) -> None:
        """Prepare a stay.

        Args:
            dial: opens a stream.
            token: the JWT for each stream, or a function that returns one.
            give_up_after: for how many seconds to try to reconnect.
            pace: how fast to send.
            frame_bytes: the most bytes in a frame.
            changed: called with each new state.
        """
        self.room_id = ""
        self.leaving = False
        self.over = False
        self.end: Ended | None = None
        self._link = Link(dial, token, give_up_after, pace, self)
        self._frame_bytes = frame_bytes
        self._changed = changed
        self._entered: asyncio.Future[Room] = asyncio.get_running_loop().create_future()
        self._asked = pb.Frame()  # The last `join_room` or `leave_room`.
        self._refused: Refused | None = None
        self._detached = False
        self._inbox: deque[Event] = deque()
        self._news = asyncio.Event()  # Wakes `next_event`.
        self._done = asyncio.Event()

    @property
    def stream_id(self) -> str:
        """See `Link`."""
        return self._link.stream_id

    async def enter(self, room_id: str, *, resumable: bool) -> Room:
        """Create a room, or join `room_id`.

        Raises:
            Refused: the server refused it.
            Ended: the connection ended first.
            Exception: the app's token function raised it.
        """
        self._ask(pb.Frame(room_id=room_id, join_room=pb.JoinRoom(resumable=resumable)))
        self._running = asyncio.create_task(self._link.run(room_id), name="dyad-link")
        self._running.add_done_callback(self._over)
        self._changed(self, State(Phase.CONNECTING))
        try:
            return await self._entered
        except asyncio.CancelledError:
            self.hang_up()
            asyncio.get_running_loop().call_later(_LEAVE_SECONDS, self._running.cancel)
            raise

    def hang_up(self) -> None:
        """Begin to leave. Events that have not been read are dropped."""
        if self.leaving or self.over:
            return
        self._link.leaving = True
        self._stop_telling()
        if self.room_id:
            self._leave()
            self._link.hurry()
        elif not self._link.known:
            self.cancel()
        # Otherwise the server may be about to let this user in: `receive` then leaves.

    def let_go(self) -> None:
        """Begin to end the connection without leaving: the seat stays reserved."""
        if not self.room_id:
            self.hang_up()
        if self.leaving or self.over:
            return
        self._detached = True
        self._stop_telling()
        if self._link.connected:
            self._link.flush()
        else:
            self.cancel()

    def cancel(self) -> None:
        """End the connection at once."""
        self._running.cancel()

    async def ended(self) -> None:
        """Wait until nothing of the stay goes on. Never raises how it ended."""
        await self._done.wait()

    def change_network(self) -> None:
        """Reconnect at once over another network."""
        self._link.change_network()

    async def send(self, frame: pb.Frame) -> None:
        """Send a frame to the peer. Waits only while too much is unacknowledged.

        Raises:
            TooLarge: the frame is larger than the server accepts.
            Refused: the room is not entered, or left.
            Ended: the stay is over.
        """
        self._check()
        if self.leaving or not self.room_id:
            raise Refused(Refusal.NOT_IN_ROOM, "This connection is in no room.")
        frame.room_id = self.room_id
        size = frame.ByteSize() + _NUMBERS_BYTES
        if size > self._frame_bytes:
            raise TooLarge(size, self._frame_bytes)
        self._link.put(frame)
        while self.end is None and not self.leaving and self._link.session.full:
            self._link.may_put.clear()
            await self._link.may_put.wait()
        self._check()

    async def next_event(self) -> Event | None:
        """Return the next event, or None after the app has left.

        Raises:
            Ended: the stay ended in another way.
        """
        while not self._inbox:
            if not self.leaving:
                self._check()
            if self.leaving or self.over:
                return None
            self._news.clear()
            await self._news.wait()
        event = self._inbox.popleft()
        self._note_inbox()
        return event

    def _check(self) -> None:
        if self.end is not None:
            # It may be raised many times, and would keep a traceback of each.
            raise self.end.with_traceback(None)

    def receive(self, frame: pb.Frame) -> None:
        """Act on a frame of the server."""
        kind = frame.WhichOneof("event")
        if not frame.reply_to or frame.reply_to != self._asked.seq:
            if (event := wire.event(frame)) is not None:
                self._tell(event)
        elif kind == "join_room":
            self._seated(wire.room(frame))
        else:
            # It has left, or the server did not let it in.
            self._refused = wire.refused(frame) if kind == "error" else None
            self._link.finish()

    def lost(self, end: Ended) -> None:
        """Tell the app that the connection broke."""
        _LOG.warning("the connection broke, reconnecting: %s", end)
        self._tell(Reconnecting(self.room_id))

    def trying(self, attempt: int, end: Ended) -> None:
        """Tell the app of an attempt to reconnect."""
        self._changed(self, State(Phase.RECONNECTING, attempt, end))

    def back(self, frame: pb.Frame) -> None:
        """Tell the app that it is connected again."""
        resumed = frame.join_room.resumed
        _LOG.info("reconnected, %s", "nothing was lost" if resumed else "in a new session")
        if self.leaving and not resumed:
            # The new session does not know the `leave_room` of the one before.
            self._leave()
        self._changed(self, State(Phase.CONNECTED))
        self._tell(Reconnected(wire.room(frame), resumed))

    def _seated(self, room: Room) -> None:
        self.room_id = room.room_id
        _LOG.info("entered a room")
        if self.leaving:
            self._leave()
            return
        self._changed(self, State(Phase.CONNECTED))
        if not self._entered.done():
            self._entered.set_result(room)

    def _leave(self) -> None:
        self._ask(pb.Frame(room_id=self.room_id, leave_room=pb.LeaveRoom()))

    def _ask(self, frame: pb.Frame) -> None:
        self._link.put(frame)
        self._asked = frame

    def _stop_telling(self) -> None:
        self.leaving = True
        self._inbox.clear()
        self._news.set()
        self._link.may_read.set()
        self._link.may_put.set()

    def _tell(self, event: Event) -> None:
        if not self.leaving:
            self._inbox.append(event)
            self._news.set()
            self._note_inbox()

    def _note_inbox(self) -> None:
        """Pause or continue reading."""
        if len(self._inbox) < _INBOX_EVENTS:
            self._link.may_read.set()
        else:
            self._link.may_read.clear()

    def _over(self, running: asyncio.Task[None]) -> None:
        """Report the end to every method that waits."""
        closed = running.cancelled() or self._detached
        failure = None if running.cancelled() else running.exception()
        if isinstance(failure, Ended) and not closed:
            self.end = failure
            _LOG.warning("the call ended: %s", failure)
        elif failure is not None and self.room_id and not closed:
            self.end = Ended(grpc.StatusCode.INTERNAL, "The client failed.")
            self.end.__cause__ = failure
            _LOG.error("the client failed", exc_info=failure)
        if not self._entered.done():
            self._entered.set_exception(failure or self._refused or _not_entered())
        phase = Phase.IDLE if self.end is None else Phase.ENDED
        self.over = True
        self._done.set()
        self._changed(self, State(phase, error=self.end))
        self._news.set()
        self._link.may_put.set()


class Events(AsyncIterator[Event]):
    """The events of one stay, until its end."""

    def __init__(self, stay: Stay | None, first: Callable[[], Awaitable[Stay | None]]) -> None:
        """Iterate over the events of `stay`. If it is None, wait for the `first` one."""
        self._stay = stay
        self._first = first

    async def __anext__(self) -> Event:
        if self._stay is None:
            self._stay = await self._first()
        event = None if self._stay is None else await self._stay.next_event()
        if event is None:
            raise StopAsyncIteration
        return event


def _not_entered() -> Ended:
    return Ended(
        grpc.StatusCode.CANCELLED, "The app left, or closed the connection, before it was let in."
    )
