"""The table: each target beside its figure, then each figure and Dyad's ratio to it."""

from collections.abc import Iterable, Iterator

from benchmarks.bench.measures import MEASURES, Measure
from benchmarks.bench.results import Results, spread
from benchmarks.bench.servers import Server
from benchmarks.bench.targets import TARGETS

# Of a core: what has less to do than this was not saturated.
_SATURATED = 0.85
# More of a core than this, and the generator may be what limits.
_LIMITS = 0.9


def table(results: Results, servers: Iterable[Server]) -> str:
    """Tables in Markdown. The first server in each block is compared with the others."""
    servers = list(servers)
    targets = list(_targets(results))
    blocks = ["\n".join([*_TARGETS_HEAD, *targets])] if targets else []
    capacity = list(_capacity(results))
    blocks += ["\n".join([*_CAPACITY_HEAD, *capacity])] if capacity else []
    for measure in MEASURES.values():
        head, rule, *rows = _block(results, servers, measure)
        if rows and measure.name in results.rounds:
            blocks.append("\n".join([head, rule, *rows]))
    if results.missing:
        lines = ["| not measured | why |", "| --- | --- |"]
        lines += [f"| {what} | {why} |" for what, why in results.missing.items()]
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks) + "\n"


_TARGETS_HEAD = ("| target | at most | measured | met |", "| --- | ---: | ---: | --- |")


def _targets(results: Results) -> Iterator[str]:
    for target in TARGETS:
        if found := target.found(results):
            unit = f" {target.unit}" if target.unit else ""
            met = "yes" if spread(found).median <= target.most else "no"
            yield f"| {target.title} | {target.most:g}{unit} | {_range(found)}{unit} | {met} |"


_CAPACITY_HEAD = ("| one core carries, with Dyad | at most |", "| --- | ---: |")
# One of them takes this figure of so many units that a core has in a second.
_CAPACITY = (
    ("calls a second", "call", "cpu_ms", 1e3),
    ("frames a second, saturated", "frame", "cpu_us", 1e6),
    ("idle participants", "idle-1k", "cpu_us_per_second", 1e6),
)


def _capacity(results: Results) -> Iterator[str]:
    for title, measure, figure, of in _CAPACITY:
        values = results.values(measure, "dyad", figure)
        if values and (one := spread(values).median):
            yield f"| {title} | {of / one:,.0f} |"


def _block(results: Results, servers: list[Server], measure: Measure) -> Iterator[str]:
    """The lines of one measurement."""
    # What each server is compared by: this measurement, or the one that takes its place.
    found: dict[str, str] = {}
    for server in servers:
        for name in (measure.name, measure.instead):
            if results.values(name, server.name, measure.figure):
                found.setdefault(server.name, name)
    shown = [one for one in servers if one.name in found]
    first = shown[0] if shown else None
    of = f"{first.title} / it" if first else ""
    yield f"| {measure.title} | {measure.unit} | {of} | notes |"
    yield "| --- | ---: | ---: | --- |"
    for server in shown:
        name = found[server.name]
        seen = spread(results.values(name, server.name, measure.figure))
        ratio = ""
        if first is not None and server is not first:
            base = (found[first.name], first.name)
            ratios = results.ratios(base, (name, server.name), measure.figure)
            ratio = _range(ratios) if ratios else ""
        notes = list(_notes(results, MEASURES[name], server))
        if name != measure.name:
            notes.append(MEASURES[name].title)
        if server.note:
            notes.append(server.note)
        cells = (server.title, _plain(seen.median), ratio, ", ".join(notes))
        yield f"| {' | '.join(cells)} |"


def _range(values: list[float]) -> str:
    of = spread(values)
    if len(values) == 1:
        return f"{of.median:.2f}"
    return f"{of.median:.2f} ({of.least:.2f} to {of.greatest:.2f})"


def _notes(results: Results, measure: Measure, server: Server) -> Iterator[str]:
    """What the figure alone does not tell."""
    medians = {
        figure: spread(values).median
        for figure in results.figures(measure.name, server.name)
        if (values := results.values(measure.name, server.name, figure))
    }
    shown = {
        "p50_ms": lambda value: f"p50 {_plain(value)} ms",
        "frames_per_second": lambda value: f"{value:,.0f} frames/s",
        "cpu_us_per_second": lambda value: f"{value:.0f} µs of CPU a second",
        "few_ms": lambda value: f"{_plain(value)} ms beside 10",
        "many_ms": lambda value: f"{_plain(value)} ms beside 10,000",
    }
    for figure, value in medians.items():
        # Latency is told where it is measured, not where a server is saturated.
        if figure in shown and (figure != "p50_ms" or measure.figure == "p99_ms"):
            yield shown[figure](value)
        elif figure.startswith("of it "):
            yield f"{_plain(value)} {measure.unit} {figure}"
    if measure.name == "frame" and medians.get("server_busy", 1) < _SATURATED:
        yield f"not saturated: {medians['server_busy']:.0%} of a core"
    if medians.get("generator_busy", 0) > _LIMITS:
        yield f"the load generator took {medians['generator_busy']:.0%} of a core"


def _plain(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"  # noqa: PLR2004 - three digits
