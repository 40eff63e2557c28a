"""Plots of the results, as PNG and SVG."""

from collections.abc import Iterable
from pathlib import Path

from benchmarks.bench.measures import MEASURES, Measure
from benchmarks.bench.results import Results, spread
from benchmarks.bench.servers import Server


def draw(results: Results, servers: Iterable[Server], folder: Path) -> str | None:
    """Write a plot for each measurement; returns why there are none."""
    try:
        import matplotlib as mpl  # noqa: PLC0415 - an extra that only plots need
    except ModuleNotFoundError:
        return "matplotlib is missing: pip install '.[bench]'"
    mpl.use("Agg")
    # Text stays text in an SVG, so that it can be searched.
    mpl.rcParams["svg.fonttype"] = "none"
    servers = list(servers)
    for measure in MEASURES.values():
        if measure.name in results.rounds:
            _bars(results, servers, measure, folder / measure.name)
    return None


def _bars(results: Results, servers: list[Server], measure: Measure, path: Path) -> None:
    """One bar a server: the median, with the least and the greatest value as its whiskers."""
    from matplotlib import pyplot as plt  # noqa: PLC0415 - as above

    found = [
        (one, spread(values))
        for one in reversed(servers)
        if (values := results.values(measure.name, one.name, measure.figure))
    ]
    if len(found) <= 1:  # Nothing to compare.
        return
    figure, axes = plt.subplots(figsize=(8, 0.9 + 0.42 * len(found)), layout="constrained")
    medians = [seen.median for _, seen in found]
    whiskers = [
        [seen.median - seen.least for _, seen in found],
        [seen.greatest - seen.median for _, seen in found],
    ]
    colours = ["#b5471b" if one.name.startswith("dyad") else "#8a97a6" for one, _ in found]
    axes.barh([one.title for one, _ in found], medians, color=colours)
    axes.errorbar(medians, range(len(found)), xerr=whiskers, fmt="none", ecolor="#333", capsize=3)
    for row, (_, seen) in enumerate(found):
        axes.annotate(f"  {seen.median:.3g}", (seen.greatest, row), va="center", weight="bold")
    axes.margins(x=0.1)
    what = "CPU of the server" if measure.figure.startswith("cpu") else measure.figure
    axes.set_title(measure.title, loc="left")
    axes.set_xlabel(f"{what}, {measure.unit}; less is better")
    axes.spines[["top", "right"]].set_visible(False)
    for suffix in ("png", "svg"):
        figure.savefig(path.with_suffix(f".{suffix}"), dpi=150)
    plt.close(figure)
