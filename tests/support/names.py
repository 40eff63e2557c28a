"""The names of tests as documents write them: `tests/folder/test_file.py::test_name`."""

import ast
from functools import cache

from tests.support.needs import ROOT


def there_is(name: str) -> bool:
    """Whether there is a test of that name; its parameters, in brackets, are not looked at."""
    file, _, test = name.partition("::")
    return test.partition("[")[0] in _tests_in(file)


@cache
def _tests_in(file: str) -> frozenset[str]:
    path = ROOT / file
    if not path.is_file():
        return frozenset()
    found = ast.walk(ast.parse(path.read_text()))
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(node.name for node in found if isinstance(node, functions))
