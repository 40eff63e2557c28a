"""The names of tests as documents write them: `tests/folder/test_file.py::test_name`."""

import ast
from collections.abc import Iterator
from functools import cache

from tests.support.needs import ROOT


def there_is(test: str) -> bool:
    """Whether a test with this name exists; parameters in brackets are ignored."""
    file, _, parametrized = test.partition("::")
    name, *_ = parametrized.split("[")
    return name.lower().startswith("test") and name in _tests_in(file)


@cache
def _tests_in(file: str) -> frozenset[str]:
    path = ROOT / file
    if not path.is_file():
        return frozenset()
    return frozenset(_defined(ast.parse(path.read_text())))


def _defined(module: ast.Module) -> Iterator[str]:
    for node in module.body:
        match node:
            case ast.FunctionDef(name) | ast.AsyncFunctionDef(name):
                yield name
            case ast.Assign([ast.Name(name)]):
                # Hypothesis' test case of a state machine.
                yield name
