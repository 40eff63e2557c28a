"""Builds the load generator and the peers, each with its pinned dependencies.

What a machine lacks is no error: its servers become rows that say what is missing.
"""

import os
import subprocess
import sys
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.bench.servers import BUILD, PEERS, ROOT

_STEP_SECONDS = 600
_REQUIREMENTS = PEERS / "python-socketio" / "requirements.txt"


class MissingError(Exception):
    """Something could not be built; the sentence says what it needs."""


def _run(what: str, command: Sequence[str], folder: Path = ROOT) -> None:
    try:
        subprocess.run(
            command,
            cwd=folder,
            check=True,
            capture_output=True,
            text=True,
            timeout=_STEP_SECONDS,
            env=os.environ | {"CI": "true"},
        )
    except FileNotFoundError:
        raise MissingError(f"{what}: {command[0]} is not on this machine") from None
    except subprocess.CalledProcessError as error:
        last = (error.stderr.strip() or error.stdout.strip() or "no reason given").splitlines()[-1]
        raise MissingError(f"{what}: {last}") from None
    except subprocess.TimeoutExpired:
        raise MissingError(f"{what}: it took over {_STEP_SECONDS} s") from None


def python(interpreter: str) -> Path:
    """A virtual environment of that interpreter with what the Python servers need."""
    folder = BUILD / "venv"
    program = folder / "bin" / "python"
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [
        *(one for one in settings["dependencies"] if not one.startswith("dyad-")),
        *settings["optional-dependencies"]["redis"],
        *_REQUIREMENTS.read_text().split(),
    ]
    ready = folder / ".ready"
    stamp = "\n".join([interpreter, str(ROOT), *wanted])
    if ready.exists() and ready.read_text() == stamp:
        return program
    # Debian's Python has no pip of its own: the one that runs this installs.
    _run(
        "a virtual environment",
        [interpreter, "-m", "venv", "--clear", "--without-pip", str(folder)],
    )
    pip = [sys.executable, "-m", "pip", "--python", str(program), "install", "--quiet"]
    _run("Python packages", [*pip, "--disable-pip-version-check", *wanted])
    # Dyad itself is on PYTHONPATH, but asks for its version.
    here = ("--editable", str(ROOT / "clients" / "python"), "--editable", str(ROOT))
    _run("Dyad's packages", [*pip, "--disable-pip-version-check", "--no-deps", *here])
    ready.write_text(stamp)
    return program


def go(source: Path, name: str, package: str = ".") -> Callable[[], None]:
    """A step that builds a Go program of this project, or a pinned one of another."""
    return lambda: _run(source.name, ["go", "build", "-o", str(BUILD / name), package], source)


def cargo(source: Path, target: Path) -> Callable[[], None]:
    """A step that builds a Rust program of this project."""
    command = ["cargo", "build", "--release", "--locked", "--target-dir", str(target)]
    return lambda: _run(source.name, command, source)


def node(folder: Path) -> Callable[[], None]:
    """A step that installs and builds a peer on Node.js."""

    def build() -> None:
        lock = (folder / "package-lock.json").read_text()
        ready = folder / "node_modules" / ".ready"
        if ready.exists() and ready.read_text() == lock:
            return
        _run(folder.name, ["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"], folder)
        _run(folder.name, ["npm", "run", "--silent", "--if-present", "build"], folder)
        ready.write_text(lock)

    return build
