"""The calls of one process: started by the schedule, and counted."""

import asyncio
import contextlib
from collections.abc import Callable

from dyad_server.core.clock import Clock
from dyad_server.load import bounds
from dyad_server.load.call import Call, Setting
from dyad_server.load.endpoints import Endpoints
from dyad_server.load.schedule import Schedule
from dyad_server.load.tally import Failure, Report
from dyad_server.load.users import Pair, Users

_HANGS = Failure("hang up", "TIMEOUT", "At the end of the run, the call did not end in time.")


class Generator:
    """Makes calls until the schedule ends, or it is stopped."""

    def __init__(
        self,
        schedule: Schedule,
        users: Users,
        endpoints: Endpoints,
        *,
        hold: float,
        clock: Clock,
        cpu_seconds: Callable[[], float],
    ) -> None:
        """Prepare to make calls.

        Args:
            schedule: when calls start.
            users: who calls.
            endpoints: where they connect to.
            hold: how long a call lasts after its negotiation, in seconds.
            clock: the time.
            cpu_seconds: the CPU time of this process.
        """
        self._schedule = schedule
        self._users = users
        self._endpoints = endpoints
        self._clock = clock
        self._cpu_seconds = cpu_seconds
        self._report = Report()
        self._told = clock.monotonic(), cpu_seconds()
        self._calls: set[asyncio.Task[None]] = set()
        self._stopping = asyncio.Event()
        self._setting = Setting(clock, lambda: self._report.tally, hold, self._stopping)

    def stop(self) -> None:
        """Start no more calls, and hang up all of them."""
        self._stopping.set()

    async def run(self, tell: Callable[[Report], None]) -> None:
        """Make the calls, and `tell` each second what they met. Returns when all are over."""
        self._told = self._clock.monotonic(), self._cpu_seconds()
        measuring = [
            asyncio.create_task(self._tell_regularly(tell), name="dyad-report"),
            asyncio.create_task(self._measure_lag(), name="dyad-lag"),
        ]
        try:
            await self._start_calls()
            # How late the loop is while all calls hang up at once says nothing about the run.
            measuring.pop().cancel()
            self.stop()
            await self._end_calls()
        finally:
            for task in measuring:
                task.cancel()
        self._tell(tell)

    async def _start_calls(self) -> None:
        began = self._clock.monotonic()
        while not self._stopping.is_set() and (at := self._schedule.next_at) is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(began + at - self._clock.monotonic()):
                    await self._stopping.wait()
                    return
            elapsed = self._clock.monotonic() - began
            for number, due in self._schedule.due(elapsed):
                self._report.late.add(elapsed - due)
                self._start(number)
        await self._wait_for_the_end(began)

    async def _wait_for_the_end(self, began: float) -> None:
        """After the last call has started, the run goes on until its time is over."""
        rest = began + self._schedule.duration - self._clock.monotonic()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(rest):
                await self._stopping.wait()

    def _start(self, number: int) -> None:
        users = self._users.take(self._clock.monotonic())
        if users is None:
            self._report.tally.call_left_out()
            return
        self._report.tally.call_started()
        call = Call(self._setting, users, self._endpoints.of(number))
        task = asyncio.create_task(self._run(call, users), name="dyad-call")
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)

    async def _run(self, call: Call, users: Pair) -> None:
        try:
            await call.run()
        finally:
            self._users.give_back(users, self._clock.monotonic())

    async def _end_calls(self) -> None:
        if self._calls:
            _, hanging = await asyncio.wait(self._calls, timeout=bounds.CLOSING_SECONDS)
            for task in hanging:
                task.cancel()
            if hanging:
                await asyncio.wait(hanging)
                for _ in hanging:
                    self._report.tally.call_over(_HANGS)

    async def _tell_regularly(self, tell: Callable[[Report], None]) -> None:
        while True:
            await asyncio.sleep(bounds.REPORT_SECONDS)
            self._tell(tell)

    def _tell(self, tell: Callable[[Report], None]) -> None:
        report, self._report = self._report, Report()
        now, cpu = self._clock.monotonic(), self._cpu_seconds()
        then, cpu_then = self._told
        self._told = now, cpu
        tell(report.at_the_end(len(self._calls), seconds=now - then, cpu_seconds=cpu - cpu_then))

    async def _measure_lag(self) -> None:
        while True:
            due = self._clock.monotonic() + bounds.LAG_SECONDS
            await asyncio.sleep(bounds.LAG_SECONDS)
            self._report.lag.add(max(self._clock.monotonic() - due, 0.0))
