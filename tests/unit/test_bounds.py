"""Each package has its bounds in one module, `bounds`, each with its reason."""

import ast
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from tests.support.needs import ROOT

SERVER = ROOT / "server" / "dyad_server"
BOUNDS = sorted(SERVER.rglob("bounds.py"))
OTHERS = sorted(path for path in SERVER.rglob("*.py") if path.name != "bounds.py")
# Numbers that are not bounds, by module.
EXCEPTIONS = {
    # The encoding of Protobuf.
    "grpc_api/field_scan.py": {
        "_VARINT",
        "_LENGTH",
        "_FIXED_BYTES",
        "_VARINT_BYTES",
        "_MORE_FOLLOWS",
        "_LARGEST_IN_A_BYTE",
    },
    # The version of IPv6.
    "grpc_api/client_address.py": {"_IPV6"},
    # The usual port of a Sentinel.
    "engines/redis/client.py": {"_SENTINEL_PORT"},
    # The versions of the data that nodes write.
    "engines/redis/messages.py": {"VERSION"},
    "engines/redis/store.py": {"SCHEMA"},
    # The usual ports.
    "doctor/browser.py": {"_HTTP_PORT", "_HTTPS_PORT"},
    # The ports in the configurations of deploy/.
    "cli/envoy.py": {"_LISTEN_PORT", "_SERVER_PORT"},
}


def is_number(value: ast.expr | None) -> bool:
    """Whether an expression is a number or a table of numbers."""
    parts: list[ast.expr] = []
    match value:
        case ast.Constant(number):
            return type(number) in (int, float)
        case ast.Call(func=ast.Name("int" | "float")):
            return True
        case ast.UnaryOp(operand=operand):
            parts = [operand]
        case ast.BinOp(left=left, right=right):
            return is_number(left) or is_number(right)
        case ast.Dict(values=parts) | ast.Tuple(elts=parts) | ast.List(elts=parts):
            pass
    return bool(parts) and all(map(is_number, parts))


def numbers(path: Path) -> Iterator[str]:
    """The names of a module's constants that are numbers."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and is_number(node.value):
            yield from (ast.unparse(target) for target in node.targets)
        elif isinstance(node, ast.AnnAssign) and is_number(node.value):
            yield ast.unparse(node.target)


def test_no_other_module_has_numbers() -> None:
    found = {
        path.relative_to(SERVER).as_posix(): set(names)
        for path in OTHERS
        if (names := list(numbers(path)))
    }
    assert found == EXCEPTIONS


@pytest.mark.parametrize("path", BOUNDS, ids=lambda path: path.parent.name)
def test_each_bound_has_its_reason(path: Path) -> None:
    body = ast.parse(path.read_text()).body
    without = [
        ast.unparse(node)
        for node, following in pairwise([*body, ast.Pass()])
        if isinstance(node, ast.Assign)
        and not (isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant))
    ]
    assert not without


@pytest.mark.parametrize("path", BOUNDS, ids=lambda path: path.parent.name)
def test_each_bound_is_used(path: Path) -> None:
    names = {
        target.id
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    text = "".join(other.read_text() for other in OTHERS if path.parent in other.parents)
    # Another bound may be derived from it.
    text += re.sub(r"^\w+ = ", "", path.read_text(), flags=re.MULTILINE)
    assert names <= set(re.findall(r"\w+", text))
