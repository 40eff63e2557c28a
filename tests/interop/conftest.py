"""The pair program of each client, built once, and the table of who met whom."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.interop.table import table
from tests.support.needs import ROOT, needs
from tests.support.sides import Program

GO = ROOT / "clients" / "go"
KOTLIN = ROOT / "clients" / "kotlin"
NODE = Path(sys.executable).parent / "node"


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
def go_program(tmp_path_factory: pytest.TempPathFactory) -> Program:
    needs("go")
    program = str(tmp_path_factory.mktemp("go") / "dyad-pair")
    build("go", "build", "-o", program, "./cmd/dyad-pair", folder=GO)
    return Program("go", (program,))


@pytest.fixture(scope="session")
def kotlin_program() -> Program:
    needs("javac", "mvn")
    build("mvn", "-q", "-B", "package", "-DskipTests", folder=KOTLIN)
    return Program("kotlin", (str(KOTLIN / "dyad-pair"),))


@pytest.fixture(scope="session")
def web_program() -> Program:
    tool = ROOT / "build" / "web" / "dyad-pair.mjs"
    needs(NODE, tool)
    return Program("web", (str(NODE), str(tool)), web=True)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if met := table(terminalreporter.stats):
        terminalreporter.section("who met whom")
        terminalreporter.write_line(met)
        (ROOT / "build").mkdir(exist_ok=True)
        (ROOT / "build" / "interop.md").write_text(met)
