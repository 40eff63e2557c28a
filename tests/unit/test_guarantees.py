"""The page docs/guarantees-index.md names a test for each promise, and the tests exist."""

import re
from collections.abc import Iterator

import pytest

from tests.support.names import there_is
from tests.support.needs import ROOT

PAGE = ROOT / "docs" / "guarantees-index.md"
NAME = re.compile(r"`((?:clients/python/)?tests/\S+::\S+)`")


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def rows() -> Iterator[tuple[list[str], list[str]]]:
    """Every row of every table, with the head of its table."""
    head: list[str] = []
    for line in PAGE.read_text().splitlines():
        if not line.startswith("|"):
            head = []
        elif not head:
            head = cells(line)
        elif not set(line) <= set("|- "):
            yield head, cells(line)


@pytest.mark.parametrize(("head", "row"), [*rows()], ids=lambda cells: cells[0])
def test_every_row_names_existing_tests(head: list[str], row: list[str]) -> None:
    assert head[-1] == "test"
    assert len(row) == len(head)
    named = NAME.findall(row[-1])
    assert named, "the row names no test"
    assert [name for name in named if not there_is(name)] == []


def test_tests_named_outside_the_tables_exist_too() -> None:
    assert [name for name in NAME.findall(PAGE.read_text()) if not there_is(name)] == []


def test_the_page_for_users_names_no_tests_and_links_to_the_index() -> None:
    page = (ROOT / "docs" / "guarantees.md").read_text()
    assert NAME.findall(page) == []
    assert "(guarantees-index.md)" in page
