"""One call: two participants join, negotiate, stay for a while, and hang up."""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import dyad

from dyad_server.core.clock import Clock
from dyad_server.load import bounds
from dyad_server.load.direction import Direction
from dyad_server.load.endpoints import Place
from dyad_server.load.side import PEER_LEFT, CallFailed, Side
from dyad_server.load.tally import Failure, Tally
from dyad_server.load.users import Pair

_FRAMES, _TIMEOUT = "FRAMES", "TIMEOUT"


@dataclass(frozen=True, slots=True)
class Setting:
    """What all calls of a process share.

    Attributes:
        clock: the time.
        tally: returns where to count now.
        hold: how long a call lasts after its negotiation, in seconds.
        stopping: is set when calls hang up at once.
    """

    clock: Clock
    tally: Callable[[], Tally]
    hold: float
    stopping: asyncio.Event


class Call:
    """A call between two users. `run` makes it."""

    def __init__(self, setting: Setting, users: Pair, places: tuple[Place, Place]) -> None:
        self._setting = setting
        there, back = Direction(users[0].name), Direction(users[1].name)
        self._directions = there, back
        new_side = partial(Side, note=self._note, clock=setting.clock)
        self._caller = new_side(
            users[0], place=places[0], from_place=places[1], outgoing=there, incoming=back
        )
        self._callee = new_side(
            users[1], place=places[1], from_place=places[0], outgoing=back, incoming=there
        )
        self._sides = self._caller, self._callee
        self._step = "create"

    async def run(self) -> Failure | None:
        """Make the call, and count what it met. Returns why it failed, if it did."""
        failure: Failure | None = None
        async with self._caller.connection, self._callee.connection:
            try:
                await self._make()
            except BaseExceptionGroup as group:
                failure = await self._failure(group.exceptions[0])
            except Exception as error:  # noqa: BLE001 - whatever it is, the call has failed
                failure = await self._failure(error)
        failure = failure or self._check()
        tally = self._setting.tally()
        # If a call breaks off, the two were told that frames may be lost.
        whole = failure is None or failure.status in (_FRAMES, _TIMEOUT)
        for direction in self._directions:
            tally.check(direction, whole=whole)
        tally.call_over(failure)
        return failure

    async def _make(self) -> None:
        caller, callee = self._sides
        async with asyncio.timeout(bounds.STEP_SECONDS):
            room_id = await caller.enter("")
        self._step = "join"
        async with asyncio.timeout(bounds.STEP_SECONDS):
            await callee.enter(room_id)
        async with asyncio.TaskGroup() as listening:
            for side in self._sides:
                listening.create_task(side.listen())
            self._step = "negotiate"
            async with asyncio.timeout(bounds.STEP_SECONDS):
                await caller.peer_joined.wait()
                await caller.describe(offer=True)
                await callee.until_arrived(1)
                await callee.describe(offer=False)
                await self._until_arrived(bounds.FRAMES_AT_ONCE)
            self._step = "hold"
            await self._hold()
            # A connection may break at any moment, and then needs time to resume.
            async with asyncio.timeout(bounds.GIVE_UP_SECONDS):
                for side in self._sides:
                    await side.send_candidate()
                await self._until_arrived(bounds.FRAMES)
            self._step = "hang up"
            async with asyncio.timeout(bounds.GIVE_UP_SECONDS):
                await caller.hang_up()
                await callee.peer_left.wait()
                await callee.hang_up()

    async def _hold(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._setting.hold):
                await self._setting.stopping.wait()

    async def _until_arrived(self, frames: int) -> None:
        for side in self._sides:
            await side.until_arrived(frames)

    def _note(self, what: str, seconds: float | None) -> None:
        tally = self._setting.tally()
        if seconds is None:
            tally.reconnected()
        elif not self._setting.stopping.is_set():
            # Then all calls hang up at once: no load that anybody asked for.
            tally.times[what].add(seconds)

    def _check(self) -> Failure | None:
        if any(direction.wrong for direction in self._directions):
            return Failure("check", _FRAMES, "Frames did not arrive as they were sent.")
        return None

    def _trouble(self) -> dyad.Ended | None:
        """Why one of the two has no connection, if that is so."""
        errors = [side.connection.state.error for side in self._sides]
        return next((error for error in errors if isinstance(error, dyad.Ended)), None)

    async def _cause(self) -> None:
        """Wait until the participant that has left knows why, at most for a moment."""
        ends = [asyncio.create_task(side.has_ended()) for side in self._sides]
        await asyncio.wait(ends, timeout=bounds.CAUSE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        for end in ends:
            end.cancel()

    async def _failure(self, error: BaseException) -> Failure:
        if isinstance(error, CallFailed) and error.status == PEER_LEFT:
            # Its peer may hear of it sooner.
            await self._cause()
        match error:
            case dyad.Ended() | dyad.Refused():
                return Failure(self._step, error.code.name, error.message)
            case CallFailed() | TimeoutError() if cause := self._trouble():
                # What the peer saw of it says less.
                return Failure(self._step, cause.code.name, cause.message)
            case CallFailed():
                return Failure(self._step, error.status, error.reason)
            case TimeoutError():
                return Failure(self._step, _TIMEOUT, "This step took too long.")
            case _:
                return Failure(self._step, "CLIENT", f"The load generator failed: {error!r}")
