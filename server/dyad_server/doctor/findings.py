"""What the doctor finds: a sentence each, and what to do about it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from dyad_server.doctor import bounds


class Level(IntEnum):
    """How bad a finding is. The worst of all is the exit status."""

    OK = 0
    WARNING = 1
    ERROR = 2


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found.

    Attributes:
        level: how bad it is.
        name: for programs; docs/doctor.md lists the names.
        sentence: what was found, for people.
        advice: what to do about it; empty if nothing.
        measured: times, in the unit that each name ends with.
    """

    level: Level
    name: str
    sentence: str
    advice: str = ""
    measured: Mapping[str, float] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.sentence} {self.advice}".rstrip()


Report = Callable[[Finding], None]
"""Receives findings as they are made, so that none is lost when a check takes too long."""


def ok(name: str, sentence: str, **measured: float) -> Finding:
    """Something is as it should be."""
    return Finding(Level.OK, name, sentence, measured=measured)


def warning(name: str, sentence: str, advice: str = "", **measured: float) -> Finding:
    """Something works, but is probably a mistake."""
    return Finding(Level.WARNING, name, sentence, advice, measured)


def error(name: str, sentence: str, advice: str = "", **measured: float) -> Finding:
    """Something does not work."""
    return Finding(Level.ERROR, name, sentence, advice, measured)


def status(findings: list[Finding]) -> int:
    """The exit status: 0, 1 or 2."""
    return max((finding.level for finding in findings), default=Level.OK).value


def quoted(text: object) -> str:
    """The beginning of what another program said, to stand in a sentence.

    It is on one line and printable, without a full stop at its end.
    """
    line = " ".join(str(text).split())[: bounds.QUOTED_CHARACTERS].rstrip(".")
    return "".join(each if each.isprintable() else "?" for each in line)
