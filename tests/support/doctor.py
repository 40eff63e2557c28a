"""`dyad doctor`, run to its end, and what it found."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.support.process import DYAD, run

BARE = {name: value for name, value in os.environ.items() if not name.startswith("DYAD_")}
"""An environment without settings."""


@dataclass(frozen=True)
class Examined:
    """What the doctor said.

    Attributes:
        status: its exit status.
        findings: its findings.
        said: all of its output.
    """

    status: int
    findings: list[dict[str, Any]]
    said: str

    @property
    def bad(self) -> set[str]:
        """The names of all warnings and errors."""
        return {each["name"] for each in self.findings if each["level"] != "ok"}

    def the(self, name: str) -> dict[str, Any]:
        """The only finding of this name."""
        (found,) = [each for each in self.findings if each["name"] == name]
        return found


async def examine(*options: str, env: Mapping[str, str]) -> Examined:
    """Run `dyad doctor` with these options, and with the settings in `env`."""
    status, said = await run(DYAD, "doctor", "--json", *options, env=BARE | dict(env))
    assert said.startswith("{"), said
    answer = json.loads(said)
    assert answer["status"] == status
    for each in answer["findings"]:
        # A sentence, and what to do about it.
        assert each["sentence"].endswith("."), each
        assert each["level"] == "ok" or each["advice"] or each["area"] == "settings", each
    return Examined(status, answer["findings"], said)
