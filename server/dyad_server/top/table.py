"""The table of nodes."""

from collections.abc import Callable, Mapping

from rich import box
from rich.table import Table
from rich.text import Text

from dyad_server.top import bounds
from dyad_server.top.figures import Figures, add, quantile

_COLOURS = {"ready": "green", "draining": "yellow", "not ready": "red"}


def render(nodes: Mapping[str, Figures | str]) -> Table:
    """A line for each node, by its name, and one for their sum.

    Instead of its figures, a node that does not answer has the sentence that says so. It stands
    below the table: no column is wide enough.
    """
    silent = [sentence for sentence in nodes.values() if isinstance(sentence, str)]
    caption = Text("\n".join(silent), style="red") if silent else None
    table = Table("node", "state", box=box.SIMPLE_HEAD, caption=caption, caption_justify="left")
    for title in _COLUMNS:
        table.add_column(title, justify="right")
    table.add_column("refused/s")
    known = [figures for figures in nodes.values() if isinstance(figures, Figures)]
    for name, figures in nodes.items():
        # An address in brackets is no markup.
        if isinstance(figures, str):
            table.add_row(Text(name), Text("no answer", style="red"))
        else:
            table.add_row(Text(name), *_cells(figures))
    if len(nodes) > 1:
        table.add_section()
        total = add([*known, *[Figures()] * len(silent)])
        table.add_row(f"{len(nodes)} nodes", *_cells(total), style="bold")
    return table


def _cells(figures: Figures) -> list[str | Text]:
    state = Text(figures.state, style=_COLOURS.get(figures.state, ""))
    return [state, *(show(figures) for show in _COLUMNS.values()), _reasons(figures.refused)]


def _reasons(refused: Mapping[str, float]) -> str:
    most = sorted(refused.items(), key=lambda each: each[1], reverse=True)
    shown = [f"{reason} {rate:.1f}" for reason, rate in most[: bounds.SHOWN_REASONS]]
    rest = sum(rate for _, rate in most[bounds.SHOWN_REASONS :])
    return ", ".join([*shown, *([f"others {rest:.1f}"] if rest else [])])


def _number(value: float | None, form: str = ",.0f") -> str:
    return "-" if value is None else format(value, form)


def _milliseconds(buckets: Mapping[float, float]) -> str:
    seconds = quantile(buckets)
    return "-" if seconds is None else f"{1000 * seconds:.1f}"


_COLUMNS: dict[str, Callable[[Figures], str]] = {
    "users": lambda node: _number(node.participants),
    # A call between two nodes is a half on each.
    "calls": lambda node: _number(node.calls, ",.10g"),
    "streams": lambda node: _number(node.streams),
    "joins/s": lambda node: _number(node.joins, ",.1f"),
    "frames/s": lambda node: _number(node.frames, ",.1f"),
    "p99 ms": lambda node: _milliseconds(node.delivery),
    "lag ms": lambda node: _milliseconds(node.lag),
    "CPU": lambda node: _number(node.cores, ".2f"),
    "MiB": lambda node: _number(None if node.memory is None else node.memory / bounds.MEBIBYTE),
}
