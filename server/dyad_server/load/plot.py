"""A picture of a run: calls, latencies, and what server and load generator use."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from dyad_server.load import bounds
from dyad_server.load.results import Point, Results

_SERVER, _SECOND, _OWN, _FAILED = "#b5471b", "#e0a458", "#8a97a6", "#c22"


def draw(results: Results, path: Path) -> None:
    """Write the picture; its suffix says in which format.

    Raises:
        OSError: the file cannot be written.
    """
    mpl.use("Agg")
    # Text stays text in an SVG, so that it can be searched.
    mpl.rcParams["svg.fonttype"] = "none"
    figure, (calls, times, usage) = plt.subplots(
        3, 1, figsize=(9, 8), sharex=True, layout="constrained"
    )
    # The last one may be too short for a rate.
    points = [point for point in results.points if point.seconds > bounds.REPORT_SECONDS / 2]
    _calls(calls, points)
    _times(times, points)
    _usage(usage, points)
    usage.set_xlabel("seconds")
    figure.savefig(path, dpi=bounds.PLOT_DPI)
    plt.close(figure)


def _calls(axes: Axes, points: list[Point]) -> None:
    failed = [point.failed / point.seconds for point in points]
    _line(axes, points, [p.calls_per_second for p in points], color=_SERVER, label="started/s")
    _line(axes, points, failed, color=_FAILED, ls=":", label="failed/s")
    other = axes.twinx()
    held: list[float | None] = [point.open_calls for point in points]
    _line(other, points, held, color=_OWN, label="at once (right)")
    _finish("Calls", axes, other)


def _times(axes: Axes, points: list[Point]) -> None:
    for what, colour in (("relay", _SERVER), ("join", _SECOND)):
        for name, style in (("p99", "-"), ("p50", ":")):
            seconds = [getattr(point, f"{what}_{name}") for point in points]
            shown = [None if value is None else 1000 * value for value in seconds]
            _line(axes, points, shown, color=colour, ls=style, label=f"{what} {name}")
    lags = [1000 * point.lag for point in points]
    _line(axes, points, lags, color=_OWN, lw=0.8, label="load generator's lag")
    _finish("Latencies, ms", axes)


def _usage(axes: Axes, points: list[Point]) -> None:
    own = [point.own_cores for point in points]
    _line(axes, points, own, color=_OWN, label="load generator's busiest process")
    if all(point.server_bytes is None for point in points):
        _finish("CPU, cores", axes)
        return
    _line(axes, points, [p.server_cores for p in points], color=_SERVER, label="server")
    other = axes.twinx()
    sizes = [None if not p.server_bytes else p.server_bytes / bounds.MEBIBYTE for p in points]
    _line(other, points, sizes, color=_SERVER, ls=":", label="server's memory, MiB (right)")
    _finish("CPU, cores", axes, other)


def _line(axes: Axes, points: list[Point], values: Sequence[float | None], **style: Any) -> None:
    shown = [float("nan") if value is None else value for value in values]
    axes.plot([point.at for point in points], shown, **style)


def _finish(title: str, *all_axes: Axes) -> None:
    """Give a panel its title, and one legend above it for both its scales."""
    first = all_axes[0]
    first.set_title(title, loc="left")
    lines = [line for axes in all_axes for line in axes.get_lines()]
    first.legend(
        handles=lines,
        loc="lower right",
        bbox_to_anchor=(1, 1),
        ncols=len(lines),
        frameon=False,
        fontsize="small",
    )
    for axes in all_axes:
        axes.set_ylim(bottom=0)
