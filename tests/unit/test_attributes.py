"""No module of the server sets the attributes of an object from another module."""

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.support.needs import ROOT

SERVER = ROOT / "server" / "dyad_server"
OWN = {"self", "cls"}
# Variables whose attributes a module may set, and why.
EXCEPTIONS = {
    # Protobuf messages are built by setting their fields.
    "grpc_api/codec.py": {"frame", "join", "participant"},
    # grpc.aio has no other way to install a server class: see the module.
    "grpc_api/acceptor.py": {"cygrpc"},
    # The attribute of a thread of the standard library.
    "auth/jwks.py": {"cut"},
    # Its only switch for this.
    "ops/native_lines.py": {"logging"},
}


def foreign(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Each variable whose attributes are set, with its line; attributes of `self.x` count, too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            owner = node.value
            if isinstance(owner, ast.Name) and owner.id in OWN:
                continue
            while isinstance(owner, ast.Attribute | ast.Subscript):
                owner = owner.value
            yield ast.unparse(owner), node.lineno


def allowed(path: Path) -> set[str]:
    name = path.relative_to(SERVER).as_posix()
    return set().union(*(those for where, those in EXCEPTIONS.items() if name.startswith(where)))


def test_no_module_sets_the_attributes_of_another_object() -> None:
    found = [
        f"{path.relative_to(SERVER)}:{line}: {name}"
        for path in sorted(SERVER.rglob("*.py"))
        for name, line in foreign(ast.parse(path.read_text()))
        if name not in allowed(path)
    ]
    assert not found


def test_each_exception_is_used() -> None:
    used = {
        (where, name)
        for where, _ in EXCEPTIONS.items()
        for path in SERVER.rglob("*.py")
        if path.relative_to(SERVER).as_posix().startswith(where)
        for name, _ in foreign(ast.parse(path.read_text()))
    }
    assert used == {(where, name) for where, names in EXCEPTIONS.items() for name in names}
