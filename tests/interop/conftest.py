"""Builds the pair program of each client once, and prints the table of results."""

import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from filelock import FileLock

from tests.browser.site import Proxy as Envoy
from tests.browser.site import a_site  # noqa: F401 - a fixture
from tests.conftest import SECRET
from tests.interop.table import table
from tests.support.needs import PAGE, ROOT, needs
from tests.support.ports import free_port
from tests.support.process import dyad_serve
from tests.support.sides import Program

GO = ROOT / "clients" / "go" / "dyad"
KOTLIN = ROOT / "clients" / "kotlin"
NODE = Path(sys.executable).parent / "node"
NPM = NODE.with_name("npm")
# The first run on a machine fetches and compiles the clients.
BUILD = 1800
# Seconds; longer than a client on a busy machine needs to reconnect.
GRACE = "60"
ROOM = "6c1f3c3e-9d2c-4b7e-8f53-0d6f3f9f7a10"


def kotlin_build() -> FileLock:
    """The lock for Maven: its builds share their `target` folders."""
    (ROOT / "build").mkdir(exist_ok=True)
    return FileLock(ROOT / "build" / "kotlin.lock")


def kotlin_built(shared_folder: Path) -> Path:
    """This file exists once Kotlin's own test has built the client in this run."""
    return shared_folder / "kotlin-built"


def once(made: Path, make: Callable[[Path], None]) -> Path:
    """Make this file or folder, unless another worker of this run already has.

    Args:
        made: the path to make, in the folder that the workers share.
        make: makes it at the path that it gets.
    """
    with FileLock(made.with_suffix(".lock")):
        if not made.exists():
            unfinished = made.with_suffix(".new")
            make(unfinished)
            unfinished.rename(made)
    return made


def build(*command: str, folder: Path) -> None:
    done = subprocess.run(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    assert done.returncode == 0, done.stdout.decode()


@pytest.fixture(scope="session")
def python_program() -> Program:
    tool = ROOT / "clients" / "python" / "tools" / "dyad_pair.py"
    return Program("python", (sys.executable, str(tool)))


@pytest.fixture(scope="session")
def go_program(shared_folder: Path) -> Program:
    needs("go")

    def make(program: Path) -> None:
        build("go", "build", "-o", str(program), "./cmd/dyad-pair", folder=GO)

    return Program("go", (str(once(shared_folder / "go-pair", make)),))


@pytest.fixture(scope="session")
def kotlin_program(shared_folder: Path) -> Program:
    """A copy of the built program, because other tests build the client again."""
    needs("javac", "mvn")

    jar = Path("pair") / "target" / "dyad-pair.jar"

    def make(copy: Path) -> None:
        with kotlin_build():
            if not kotlin_built(shared_folder).exists():
                build("mvn", "-q", "-B", "package", "-DskipTests", folder=KOTLIN)
            (copy / jar).parent.mkdir(parents=True)
            shutil.copy(KOTLIN / jar, copy / jar)
        shutil.copy(KOTLIN / "dyad-pair", copy)

    def archive(made: Path) -> None:
        # Without a server the program fails soon, after it has loaded its classes.
        given = kotlin.arguments("callee", "badtoken", free_port(), "a.b.c", ROOM)
        options = f"-XX:ArchiveClassesAtExit={made}"
        subprocess.run(given, env=os.environ | {"JDK_JAVA_OPTIONS": options}, check=False)

    folder = once(shared_folder / "kotlin-pair", make)
    kotlin = Program("kotlin", (str(folder / "dyad-pair"),))
    # The archive is valid only for the jar at this path.
    once(folder / jar.with_suffix(".jsa"), archive)
    return kotlin


@pytest.fixture(scope="session")
def web_program() -> Program:
    tool = ROOT / "build" / "web" / "dyad-pair.mjs"
    needs(NODE, tool)
    return Program("web", (str(NODE), str(tool)), web=True)


@dataclass(frozen=True)
class PairSite:
    """The ports that clients connect to: native ones the server, the web client Envoy."""

    server: int
    envoy: int

    def port(self, program: Program) -> int:
        return self.envoy if program.web else self.server


@pytest.fixture(scope="module")
async def pair_site() -> AsyncIterator[PairSite]:
    needs(PAGE)
    async with dyad_serve(SECRET, "--resume-grace", GRACE) as served, Envoy(served.port) as envoy:
        yield PairSite(served.port, envoy.port)


@pytest.fixture
def caller(request: pytest.FixtureRequest) -> Program:
    return _program(request)


@pytest.fixture
def callee(request: pytest.FixtureRequest) -> Program:
    return _program(request)


def _program(request: pytest.FixtureRequest) -> Program:
    program: Program = request.getfixturevalue(f"{request.param}_program")
    return program


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if met := table(terminalreporter.stats):
        terminalreporter.section("clients tested together")
        terminalreporter.write_line(met)
        (ROOT / "build").mkdir(exist_ok=True)
        (ROOT / "build" / "interop.md").write_text(met)
