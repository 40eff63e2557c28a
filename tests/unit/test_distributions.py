"""The two Python distributions: an app that only calls installs only the client."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import dyad
import pytest

from tests.support.needs import ROOT

CLIENT = ROOT / "clients" / "python"

ADD_ONS = ("aiortc", "testing")
"""Modules that need more than the client's dependencies, and that no other module imports."""


def project(folder: Path) -> dict[str, Any]:
    metadata: dict[str, Any] = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    return metadata


def imported(module: Path) -> set[str]:
    """The top-level packages that a module imports."""
    nodes = list(ast.walk(ast.parse(module.read_text())))
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]
    return {name.partition(".")[0] for name in names}


def test_the_client_depends_only_on_grpcio_and_protobuf() -> None:
    wanted = [re.split(r"[<>=]", needed)[0] for needed in project(CLIENT)["dependencies"]]
    assert wanted == ["grpcio", "protobuf"]


def test_the_client_imports_only_its_dependencies() -> None:
    modules = set(Path(dyad.__file__).parent.glob("**/*.py"))
    modules -= {Path(dyad.__file__).parent / f"{name}.py" for name in ADD_ONS}
    packages = set().union(*map(imported, modules)) - sys.stdlib_module_names
    assert packages == {"dyad", "google", "grpc"}


@pytest.mark.parametrize("name", ADD_ONS)
def test_an_app_loads_an_add_on_only_if_it_asks_for_it(name: str) -> None:
    program = f"import sys, dyad; sys.exit('dyad.{name}' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_the_server_depends_on_the_client_of_its_own_version() -> None:
    server, client = project(ROOT), project(CLIENT)
    assert server["version"] == client["version"]
    assert f"{client['name']}=={client['version']}" in server["dependencies"]


def test_the_client_contains_the_license_of_the_repository() -> None:
    assert (CLIENT / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()
