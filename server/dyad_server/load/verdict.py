"""What the figures of a run say: what was missed, and what the limit was."""

from collections.abc import Iterator

from dyad_server.load import bounds
from dyad_server.load.plan import Plan
from dyad_server.load.results import Results
from dyad_server.load.schedule import Schedule

JUDGED = ("join", "relay")
"""What `--max-p99` is about."""


def missed(plan: Plan, results: Results) -> list[str]:
    """A sentence for each threshold that was not kept."""
    return [*_missed(plan, results)]


def own_limits(plan: Plan, results: Results) -> list[str]:
    """Sentences that say why the figures are not the server's alone; none if they are."""
    return [*_own_limits(plan, results)]


def error_percent(results: Results) -> float:
    """How many of the calls that are over have failed, in percent."""
    return 100 * results.tally.failed / max(results.tally.ended, 1)


def busiest_cores(results: Results) -> float:
    """CPU of the busiest process of the load generator, in cores: the median second."""
    cores = sorted(point.own_cores for point in results.points)
    return cores[len(cores) // 2] if cores else 0.0


def _missed(plan: Plan, results: Results) -> Iterator[str]:
    tally = results.tally
    if not tally.ended:
        yield "No call was made."
        return
    if (percent := error_percent(results)) > plan.max_errors:
        yield (
            f"{tally.failed:,} of {tally.ended:,} calls failed, {percent:.3g} %; "
            f"--max-errors allows {plan.max_errors:g} %."
        )
    if plan.max_p99 is None:
        return
    for what in JUDGED:
        p99 = tally.all_times(what).quantile(0.99)
        if p99 is not None and p99 * 1000 > plan.max_p99:
            yield (
                f"The p99 of {what} is {p99 * 1000:.1f} ms; --max-p99 allows {plan.max_p99:g} ms."
            )


def _own_limits(plan: Plan, results: Results) -> Iterator[str]:
    lag, late = results.lag.quantile(0.99) or 0.0, results.late.quantile(0.99) or 0.0
    slow = lag > bounds.LAG_LIMIT_SECONDS or late > bounds.LATE_LIMIT_SECONDS
    cores = busiest_cores(results)
    if slow and cores >= bounds.BUSY_CORES:
        yield (
            "The load generator was the limit, not the server: its busiest process used "
            f"{cores:.0%} of a core, and one in a hundred of its own steps was at least "
            f"{1000 * max(lag, late):.0f} ms late. The latencies contain that. Use more "
            "--processes or fewer calls a second."
        )
    elif slow:
        yield (
            "This machine was the limit, not the server: the load generator used only "
            f"{cores:.0%} of a core, but one in a hundred of its own steps was at least "
            f"{1000 * max(lag, late):.0f} ms late, because other processes had the CPU. The "
            "latencies contain that. Run it on a machine of its own."
        )
    if results.tally.not_started:
        yield (
            f"{results.tally.not_started:,} calls were not started, because all users of "
            "--tokens were in calls: give it more tokens."
        )
    schedule = Schedule(plan.calls_per_second, ramp=plan.ramp, duration=plan.duration)
    due = schedule.started_by(results.elapsed)
    if not slow and results.tally.started + results.tally.not_started < bounds.RATE_SHARE * due - 1:
        yield (
            f"The load generator started {results.tally.started:,} calls, although {due:,.0f} "
            "were due: use more --processes."
        )
