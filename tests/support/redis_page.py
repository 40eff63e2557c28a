"""The table of keys in docs/redis.md."""

import re
from dataclasses import dataclass

from tests.support.needs import ROOT

PAGE = (ROOT / "docs" / "redis.md").read_text()
_ROW = re.compile(
    r"^\| `([a-z-]+)(?::[A-Z]+)?` \| (\w+) \| (.*) \| (\w+)(?: s)? \| (.*) \| (.*) \| (.*) \|$",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Row:
    """One kind of key.

    Attributes:
        kind: the first part of its keys, after the prefix.
        type: the type of the value, as Redis names it.
        fields: the fields of a hash, or of the entries of a stream.
        seconds: its longest lifetime; None for the grace time.
        writers: the scripts that write it.
        extenders: the scripts that extend its life.
        deleters: the scripts that delete it.
    """

    kind: str
    type: str
    fields: frozenset[str]
    seconds: int | None
    writers: frozenset[str]
    extenders: frozenset[str]
    deleters: frozenset[str]


def named(text: str) -> frozenset[str]:
    """Every text in backquotes."""
    return frozenset(re.findall(r"`([^`]+)`", text))


def _row(found: re.Match[str]) -> Row:
    kind, type_, value, life, *scripts = found.groups()
    seconds = None if life == "grace" else int(life)
    return Row(kind, type_, named(value), seconds, *map(named, scripts))


ROWS = {row.kind: row for row in map(_row, _ROW.finditer(PAGE))}
