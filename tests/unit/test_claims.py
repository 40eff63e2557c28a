"""Whatever the documentation says about speed is a figure of docs/performance.md.

A claim is a paragraph, a table or a list item that names CPU, p99 or a time in µs, and has a
number with a unit, or a ratio. It is in a section that links to docs/performance.md, and that
page or the table of its measurements has the same figure. Whether the figure is about the same
thing is for a reader to check.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.needs import ROOT

PERFORMANCE = ROOT / "docs" / "performance.md"
TABLE = ROOT / "docs" / "bench" / "table.md"
# What these promise, a test asserts.
PROMISES = {"guarantees.md", "guarantees-index.md"}
PAGES = sorted(
    page
    for pattern in ("README.md", "docs/**/*.md", "clients/*/README.md", "deploy/README.md")
    for page in ROOT.glob(pattern)
    if page != PERFORMANCE and page.name not in PROMISES and page.parent.name != "bench"
)
SUBJECT = re.compile(r"\bCPU\b|\bp99\b|µs")
FIGURE = re.compile(
    r"(?<![\w.,])("
    r"\d[\d,.]* ?(?:µs|ms|s of CPU|KiB|frames/s|calls a second)"
    r"|0\.\d\d?(?![\d.])"
    r"|(?:half|third|quarter|fifth) of the CPU)"
)


def claims(text: str) -> Iterator[tuple[str, str]]:
    """Each claim, with the section that it is in."""
    for section in re.split(r"(?m)^#+ ", text):
        for part in re.split(r"\n\n|\n(?=- )", section):
            plain = " ".join(part.split())
            if SUBJECT.search(plain) and FIGURE.search(plain):
                yield plain, section


def figures(text: str) -> set[str]:
    return set(FIGURE.findall(" ".join(text.replace("|", " ").split())))


def measured() -> set[str]:
    """Figures of the page, and of its table, where the unit is in the head of a column."""
    table = TABLE.read_text()
    found = figures(PERFORMANCE.read_text() + table)
    for block in table.split("\n\n"):
        head, *rows = [[cell.strip() for cell in line.split("|")] for line in block.splitlines()]
        found |= {f"{row[2]} {head[2]}" for row in rows if len(row) > 3}
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_each_claim_about_speed_is_a_figure_of_the_page_on_performance(page: Path) -> None:
    known = measured()
    for claim, section in claims(page.read_text()):
        assert "performance.md" in section, f"does not say where it was measured: {claim}"
        unknown = figures(claim) - known
        assert not unknown, f"not on docs/performance.md: {', '.join(sorted(unknown))} of: {claim}"


def test_a_claim_is_recognized() -> None:
    text = "## A\n\nIt takes 12 µs.\n\n- 2.2 ms of CPU\n- a name\n\n## B\n\nWaits 10 s.\n"
    assert [claim for claim, _ in claims(text)] == ["It takes 12 µs.", "- 2.2 ms of CPU"]
    said = "2.2 ms of CPU, 1,000 calls a second, 0.6 of the\nCPU, a quarter of the CPU, 1.85.3"
    assert figures(said) == {"2.2 ms", "1,000 calls a second", "0.6", "quarter of the CPU"}
