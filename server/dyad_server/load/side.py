"""One of the two participants of a call."""

import asyncio
from collections.abc import Callable

import dyad

from dyad_server.core.clock import Clock
from dyad_server.load import bounds
from dyad_server.load.direction import Direction
from dyad_server.load.endpoints import Place, measured
from dyad_server.load.users import User

Note = Callable[[str, float | None], None]
"""Takes what was measured, and its seconds; without seconds, it only happened."""


PEER_LEFT = "PEER_LEFT"
"""The status of a call whose other participant is gone without a hang-up."""


class CallFailed(Exception):  # noqa: N818 - it names what happened to the call
    """A participant met what no call should meet.

    Attributes:
        status: for the table.
        reason: a sentence.
    """

    def __init__(self, status: str, reason: str) -> None:
        super().__init__(status, reason)
        self.status = status
        self.reason = reason


class Side:
    """A participant.

    Attributes:
        connection: its connection.
        peer_joined: is set when its peer has joined.
        peer_left: is set when its peer has hung up.
    """

    def __init__(
        self,
        user: User,
        *,
        place: Place,
        from_place: Place,
        outgoing: Direction,
        incoming: Direction,
        note: Note,
        clock: Clock,
    ) -> None:
        """Prepare a participant.

        Args:
            user: who it is.
            place: where it connects to.
            from_place: where its peer connects to.
            outgoing: what it sends.
            incoming: what it receives.
            note: counts what it measures.
            clock: the time.
        """
        self._transport = place.transport
        self._choices = place.choices
        self._route = f"{from_place.transport} to {place.transport}"
        self._outgoing = outgoing
        self._incoming = incoming
        self._note = note
        self._clock = clock
        self._connect: float | None = None
        self.connection = dyad.Connection(
            measured(place.dial, clock, self._connected),
            user.token,
            dyad.Limits(),
            bounds.GIVE_UP_SECONDS,
        )
        self.peer_joined = asyncio.Event()
        self.peer_left = asyncio.Event()
        self._came = asyncio.Event()

    async def enter(self, room_id: str) -> str:
        """Create a room, or join this one; returns its id.

        If a server is out of reach and there are others, it tries each of them.

        Raises:
            dyad.DyadError: it failed.
        """
        for left in reversed(range(self._choices)):
            try:
                return await self._enter(room_id)
            except dyad.Unavailable:
                if not left:
                    raise
        raise RuntimeError("There is at least one place.")

    async def _enter(self, room_id: str) -> str:
        self._connect = None
        began = self._clock.monotonic()
        if room_id:
            await self.connection.join(room_id)
        else:
            room_id = (await self.connection.create()).room_id
        whole = self._clock.monotonic() - began
        connect = self._connect or 0.0
        self._note(f"connect {self._transport}", connect)
        self._note(f"join {self._transport}", max(whole - connect, 0.0))
        return room_id

    async def describe(self, *, offer: bool) -> None:
        """Send a description, and the candidates that follow it."""
        now = self._clock.monotonic()
        if offer:
            await self.connection.send_offer(self._outgoing.send(bounds.OFFER_BYTES, now))
        else:
            await self.connection.send_answer(self._outgoing.send(bounds.ANSWER_BYTES, now))
        for _ in range(bounds.CANDIDATES):
            await self.send_candidate()

    async def send_candidate(self) -> None:
        """Send another candidate."""
        text = self._outgoing.send(bounds.CANDIDATE_BYTES, self._clock.monotonic())
        await self.connection.send_candidate(dyad.Candidate(text))

    async def until_arrived(self, frames: int) -> None:
        """Wait until so many frames of its peer are here."""
        while self._incoming.arrived < frames:
            self._came.clear()
            await self._came.wait()

    async def hang_up(self) -> None:
        """Leave, and wait until the server knows."""
        await self.connection.leave()

    async def has_ended(self) -> None:
        """Wait until its connection has ended."""
        async for state in self.connection.states():
            if state.phase is dyad.Phase.ENDED:
                return

    async def listen(self) -> None:
        """Take events until it has left.

        Raises:
            CallFailed: what arrived should not.
            dyad.Ended: the call broke off.
        """
        async for event in self.connection:
            match event:
                case dyad.Offer(text) | dyad.Answer(text) | dyad.Candidate(text):
                    self._take(text)
                case dyad.PeerJoined():
                    self.peer_joined.set()
                case dyad.PeerLeft(_, dyad.Departure.LEFT):
                    self.peer_left.set()
                case dyad.PeerLeft(_, reason):
                    raise CallFailed(PEER_LEFT, f"The peer left, and was {reason.name.lower()}.")
                case dyad.Reconnected(_, True):
                    self._note("reconnect", None)
                case dyad.Reconnected():
                    raise CallFailed("SEAT_LOST", "The connection broke, and the seat was gone.")
                case dyad.Refused():
                    raise event
                case _:
                    pass  # It reconnects.

    def _connected(self, seconds: float) -> None:
        if self._connect is None:
            self._connect = seconds

    def _take(self, text: str) -> None:
        seconds = self._incoming.take(text, self._clock.monotonic())
        if seconds is not None:
            self._note(f"relay {self._route}", seconds)
        self._came.set()
