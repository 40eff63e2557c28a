"""A participant's connection to the server: enter a room, negotiate, hang up."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from functools import partial
from types import TracebackType
from typing import Final, Self

import grpc

from dyad import tokens, wire
from dyad.errors import Ended, Refusal, Refused
from dyad.events import Candidate, Event, Room
from dyad.limits import Limits, Pace
from dyad.routing import UUID
from dyad.state import Phase, State, Watched
from dyad.stay import Events, Stay
from dyad.stream import Dial, Metadata, open_stream
from dyad.tokens import Token
from dyad.v1 import signaling_pb2 as pb

# How long `close` waits until the server has acknowledged the hang-up.
_CLOSE_SECONDS: Final = 5.0
# How long `detach` waits until the last frames are written.
_DETACH_SECONDS: Final = 1.0
_GIVE_UP_SECONDS: Final = 60.0

_LOG: Final = logging.getLogger("dyad")
_LOG.addHandler(logging.NullHandler())


def connect(
    target: str,
    token: Token,
    *,
    plaintext: bool = False,
    credentials: grpc.ChannelCredentials | None = None,
    limits: Limits | None = None,
    give_up_after: float = _GIVE_UP_SECONDS,
    metadata: Metadata | None = None,
) -> "Connection":
    """Return a connection to the server.

    This does no network work: `create` and `join` do. Use `async with`, so that the
    connection hangs up at the end.

    Args:
        target: the server, as gRPC names it: `host:port`.
        token: the app's JWT, or a function (it may be async) that returns one.
            The client calls it before each attempt to connect. See `Token` for what
            happens if it raises, or returns None because the user is logged out.
        plaintext: do without TLS, for a server on the same machine.
        credentials: for TLS with a private certificate authority or a client
            certificate, such as `grpc.ssl_channel_credentials(root_certificates=…)`.
        limits: the limits of the server, if it has others than by default.
        give_up_after: for how many seconds to try to reconnect after a loss.
        metadata: returns what else to send when a stream is opened, such as `traceparent`.
            The client calls it before each attempt to connect, in the context
            (`contextvars`) of `create` or `join`. It must not raise.

    Raises:
        TypeError: the token is neither text nor a function.
        ValueError: the token is empty, the target is a URL, or there are credentials for
            plain text.
    """
    tokens.check(token)
    if not target or target.startswith(("http:", "https:")):
        raise ValueError(f"The target is host:port, not {target!r}.")
    if plaintext and credentials is not None:
        raise ValueError("Plain text has no credentials: give either `plaintext` or `credentials`.")
    if not plaintext and credentials is None:
        credentials = grpc.ssl_channel_credentials()
    dial = partial(open_stream, target, credentials, metadata=metadata or dict)
    return Connection(dial, token, limits or Limits(), give_up_after)


class Connection:
    """A connection to the server, as returned by `connect`.

    It is in one room at a time. Iterating over it yields the events of that room. The
    iteration stops after `leave` and `close`, and raises `Ended` if the call ends in any
    other way. After the next `create` or `join`, iterate again.

    If the network connection breaks and the seat is resumable, the client reconnects by
    itself. `Reconnecting` and `Reconnected` report that, and so does `state`.

    The end of the `async with` block hangs up, as `close` does.
    """

    def __init__(self, dial: Dial, token: Token, limits: Limits, give_up_after: float) -> None:
        self._new_stay = partial(
            Stay,
            dial,
            token,
            give_up_after=give_up_after,
            frame_bytes=limits.largest_frame,
            changed=self._changed,
        )
        self._limits = limits
        self._pace: Pace | None = None
        self._closed = False
        self._watched = Watched()
        self._stay: Stay | None = None
        self._stays: set[Stay] = set()  # Those that are not over.
        self._began = asyncio.Event()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    @property
    def state(self) -> State:
        """What the connection is doing now."""
        return self._watched.state

    @property
    def stream_id(self) -> str:
        """Names the latest stream in the server's log: show it in an error report.

        It is random and no secret. Each reconnect gives another one. It is empty until the
        server has answered for the first time in a room.
        """
        return self._stay.stream_id if self._stay is not None else ""

    def states(self) -> AsyncIterator[State]:
        """Iterate over the states: the current one, then each new one, until `close`.

        A state that is already over when the app looks is skipped.
        """
        return self._watched.states()

    async def create(self, *, resumable: bool = True) -> Room:
        """Connect, create a room, and enter it.

        If this is cancelled, the client leaves the room again.

        Args:
            resumable: keep the seat reserved if the connection breaks, and resume it.

        Raises:
            Refused: the server refused it, or this connection is in a room already.
            Ended: the connection failed.
        """
        return await self._enter("", resumable=resumable)

    async def join(self, room_id: str, *, resumable: bool = True) -> Room:
        """Connect, and enter an existing room.

        If this is cancelled, the client leaves the room again.

        Args:
            room_id: the room's UUID.
            resumable: keep the seat reserved if the connection breaks, and resume it.

        Raises:
            Refused: the room does not exist or is full, `room_id` is no UUID, or this
                connection is in a room already.
            Ended: the connection failed.
        """
        if not (isinstance(room_id, str) and UUID.fullmatch(room_id)):
            raise Refused(Refusal.INVALID_FRAME, "A room id is a UUID. `create` makes a room.")
        return await self._enter(room_id, resumable=resumable)

    async def leave(self) -> None:
        """Hang up. Returns when the server has acknowledged that, or has released the seat.

        Events that have not been read are dropped. The connection may then enter another
        room. Without a room this does nothing.

        Raises:
            Ended: the connection failed first.
        """
        stay = self._stay
        if stay is None or stay.over:
            return
        stay.hang_up()
        await stay.ended()
        if stay.end is not None:
            raise stay.end

    async def close(self) -> None:
        """Hang up, and end the connection. Closing it again does nothing.

        Returns when the server has acknowledged the hang-up, and after 5 seconds at the
        latest. While disconnected, the client reconnects to deliver the hang-up.
        """
        await self._shut(Stay.hang_up, _CLOSE_SECONDS)

    async def detach(self) -> None:
        """End the connection without hanging up.

        The server reserves a resumable seat for its grace time (15 s), and only then tells
        the peer that this user is disconnected. This is for an app that is about to be
        restarted, and then joins the room again.
        """
        await self._shut(Stay.let_go, _DETACH_SECONDS)

    async def send_offer(self, sdp: str) -> None:
        """Send the peer an SDP offer.

        Raises:
            TooLarge: the server would not accept it.
            Refused: not in a room. A refusal by the server arrives as an event.
            Ended: the call is over.
        """
        await self._send(pb.Frame(offer=pb.SessionDescription(sdp=sdp)))

    async def send_answer(self, sdp: str) -> None:
        """Send the peer an SDP answer.

        Raises:
            TooLarge: the server would not accept it.
            Refused: not in a room. A refusal by the server arrives as an event.
            Ended: the call is over.
        """
        await self._send(pb.Frame(answer=pb.SessionDescription(sdp=sdp)))

    async def send_candidate(self, candidate: Candidate) -> None:
        """Send the peer an ICE candidate. An empty candidate marks their end.

        Raises:
            TooLarge: the server would not accept it.
            Refused: not in a room. A refusal by the server arrives as an event.
            Ended: the call is over.
        """
        await self._send(pb.Frame(ice_candidate=wire.ice_candidate(candidate)))

    def network_changed(self) -> None:
        """Reconnect at once, because the device has another network now.

        Otherwise the client notices that the old connection is dead after up to 8 seconds.
        """
        if self._stay is not None:
            self._stay.change_network()

    def __aiter__(self) -> AsyncIterator[Event]:
        return Events(self._stay, self._first_stay)

    async def _enter(self, room_id: str, *, resumable: bool) -> Room:
        self._check_open()
        if self._stay is not None and not (self._stay.over or self._stay.leaving):
            raise Refused(
                Refusal.INVALID_FRAME, "This connection is in a room already: leave it first."
            )
        if self._pace is None:
            # The server counts for each user, whatever room it is in.
            self._pace = Pace(self._limits, asyncio.get_running_loop().time())
        self._stay = self._new_stay(pace=self._pace)
        self._stays.add(self._stay)
        self._began.set()
        return await self._stay.enter(room_id, resumable=resumable)

    async def _send(self, frame: pb.Frame) -> None:
        self._check_open()
        if self._stay is None:
            raise Refused(Refusal.NOT_IN_ROOM, "This connection is in no room.")
        await self._stay.send(frame)

    def _check_open(self) -> None:
        if self._closed:
            raise Ended(grpc.StatusCode.CANCELLED, "The connection is closed.")

    async def _shut(self, end: Callable[[Stay], None], seconds: float) -> None:
        self._closed = True
        self._began.set()
        for stay in tuple(self._stays):
            end(stay)
        going = [asyncio.ensure_future(stay.ended()) for stay in self._stays]
        try:
            if going:
                await asyncio.wait(going, timeout=seconds)
        finally:
            for stay in tuple(self._stays):
                _LOG.warning("closed before the server knew")
                stay.cancel()
            await asyncio.gather(*going)
            self._watched.set(State(Phase.ENDED), last=True)

    async def _first_stay(self) -> Stay | None:
        await self._began.wait()
        return self._stay

    def _changed(self, stay: Stay, state: State) -> None:
        if stay.over:
            self._stays.discard(stay)
        # A room may still be being left while the app enters another one.
        if stay is self._stay and not (self._closed and stay.over):
            self._watched.set(state)
