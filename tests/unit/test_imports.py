"""Packages import only downwards, as the table in docs/architecture.md shows."""

import ast
import re
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SERVER = ROOT / "server" / "dyad_server"
# The packages that each package may import.
RULES: dict[str, set[str]] = {
    "bounds": set(),
    "errors": {"bounds"},
    "grpc_environment": set(),
    "grpc_web_format": {"bounds"},
    "log_line": set(),
    "port_trial": set(),
    "setting": {"bounds", "errors"},
    "files": {"bounds", "errors", "setting"},
    "config": {"bounds", "errors", "files", "setting"},
    "core": {"bounds", "errors"},
    "auth": {"core", "errors", "log_line"},
    "engines": {"core", "errors", "log_line"},
    "grpc_api": {"auth", "bounds", "config", "core", "errors", "files", "log_line"},
    "ops": {"config", "core", "errors", "grpc_environment", "log_line"},
    "redis_composition": {"core", "engines", "grpc_api"},
    "composition": {
        "auth",
        "config",
        "core",
        "engines",
        "errors",
        "grpc_api",
        "grpc_environment",
        "log_line",
        "ops",
        "redis_composition",
    },
    "server": {
        "auth",
        "bounds",
        "composition",
        "config",
        "errors",
        "grpc_api",
        "grpc_environment",
        "log_line",
        "ops",
        "port_trial",
    },
    "check": {"composition", "config", "errors", "grpc_api"},
    "completion_queue": {"grpc_api"},
    "transport": {"completion_queue", "grpc_environment", "ops", "server"},
    "embedding": {"config", "grpc_environment", "server"},
    "doctor": {
        "auth",
        "check",
        "composition",
        "config",
        "core",
        "engines",
        "errors",
        "files",
        "grpc_api",
        "grpc_web_format",
        "port_trial",
        "setting",
    },
    "metrics_page": {"bounds", "errors"},
    "load": {
        "auth",
        "bounds",
        "core",
        "errors",
        "files",
        "grpc_api",
        "grpc_environment",
        "grpc_web_format",
        "metrics_page",
        "ops",
    },
    "top": {"core", "errors", "metrics_page"},
    "cli": {
        "auth",
        "bounds",
        "check",
        "config",
        "core",
        "doctor",
        "errors",
        "files",
        "grpc_api",
        "load",
        "log_line",
        "ops",
        "port_trial",
        "server",
        "setting",
        "top",
        "transport",
    },
}
# Distributions that only these packages may import.
FOREIGN = {
    "grpc": {"completion_queue", "doctor", "embedding", "grpc_api", "load", "server"},
    "google": {"doctor", "grpc_api"},
    "dyad": {"cli", "doctor", "grpc_api", "load"},
    "jwt": {"auth"},
    "redis": {"engines"},
    "opentelemetry": {"ops"},
    "msgpack": {"engines"},
    "aiohttp": {"load", "metrics_page"},
    "matplotlib": {"cli", "load"},
    "httpx2": {"cli", "doctor"},
    "psutil": {"doctor", "load"},
    "rich": {"cli", "load", "top"},
    "prometheus_client": {"embedding", "metrics_page", "ops"},
}
# `dyad_server` itself: its exports, and `python -m dyad_server`.
TOP = {"__init__", "__main__"}


def modules() -> Iterator[tuple[str, Path]]:
    for path in SERVER.rglob("*.py"):
        yield ".".join(path.relative_to(SERVER).with_suffix("").parts), path


MODULES = {name: path for name, path in modules() if name not in TOP}


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            # `from package import module` imports the module.
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def imported_modules(path: Path) -> set[str]:
    own = {name.removeprefix("dyad_server.") for name in imported(path)}
    return {known for known in MODULES for name in own if f"{name}.".startswith(f"{known}.")}


def package(module: str) -> str:
    return module.partition(".")[0]


def test_each_package_has_its_rule() -> None:
    assert {package(module) for module in MODULES} == RULES.keys()


@pytest.mark.parametrize("module", sorted(MODULES))
def test_a_module_imports_only_what_its_package_may(module: str) -> None:
    own = {package(name) for name in imported_modules(MODULES[module])} - {package(module)}
    allowed = RULES[package(module)]
    assert own <= allowed, f"{module} may not import {own - allowed}"


@pytest.mark.parametrize("module", sorted(MODULES))
def test_a_distribution_is_imported_where_it_belongs(module: str) -> None:
    foreign = {name.partition(".")[0] for name in imported(MODULES[module])}
    misplaced = {name for name in foreign & FOREIGN.keys() if package(module) not in FOREIGN[name]}
    assert not misplaced


def test_no_modules_import_each_other_in_a_cycle() -> None:
    graph = {module: imported_modules(path) - {module} for module, path in MODULES.items()}
    TopologicalSorter(graph).prepare()


def test_only_the_composition_root_and_the_doctor_know_an_engine() -> None:
    knows = {
        package(module)
        for module, path in MODULES.items()
        if any(package(name) == "engines" for name in imported_modules(path))
    }
    assert knows - {"engines"} == {"composition", "doctor", "redis_composition"}


def test_only_its_choice_knows_the_completion_queue() -> None:
    knows = {
        package(module)
        for module, path in MODULES.items()
        if any(package(name) == "completion_queue" for name in imported_modules(path))
    }
    assert knows - {"completion_queue"} == {"transport"}


def test_only_one_adapter_what_embeds_it_and_a_client_use_grpc_aio() -> None:
    users = {
        module
        for module, path in MODULES.items()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and ast.unparse(node) == "grpc.aio"
    }
    assert users == {"doctor.native", "grpc_api.aio", "grpc_api.acceptor", "server", "embedding"}


def test_the_architecture_page_has_these_rules() -> None:
    rows = re.findall(r"^\| `(\w+)` \|.*\| ([^|]*) \|$", page(), re.MULTILINE)
    assert {name: set(re.findall(r"`(\w+)`", below)) for name, below in rows} == RULES


def test_the_arrows_of_the_picture_are_exactly_the_imports() -> None:
    drawn: dict[str, set[str]] = {name: set() for name in RULES}
    for above, below in re.findall(r"^  (\w+) --> (\w+)$", page(), re.MULTILINE):
        drawn[above].add(below)
    for name, below in RULES.items():
        reached = set(drawn[name])
        for _ in RULES:
            reached |= {further for one in reached for further in drawn[one]}
        assert drawn[name] <= below
        assert below <= reached


def test_the_architecture_page_lists_every_module() -> None:
    in_packages = {module for module in MODULES if "." in module and "__init__" not in module}
    assert set(re.findall(r"`(\w+(?:\.\w+)+)`(?=.*\|$)", page(), re.MULTILINE)) >= in_packages


def page() -> str:
    return (ROOT / "docs" / "architecture.md").read_text()
