"""The table: each figure, Dyad's ratio to it, and the target beside."""

from collections.abc import Iterable, Iterator

from benchmarks.bench.measures import MEASURES, Measure
from benchmarks.bench.results import BOUNDS, TARGETS, Results, spread
from benchmarks.bench.servers import Server

# Of a core: what has less to do than this was not saturated.
_SATURATED = 0.85


def table(results: Results, servers: Iterable[Server], to: str) -> str:
    """A table in Markdown. `to` is the server that all others are compared with."""
    servers = list(servers)
    blocks = [
        "\n".join(_block(results, servers, to, measure))
        for measure in MEASURES.values()
        if measure.name in results.rounds
    ]
    if results.missing:
        lines = ["| not measured | why |", "| --- | --- |"]
        lines += [f"| {what} | {why} |" for what, why in results.missing.items()]
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks) + "\n"


def _block(results: Results, servers: list[Server], to: str, measure: Measure) -> Iterator[str]:
    yield f"| {measure.title} | {measure.unit} | {to} / it | target | notes |"
    yield "| --- | ---: | ---: | ---: | --- |"
    for server in servers:
        values = results.values(measure.name, server.name, measure.figure)
        if not values:
            continue
        seen = spread(values)
        ratio = target = ""
        if server.name != to:
            ratios = results.ratios(measure.name, to, server.name, measure.figure)
            if ratios:
                of = spread(ratios)
                ratio = f"{of.median:.2f} ({of.least:.2f} to {of.greatest:.2f})"
            bound = TARGETS.get((measure.name, server.name))
        else:
            bound = BOUNDS.get((measure.name, measure.figure))
        if bound is not None:
            target = f"≤ {bound:g}"
        notes = ", ".join(_notes(results, measure, server))
        yield f"| {server.title} | {_plain(seen.median)} | {ratio} | {target} | {notes} |"


def _notes(results: Results, measure: Measure, server: Server) -> Iterator[str]:
    def median(figure: str) -> float | None:
        values = results.values(measure.name, server.name, figure)
        return spread(values).median if values else None

    if measure.figure == "p99_ms" and (p50 := median("p50_ms")) is not None:
        yield f"p50 {_plain(p50)} ms"
    if (rate := median("frames_per_second")) is not None:
        yield f"{rate:,.0f} frames/s"
    if (cpu := median("cpu_us_per_second")) is not None:
        yield f"{cpu:.0f} µs of CPU a second"
    if lost := median("lost"):
        yield f"{lost:.0f} lost"
    busy = median("server_busy")
    if measure.name == "frame" and busy is not None and busy < _SATURATED:
        yield f"not saturated: {busy:.0%} of a core"


def _plain(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"  # noqa: PLR2004 - three digits
