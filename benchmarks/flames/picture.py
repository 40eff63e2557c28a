"""Draws stacks as a flame graph: an SVG without scripts, small enough for a repository."""

from collections import Counter
from collections.abc import Iterator
from xml.sax.saxutils import escape

from benchmarks.flames.stacks import DYAD, GRPC, Stack, children

_WIDTH = 1200
_ROW = 17
_HEAD = 44
_CHARACTER = 6.6
# What takes less than this part is left out.
_LEAST = 0.005
# By what is in a name; the last one is for all others.
_KINDS = (
    ("Dyad", f"({DYAD}", "#f0a868"),
    ("asyncio", "(asyncio/", "#8fbcbb"),
    ("gRPC", GRPC, "#9fb3c8"),
    ("Python, C libraries and the kernel", "", "#c3d1a5"),
)


def _colour(name: str) -> str:
    return next(colour for _, part, colour in _KINDS if part in name)


def _box(name: str, x: float, depth: int, width: float, share: float) -> str:
    y = _HEAD + depth * _ROW
    fits = int((width - 4) / _CHARACTER)
    shown = name if len(name) <= fits else f"{name[: fits - 1]}…"
    text = f'<text x="{x + 2:.1f}" y="{y + 12}">{escape(shown)}</text>' if fits > 1 else ""
    return (
        f"<g><title>{escape(name)}: {share:.1%}</title>"
        f'<rect x="{x:.1f}" y="{y}" width="{max(width - 0.5, 0.5):.1f}" height="{_ROW - 1}"'
        f' fill="{_colour(name)}"/>{text}</g>'
    )


def _boxes(
    stacks: Counter[Stack], samples: int, x: float = 0, depth: int = 0
) -> Iterator[tuple[int, str]]:
    """Each box, with its depth."""
    for name, below in children(stacks, depth):
        share = below.total() / samples
        if share < _LEAST:
            continue
        yield depth, _box(name, x, depth, share * _WIDTH, share)
        yield from _boxes(below, samples, x, depth + 1)
        x += share * _WIDTH


def draw(title: str, stacks: Counter[Stack]) -> str:
    """The flame graph, with its root on top."""
    boxes = list(_boxes(stacks, stacks.total()))
    height = _HEAD + _ROW * (1 + max((depth for depth, _ in boxes), default=0))
    legend = "".join(
        f'<rect x="{index * 90}" y="24" width="12" height="12" fill="{colour}"/>'
        f'<text x="{index * 90 + 16}" y="34">{name}</text>'
        for index, (name, _, colour) in enumerate(_KINDS)
    )
    drawn = "\n".join(box for _, box in boxes)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}"'
        ' font-family="monospace" font-size="11">'
        f'<rect width="{_WIDTH}" height="{height}" fill="#fff"/>'
        f'<text x="0" y="14" font-size="13">{escape(title)}</text>{legend}\n{drawn}\n</svg>\n'
    )
