"""One side of the scripted call in clients/INTEROP.md. Another client plays the other side."""

import argparse
import asyncio
import json
import sys
from collections.abc import AsyncIterator
from typing import Final, Literal, TypeVar, get_args

import dyad

Role = Literal["caller", "callee"]
Kind = Literal["offer", "answer"]
E = TypeVar("E", bound=dyad.Event)

SCENARIOS_OF_ONE: Final = {
    "full": dyad.Refusal.ROOM_FULL,
    "unknown": dyad.Refusal.ROOM_NOT_FOUND,
    "badtoken": None,
}
SCENARIOS: Final = ("call", "cut", "glare", *SCENARIOS_OF_ONE)
CANDIDATES: Final = 200
PAUSE_SECONDS: Final = 0.01
GIVE_UP_SECONDS: Final = 100.0


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
        """Create a room as the caller, or join `room_id` as the callee."""
        if self.role == "caller":
            room = await self.connection.create()
            say("created", room=room.room_id)
        else:
            room = await self.connection.join(room_id)
            peer = room.peer.user_id if room.peer else None
            say("joined", room=room.room_id, polite=room.polite, peer=peer)
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

    async def hears_candidates(self) -> None:
        """Receive all of the other side's candidates."""
        for n, due in enumerate(candidates(self.peer), start=1):
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

    async def leaves(self) -> None:
        """Hang up. No event may be left that the script has not received."""
        await self.connection.leave()
        async for event in self._events:
            if not self._passes(event):
                raise Deviation(f"{type(event).__name__} came after the last event of the script.")
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


async def call(side: Side, room_id: str, pause: float = 0.0) -> None:
    """Play the scenario `call`, or `cut` with a pause after each candidate."""
    await side.enter(room_id)
    if side.role == "caller":
        await side.hears_join()
        await side.connection.send_offer(sdp("caller", "offer"))
        trickling = asyncio.create_task(side.trickles(pause))
        await side.hears_answer()
    else:
        await side.hears_offer()
        await side.connection.send_answer(sdp("callee", "answer"))
        trickling = asyncio.create_task(side.trickles(pause))
    await side.hears_candidates()
    await trickling
    if side.role == "callee":
        await side.hears_leave()
    await side.leaves()


async def glare(side: Side, room_id: str) -> None:
    """Play `glare`: the polite side gives up its offer, the impolite side ignores the peer's."""
    room = await side.enter(room_id)
    if side.role == "caller":
        await side.hears_join()
    await side.connection.send_offer(sdp(side.role, "offer"))
    await side.hears_offer()
    if room.polite:
        await side.connection.send_answer(sdp(side.role, "answer"))
        await side.hears_leave()
    else:
        await side.hears_answer()
    await side.leaves()


async def play(side: Side, scenario: str, room_id: str) -> None:
    """Play the scenario to its end."""
    if scenario == "glare":
        await glare(side, room_id)
    elif scenario in SCENARIOS_OF_ONE:
        await side.connection.join(room_id)
        raise Deviation(f"The server refused nothing in {scenario}.")
    else:
        await call(side, room_id, PAUSE_SECONDS if scenario == "cut" else 0.0)


def is_due(scenario: str, error: dyad.DyadError) -> bool:
    """Print a refusal or an end. Return whether it is the one that the scenario expects."""
    match error:
        case dyad.Refused(code):
            say("refused", code=code.name)
            return code is SCENARIOS_OF_ONE.get(scenario)
        case dyad.Ended():
            say("ended", code=error.code.name, retry=error.should_retry)
            expected = scenario == "badtoken" and not error.should_retry
            return expected and isinstance(error, dyad.Unauthenticated)
    return False


async def run(given: argparse.Namespace) -> str:
    """Play one side. Return a sentence that says what went wrong, or an empty text."""
    try:
        async with (
            asyncio.timeout(GIVE_UP_SECONDS),
            dyad.connect(given.target, given.token) as connection,
        ):
            await play(Side(connection, given.role), given.scenario, given.room)
    except dyad.DyadError as error:
        return "" if is_due(given.scenario, error) else str(error)
    except Deviation as deviation:
        return str(deviation)
    except TimeoutError:
        return f"The scenario was not over after {GIVE_UP_SECONDS:.0f} s."
    return ""


def arguments() -> argparse.Namespace:
    """Return the command line. If it is wrong, the program ends with status 2."""
    parser = argparse.ArgumentParser(prog="dyad-pair", description=__doc__)
    parser.add_argument("--role", choices=get_args(Role), required=True)
    parser.add_argument("--target", metavar="HOST:PORT", required=True)
    parser.add_argument("--token", required=True)
    parser.add_argument("--room", metavar="ID", default="")
    parser.add_argument("--scenario", choices=SCENARIOS, required=True)
    given = parser.parse_args()
    if (given.role == "callee") != bool(given.room):
        parser.error("A callee needs --room, and only a callee.")
    if given.role == "caller" and given.scenario in SCENARIOS_OF_ONE:
        parser.error(f"Only a callee may play {given.scenario}.")
    return given


if __name__ == "__main__":
    sys.exit(asyncio.run(run(arguments())) or None)
