"""One side of the scripted call in clients/INTEROP.md. Another client plays the other side."""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, get_args

import dyad
from pair_side import Deviation, Role, Side, say, sdp

PAUSE_SECONDS: Final = 0.01
GIVE_UP_SECONDS: Final = 100.0
TOO_LARGE_BYTES: Final = 70_000


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


async def closing(side: Side, room_id: str) -> None:
    """Play `closing`: the side whose connection is cut closes it, and the other one hears that."""
    await side.enter(room_id)
    if side.role == "caller":
        await side.hears_join()
    if await side.hears_loss():
        say("closing")
        await side.connection.close()
        say("closed")
    else:
        await side.leaves()


async def expiry(side: Side, room_id: str) -> None:
    """Play `expiry`: the callee's token expires during the call."""
    await side.enter(room_id)
    if side.role == "caller":
        await side.hears_join()
        await side.hears_offer()
        await side.connection.send_answer(sdp("caller", "answer"))
        await side.hears_leave()
    else:
        await side.hears_return()
        await side.connection.send_offer(sdp("callee", "offer"))
        await side.hears_answer()
    await side.leaves()


async def taken_over(side: Side, room_id: str) -> None:
    """Play `taken_over`: the call must end in another way than this."""
    await side.enter(room_id)
    await side.hears_leave()


async def too_large(side: Side, room_id: str) -> None:
    """Play `too_large`: the client sends no frame that is too large, and the call continues."""
    await side.enter(room_id)
    try:
        await side.connection.send_offer("x" * TOO_LARGE_BYTES)
    except dyad.TooLarge:
        say("too_large")
    await side.connection.send_offer(sdp(side.role, "offer"))
    await side.hears_answer()
    await side.leaves()


async def again(side: Side, room_id: str) -> None:
    """Play `again`: unread events of one room do not arrive in the next one."""
    await side.enter(room_id)
    await side.hears_candidates(1)
    await side.leaves_unread()
    await side.enter("")
    await side.hears_join()
    await side.leaves()


async def detach(side: Side, room_id: str) -> None:
    """Play `detach`: answer, and keep the seat for another device of the same user."""
    await side.enter(room_id)
    await side.hears_offer()
    await side.connection.send_answer(sdp(side.role, "answer"))
    await side.connection.detach()
    say("detached")


async def refused(side: Side, room_id: str) -> None:
    """Play a scenario in which the room is not entered."""
    await side.connection.join(room_id)
    raise Deviation("The server refused nothing.")


Play = Callable[[Side, str], Awaitable[None]]
# In these, the program is the callee, and the test is the other participant.
OF_ONE: Final[dict[str, Play]] = {
    "full": refused,
    "unknown": refused,
    "badtoken": refused,
    "taken_over": taken_over,
    "too_large": too_large,
    "again": again,
    "detach": detach,
}
SCENARIOS: Final[dict[str, Play]] = {
    "call": call,
    "cut": lambda side, room_id: call(side, room_id, PAUSE_SECONDS),
    "glare": glare,
    "closing": closing,
    "expiry": expiry,
    **OF_ONE,
}
# The refusal, or the error, with which a scenario must end.
DUE: Final[dict[str, dyad.Refusal | type[dyad.Ended]]] = {
    "full": dyad.Refusal.ROOM_FULL,
    "unknown": dyad.Refusal.ROOM_NOT_FOUND,
    "badtoken": dyad.Unauthenticated,
    "taken_over": dyad.TakenOver,
}


def is_due(scenario: str, error: dyad.DyadError) -> bool:
    """Print a refusal or an end. Return whether it is the one that the scenario expects."""
    due = DUE.get(scenario)
    match error:
        case dyad.Refused(code):
            say("refused", code=code.name)
            return code is due
        case dyad.Ended():
            say("ended", code=error.code.name, retry=error.should_retry)
            return isinstance(due, type) and isinstance(error, due) and not error.should_retry
    return False


async def run(given: argparse.Namespace) -> str:
    """Play one side. Return a sentence that says what went wrong, or an empty text."""

    async def read_token() -> str:
        text = await asyncio.to_thread(Path(given.token_file).read_text)
        return text.strip()

    token = given.token or read_token
    try:
        async with (
            asyncio.timeout(GIVE_UP_SECONDS),
            dyad.connect(given.target, token, plaintext=True) as connection,
        ):
            await SCENARIOS[given.scenario](Side(connection, given.role), given.room)
    except dyad.DyadError as error:
        return "" if is_due(given.scenario, error) else str(error)
    except Deviation as deviation:
        return str(deviation)
    except TimeoutError:
        return f"The scenario was not over after {GIVE_UP_SECONDS:.0f} s."
    return "" if given.scenario not in DUE else "The scenario ended without its error."


def arguments() -> argparse.Namespace:
    """Return the command line. If it is wrong, the program ends with status 2."""
    parser = argparse.ArgumentParser(prog="dyad-pair", description=__doc__)
    parser.add_argument("--role", choices=get_args(Role), required=True)
    parser.add_argument("--target", metavar="HOST:PORT", required=True)
    token = parser.add_mutually_exclusive_group(required=True)
    token.add_argument("--token")
    token.add_argument("--token-file", metavar="PATH", help="read before each connection")
    parser.add_argument("--room", metavar="ID", default="")
    parser.add_argument("--scenario", choices=SCENARIOS, required=True)
    given = parser.parse_args()
    if (given.role == "callee") != bool(given.room):
        parser.error("A callee needs --room, and only a callee.")
    if given.role == "caller" and given.scenario in OF_ONE:
        parser.error(f"Only a callee may play {given.scenario}.")
    return given


if __name__ == "__main__":
    sys.exit(asyncio.run(run(arguments())) or None)
