"""A whole run: tries a call, starts the processes, shows how they fare, and reports."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from dyad_server.bounds import INTERRUPTED_STATUS
from dyad_server.core.clock import Clock
from dyad_server.errors import ConfigError, DyadError
from dyad_server.grpc_api.connections import raise_descriptor_limit, room
from dyad_server.load import bounds
from dyad_server.load.call import Call, Setting
from dyad_server.load.endpoints import Endpoints
from dyad_server.load.interrupts import Interrupts, interrupts, unless
from dyad_server.load.plan import Plan
from dyad_server.load.processes import Processes, Share, running
from dyad_server.load.progress import Show, showing
from dyad_server.load.report import figures, sentences, tables
from dyad_server.load.results import Results
from dyad_server.load.server_usage import ServerUsage, server_usage
from dyad_server.load.tally import Report, Tally
from dyad_server.load.users import Users
from dyad_server.load.verdict import missed


async def run(plan: Plan, users: Sequence[Users], clock: Clock, console: Console) -> int:
    """Make the calls of the plan, with the users of each process, and report.

    Returns:
        The exit status: 0 if all thresholds were kept, 1 if not, 130 after Ctrl-C.

    Raises:
        DyadError: the first call failed, or the processes do not start.
    """
    _check_descriptors(plan)
    with interrupts() as asked:
        if not await unless(asked.stop, _try(plan, users[0], clock)):
            return INTERRUPTED_STATUS
        usage = await server_usage(plan)
        heard = asyncio.Event()
        results = Results(plan.processes, clock.monotonic())

        def hear(process: int, report: Report) -> None:
            results.hear(process, report)
            if results.complete:
                heard.set()

        shares = [Share(plan, each, index, plan.processes) for index, each in enumerate(users)]
        async with running(shares, hear) as processes:
            if not await unless(asked.stop, processes.until_ready()):
                return INTERRUPTED_STATUS
            with showing(console, plan.duration) as show:
                show.say(_announcement(plan))
                results.begin(clock.monotonic(), await usage.read())
                watching = asyncio.create_task(_watch(results, heard, usage, clock, show))
                try:
                    await _carry_out(processes, asked, show)
                finally:
                    watching.cancel()
    stopped = asked.stop.is_set()
    console.print(tables(plan, results, usage.what))
    for sentence in sentences(plan, results, stopped=stopped):
        console.print(sentence, soft_wrap=True)
    _write(plan, results, stopped=stopped)
    if stopped:
        return INTERRUPTED_STATUS
    return bounds.MISSED_STATUS if missed(plan, results) else 0


async def _carry_out(processes: Processes, asked: Interrupts, show: Show) -> None:
    processes.go()
    if await unless(asked.stop, processes.ended()):
        return
    show.say("Hanging up. Press Ctrl-C again to end at once.")
    processes.stop()
    await unless(asked.kill, processes.ended())


async def _watch(
    results: Results, heard: asyncio.Event, usage: ServerUsage, clock: Clock, show: Show
) -> None:
    """Make a point of what all processes have reported, again and again."""
    while True:
        await heard.wait()
        heard.clear()
        used = await usage.read()
        show.point(results.point(clock.monotonic(), used), results)


async def _try(plan: Plan, users: Users, clock: Clock) -> None:
    """Make one call: a server that is not there or refuses everybody is told at once.

    Raises:
        DyadError: it failed.
    """
    pair = users.take(clock.monotonic())
    if pair is None:
        raise ConfigError("--tokens: a call needs the tokens of two users.")
    # With two transports, this one uses both.
    places = Endpoints(plan).of(len(plan.transports) - 1)
    tally = Tally()
    setting = Setting(clock, lambda: tally, hold=0, stopping=asyncio.Event())
    failure = await Call(setting, pair, places).run()
    users.give_back(pair, clock.monotonic())
    if failure is not None:
        # The client's sentences are for programmers.
        reason = failure.reason.replace("plaintext=True", "--plaintext")
        raise DyadError(
            f"The first call failed, so there was no run. Its step `{failure.step}` ended with "
            f"{failure.status}: {reason}"
        )


def _check_descriptors(plan: Plan) -> None:
    raise_descriptor_limit()
    each = 2 * max(bounds.DESCRIPTORS[transport] for transport in plan.transports)
    needed = int(each * plan.calls_at_once / plan.processes) + bounds.SPARE_DESCRIPTORS
    if needed > room():
        raise ConfigError(
            f"Each process would need about {needed:,} file descriptors, and may have {room():,}. "
            "Raise the limit (`ulimit -n`), or use more --processes."
        )


def _announcement(plan: Plan) -> str:
    calls = plan.calls_at_once
    return (
        f"{plan.calls_per_second:g} calls a second, each held for {plan.hold:g} s: about "
        f"{calls:,.0f} calls and {2 * calls:,.0f} streams at once, for {plan.duration:g} s."
    )


def _write(plan: Plan, results: Results, *, stopped: bool) -> None:
    """Write the files of the plan.

    Raises:
        DyadError: a file cannot be written.
    """
    try:
        if plan.json:
            text = json.dumps(figures(plan, results, stopped=stopped), indent=2)
            Path(plan.json).write_text(f"{text}\n")
        if plan.plot:
            from dyad_server.load.plot import draw  # noqa: PLC0415 - it takes a second to import

            draw(results, Path(plan.plot))
    except OSError as error:
        raise DyadError(f"{error.filename} cannot be written: {error.strerror}.") from None
