"""Imports point down the list of docs/architecture.md, never up or sideways."""

import ast
from pathlib import Path

import pytest

FLOORS = {
    "errors": set(),
    "rooms": set(),
    "session": set(),
    "limits": set(),
    "inputs": set(),
    "origin": set(),
    "runtime": set(),
    "acceptor": {"errors"},
    "observer": {"errors", "rooms"},
    "broker": {"rooms"},
    "broker_memory": {"broker", "rooms"},
    "links": set(),
    "lease": set(),
    "redis_client": {"errors"},
    "pipeline": {"errors", "redis_client"},
    "bus": {"errors", "lease", "pipeline", "redis_client"},
    "crossing": {"bus", "links", "pipeline"},
    "seats": {"rooms"},
    "seating": {"broker", "bus", "crossing", "pipeline", "rooms", "seats"},
    "upkeep": {"bus", "rooms", "seating", "seats"},
    "broker_redis": {"broker", "bus", "pipeline", "rooms", "seating", "seats", "upkeep"},
    "handover": {"inputs", "participant", "rooms"},
    "fleet": {
        "broker_redis",
        "bus",
        "errors",
        "handover",
        "hub",
        "limits",
        "participant",
        "pipeline",
        "returning",
        "upkeep",
    },
    "several_nodes": {"broker_redis", "bus", "fleet", "hub", "servicer"},
    "participant": {"errors", "inputs", "rooms", "session"},
    "resume": {"participant"},
    "heartbeats": {"participant"},
    "roster": {
        "errors",
        "heartbeats",
        "inputs",
        "limits",
        "observer",
        "participant",
        "resume",
        "rooms",
        "session",
    },
    "returning": {"broker", "errors", "inputs", "observer", "participant", "rooms", "roster"},
    "hub": {
        "broker",
        "errors",
        "heartbeats",
        "inputs",
        "limits",
        "observer",
        "participant",
        "returning",
        "rooms",
        "roster",
        "session",
    },
    "draining": {"errors", "hub", "observer", "participant"},
    "keys": {"errors"},
    "jwks": {"errors", "keys", "limits"},
    "auth": {"errors", "inputs", "keys"},
    "packed": set(),
    "wire": {"inputs", "rooms"},
    "status": {"errors"},
    "time_limit": set(),
    "outlet": {"errors", "participant", "status", "time_limit", "wire"},
    "servicer": {
        "auth",
        "errors",
        "hub",
        "limits",
        "origin",
        "outlet",
        "packed",
        "participant",
        "status",
        "streams",
        "time_limit",
        "wire",
    },
    "streams": {"errors"},
    "tokenless": {"errors", "limits", "origin", "status", "streams"},
    "health": {"origin", "streams", "tokenless"},
    "reflection": {"origin", "streams", "tokenless"},
    "logs": {"errors", "rooms"},
    "metrics": {"errors", "rooms"},
    "metrics_http": set(),
    "config": {"errors"},
    "environment": {"config", "errors"},
    "connections": {"origin"},
    "grpc_options": {"config", "connections"},
    "tls": {"config", "errors"},
    "workers": {"config", "errors", "runtime"},
    "envoy": {"errors"},
}
TOP = {"app", "embedding", "cli", "commands", "demo", "__init__", "__main__"}
PLAIN = {
    "errors",
    "rooms",
    "session",
    "limits",
    "inputs",
    "origin",
    "packed",
    "broker",
    "broker_memory",
    "links",
    "lease",
    "config",
    "environment",
}
ROOT = Path(__file__).parents[2]
SERVER = ROOT / "server" / "dyad_server"


def imports(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module == "dyad_server":
            names |= {f"dyad_server.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return names


def listed() -> list[str]:
    """The modules in the order of docs/architecture.md."""
    table = (ROOT / "docs" / "architecture.md").read_text().partition("| --- | --- |\n")[2]
    cells = [line.split("|")[1] for line in table.splitlines() if line.startswith("|")]
    return [name.strip(" `") for cell in cells for name in cell.split(",")]


def test_the_list_has_every_module_and_puts_it_below_what_it_imports() -> None:
    order = listed()
    assert set(order) == {path.stem for path in SERVER.glob("*.py")} - {"__init__"}
    for module in order:
        above = order[: order.index(module)]
        own = FLOORS.get(module, set())
        assert own <= set(above), f"{module} stands too high in the list for {own - set(above)}"


def test_every_module_has_its_floor() -> None:
    assert {path.stem for path in SERVER.glob("*.py")} - TOP <= FLOORS.keys()


@pytest.mark.parametrize(
    "module", [path.stem for path in SERVER.glob("*.py") if path.stem not in TOP]
)
def test_a_module_imports_only_from_the_floors_below(module: str) -> None:
    own = {
        name.removeprefix("dyad_server.")
        for name in imports(SERVER / f"{module}.py")
        if name.startswith("dyad_server")
    }
    assert own <= FLOORS[module], f"{module} may not import {own - FLOORS[module]}"


@pytest.mark.parametrize(
    "module", sorted(PLAIN | {"draining", "hub", "participant", "resume", "returning", "observer"})
)
def test_the_core_knows_no_network(module: str) -> None:
    foreign = {name.split(".")[0] for name in imports(SERVER / f"{module}.py")}
    forbidden = {"grpc", "google", "dyad", "jwt", "prometheus_client"}
    forbidden |= {"asyncio"} if module in PLAIN else set()
    assert not foreign & forbidden
