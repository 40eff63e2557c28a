"""The result of a run, as a table for people and as JSON for programs."""

from dataclasses import asdict
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Column, Table
from rich.text import Text

from dyad_server.load import bounds
from dyad_server.load.histogram import Histogram
from dyad_server.load.plan import Plan
from dyad_server.load.results import Results, mean
from dyad_server.load.verdict import busiest_cores, error_percent, missed, own_limits


def tables(plan: Plan, results: Results, measured: str) -> Group:
    """The tables for people.

    Args:
        plan: what was asked for.
        results: what happened.
        measured: whose CPU and memory were measured.
    """
    parts: list[RenderableType] = [
        _calls(plan, results),
        _times(results),
        _machines(results, measured),
    ]
    if results.tally.failures:
        parts.insert(1, _failures(results))
    return Group(*parts)


def sentences(plan: Plan, results: Results, *, stopped: bool) -> list[Text]:
    """What to think of the figures; `stopped`: whether the run was stopped before its end."""
    found = [Text(sentence, style="yellow") for sentence in own_limits(plan, results)]
    if stopped:
        return [*found, Text("The run was stopped before its end.", style="yellow")]
    return found + [Text(sentence, style="red") for sentence in missed(plan, results)]


def figures(plan: Plan, results: Results, *, stopped: bool) -> dict[str, Any]:
    """The same for programs; times are seconds."""
    tally = results.tally
    return {
        "plan": asdict(plan),
        "stopped": stopped,
        "seconds": results.elapsed,
        "calls": {
            "started": tally.started,
            "made": tally.made,
            "failed": tally.failed,
            "not_started": tally.not_started,
            "errors_percent": error_percent(results),
            "per_second": _rate(plan, results),
        },
        "failures": [
            {**failure._asdict(), "calls": calls} for failure, calls in tally.failures.most_common()
        ],
        "frames": {
            "received": tally.frames,
            "lost": tally.lost,
            "doubled": tally.doubled,
            "reordered": tally.reordered,
            "altered": tally.altered,
        },
        "reconnects": tally.reconnects,
        "seconds_of": {name: _quantiles(times) for name, times in sorted(tally.times.items())},
        "load_generator": {
            "cores": busiest_cores(results),
            "cpu_seconds": results.own_cpu,
            "lag": _quantiles(results.lag),
            "late": _quantiles(results.late),
        },
        "server": {
            "cores": mean([point.server_cores for point in results.points]),
            "cpu_seconds": results.server_cpu,
            "bytes": max((p.server_bytes for p in results.points if p.server_bytes), default=None),
        },
        "points": [asdict(point) for point in results.points],
        "own_limits": own_limits(plan, results),
        "missed": missed(plan, results),
    }


def _calls(plan: Plan, results: Results) -> Table:
    tally = results.tally
    table = _table("Calls", "", _right(""), heads=False)
    rows = {
        "started": f"{tally.started:,}",
        "made, each frame checked": f"{tally.made:,}",
        "failed": f"{tally.failed:,} ({error_percent(results):.3g} %)",
        "started a second": f"{_rate(plan, results):.1f}",
        "at once, at most": f"{max((p.open_calls for p in results.points), default=0):,}",
        "frames from peer to peer": f"{tally.frames:,}",
        "lost, doubled, reordered, altered": (
            f"{tally.lost:,}, {tally.doubled:,}, {tally.reordered:,}, {tally.altered:,}"
        ),
        "connections that broke and resumed": f"{tally.reconnects:,}",
    }
    for name, value in rows.items():
        table.add_row(name, value)
    return table


def _failures(results: Results) -> Table:
    table = _table("Failed", _right("calls"), "step", "status", "reason")
    kinds = results.tally.failures.most_common()
    for failure, calls in kinds[: bounds.SHOWN_FAILURES]:
        table.add_row(f"{calls:,}", failure.step, failure.status, Text(failure.reason))
    if rest := kinds[bounds.SHOWN_FAILURES :]:
        table.add_row(f"{sum(calls for _, calls in rest):,}", "", "", f"{len(rest)} more reasons")
    return table


def _times(results: Results) -> Table:
    table = _table("Latencies", "ms", *map(_right, [*bounds.SHARES, "max", "count"]))
    for name, times in sorted(results.tally.times.items()):
        shown = [f"{1000 * (times.quantile(share) or 0):.1f}" for share in bounds.SHARES.values()]
        table.add_row(name, *shown, f"{1000 * times.greatest:.1f}", f"{len(times):,}")
    return table


def _machines(results: Results, measured: str) -> Table:
    table = _table("Processes", "", _right("cores"), _right("MiB"), "")
    cores = mean([point.server_cores for point in results.points])
    if cores is not None:
        most = max((point.server_bytes or 0 for point in results.points), default=0)
        cost = _per_call(results, results.server_cpu)
        memory = f"{most / bounds.MEBIBYTE:,.0f}"
        table.add_row(Text(f"server: {measured}"), f"{cores:.2f}", memory, cost)
    lag = results.lag.quantile(0.99) or 0.0
    table.add_row(
        "load generator, its busiest process",
        f"{busiest_cores(results):.2f}",
        "",
        f"{_per_call(results, results.own_cpu)}; p99 of its lag: {1000 * lag:.1f} ms",
    )
    return table


def _table(title: str, *columns: Column | str, heads: bool = True) -> Table:
    return Table(
        *columns,
        title=title,
        title_justify="left",
        title_style="bold",
        box=SIMPLE_HEAD,
        show_header=heads,
    )


def _right(title: str) -> Column:
    return Column(title, justify="right")


def _rate(plan: Plan, results: Results) -> float:
    # After `--duration`, calls only end.
    seconds = min(results.elapsed, plan.duration)
    return results.tally.started / seconds if seconds else 0.0


def _per_call(results: Results, cpu_seconds: float | None) -> str:
    milliseconds = 1000 * (cpu_seconds or 0.0) / max(results.tally.ended, 1)
    return f"{milliseconds:.1f} ms of CPU for each call"


def _quantiles(times: Histogram) -> dict[str, float | int | None]:
    shares = {name: times.quantile(share) for name, share in bounds.SHARES.items()}
    return {**shares, "max": times.greatest, "count": len(times)}
