"""Modules get their clock from outside. Only a few read a clock by themselves."""

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.support.needs import ROOT

SERVER = ROOT / "server" / "dyad_server"
# The modules that may read the clocks of the system, and why.
READERS = {
    "auth/key_ring.py": "parses the end dates of keys",
    "auth/mint.py": "makes tokens on a command line",
    "cli/lan.py": "makes a certificate on a command line",
    "completion_queue/loop.py": "is an event loop",
    "completion_queue/trial.py": "runs before the event loop",
    "ops/clock.py": "is the clock",
    "ops/logs.py": "writes the times of log lines",
    "ops/workers.py": "supervises processes without an event loop",
}
TIMERS = {"call_later", "call_at"}


def readings(path: Path) -> Iterator[str]:
    """The places where a module reads a clock or sets a timer other than the given one."""
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Import(names) if any(name.name in ("time", "datetime") for name in names):
                yield ast.unparse(node)
            case ast.ImportFrom(module="time" | "datetime"):
                yield ast.unparse(node)
            case ast.Attribute(value=owner, attr=name) if name in TIMERS:
                if not ast.unparse(owner).endswith("clock"):
                    yield ast.unparse(node)
            case ast.Attribute(value=owner, attr="time") if "loop" in ast.unparse(owner):
                yield ast.unparse(node)


def test_only_these_modules_read_a_clock_by_themselves() -> None:
    readers = {
        path.relative_to(SERVER).as_posix() for path in SERVER.rglob("*.py") if any(readings(path))
    }
    assert readers == READERS.keys()
