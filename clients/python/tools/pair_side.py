"""What one side of the scripted call in clients/INTEROP.md sends, receives and prints."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Final, Literal, TypeVar

import dyad

Role = Literal["caller", "callee"]
Kind = Literal["offer", "answer"]
E = TypeVar("E", bound=dyad.Event)

CANDIDATES: Final = 200


class Deviation(Exception):  # noqa: N818 - it names what happened to the script
    """The scenario did not go as written. The message says where."""


def sdp(role: Role, kind: Kind) -> str:
    """Return what `role` sends as its offer or answer."""
    lines = ("v=0", f"o={role} 1 1 IN IP4 192.0.2.1", f"s={kind} ☎", "t=0 0")
    return "".join(f"{line}\r\n" for line in lines)


def candidates(role: Role) -> list[dyad.Candidate]:
    """Return the candidates that `role` sends, and the end of candidates."""
    return [
        dyad.Candidate(
            f"candidate:{n} 1 udp 2122260223 192.0.2.1 {50_000 + n} typ host",
            sdp_mid="0" if n % 2 else None,
            sdp_m_line_index=0,
            username_fragment=role if n % 2 else None,
        )
        for n in range(1, CANDIDATES + 1)
    ] + [dyad.Candidate("")]


def say(event: str, **rest: object) -> None:
    """Print a line of the script."""
    print(json.dumps({"event": event, **rest}), flush=True)


class Side:
    """Does what the scenario says, prints what it receives, and checks it."""

    def __init__(self, connection: dyad.Connection, role: Role) -> None:
        self.connection = connection
        self.role = role
        self.peer: Role = "callee" if role == "caller" else "caller"
        self._events: AsyncIterator[dyad.Event] = aiter(connection)

    async def enter(self, room_id: str) -> dyad.Room:
        """Create a room, or join `room_id`."""
        if not room_id:
            room = await self.connection.create()
            say("created", room=room.room_id)
        else:
            room = await self.connection.join(room_id)
            peer = room.peer.user_id if room.peer else None
            say("joined", room=room.room_id, polite=room.polite, peer=peer)
        self._events = aiter(self.connection)
        return room

    async def hears_join(self) -> None:
        """Receive the other side's join."""
        joined = await self._hears(dyad.PeerJoined)
        say("peer_joined", peer=joined.participant.user_id)

    async def hears_offer(self) -> None:
        """Receive the other side's offer."""
        offer = await self._hears(dyad.Offer)
        say("offer", n=1, sdp=offer.sdp)
        self._same("the offer", offer.sdp, sdp(self.peer, "offer"))

    async def hears_answer(self) -> None:
        """Receive the other side's answer."""
        answer = await self._hears(dyad.Answer)
        say("answer", n=1, sdp=answer.sdp)
        self._same("the answer", answer.sdp, sdp(self.peer, "answer"))

    async def hears_candidates(self, count: int | None = None) -> None:
        """Receive the other side's candidates, or the first of them."""
        for n, due in enumerate(candidates(self.peer)[:count], start=1):
            heard = await self._hears(dyad.Candidate)
            say("candidate", n=n, candidate=heard.candidate)
            self._same(f"candidate {n}", _fields(heard), _fields(due))

    async def hears_leave(self) -> None:
        """Receive the other side's hang-up."""
        left = await self._hears(dyad.PeerLeft)
        say("peer_left", reason=left.reason.name)
        self._same("the reason", left.reason, dyad.Departure.LEFT)

    async def trickles(self, pause: float) -> None:
        """Send all candidates, with a pause of so many seconds after each."""
        for candidate in candidates(self.role):
            await self.connection.send_candidate(candidate)
            await asyncio.sleep(pause)

    async def hears_return(self) -> None:
        """Wait until the connection has broken, and is there again."""
        async for event in self._events:
            if not self._passes(event):
                raise Deviation(f"{type(event).__name__} came before it had reconnected.")
            if isinstance(event, dyad.Reconnected):
                return
        raise Deviation("The events ended before it had reconnected.")

    async def hears_loss(self) -> bool:
        """Wait until the connection breaks, or the other side hangs up.

        Returns:
            Whether the connection broke.
        """
        event = await anext(self._events)
        match event:
            case dyad.Reconnecting():
                say("reconnecting")
                return True
            case dyad.PeerLeft(_, dyad.Departure.LEFT):
                say("peer_left", reason="LEFT")
                return False
        raise Deviation(f"{type(event).__name__} came where a loss or a hang-up was due.")

    async def leaves(self) -> None:
        """Hang up. No event may be left that the script has not received."""
        with contextlib.suppress(TimeoutError, StopAsyncIteration):
            while True:
                async with asyncio.timeout(0):
                    event = await anext(self._events)
                if not self._passes(event):
                    raise Deviation(f"{type(event).__name__} came after the end of the script.")
        await self.leaves_unread()

    async def leaves_unread(self) -> None:
        """Hang up, whatever events are left."""
        await self.connection.leave()
        say("left")

    async def _hears(self, kind: type[E]) -> E:
        async for event in self._events:
            if isinstance(event, kind):
                return event
            if not self._passes(event):
                raise Deviation(f"{type(event).__name__} came where {kind.__name__} was due.")
        raise Deviation(f"The events ended where {kind.__name__} was due.")

    def _passes(self, event: dyad.Event) -> bool:
        """Whether the event may come at any time. Print it if so."""
        match event:
            case dyad.Reconnecting():
                say("reconnecting")
            case dyad.Reconnected(_, resumed):
                say("reconnected", resumed=resumed)
                self._same("whether it was resumed", resumed, due=True)
            case _:
                return False
        return True

    @staticmethod
    def _same(what: str, heard: object, due: object) -> None:
        if heard != due:
            raise Deviation(f"{what}: {heard!r} is not {due!r}.")


def _fields(one: dyad.Candidate) -> tuple[str, str | None, int | None, str | None]:
    return one.candidate, one.sdp_mid, one.sdp_m_line_index, one.username_fragment
