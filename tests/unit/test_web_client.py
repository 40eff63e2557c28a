"""Runs the tests of the npm packages, so that one command runs every test."""

import os
import re
import sys
from pathlib import Path

import pytest

from tests.support.needs import NODE_PACKAGES, ROOT, needs
from tests.support.process import run

BIN = Path(sys.executable).parent


@pytest.mark.parametrize("package", ["web", "call-page"])
async def test_the_packages_own_tests_pass(package: str) -> None:
    npm = BIN / "npm"
    # The call page's tests import the built library.
    needs(npm, NODE_PACKAGES, ROOT / "clients" / "web" / "dist" / "index.js")
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    folder = str(ROOT / "clients" / package)
    status, said = await run(
        str(npm), "test", "--silent", "--prefix", folder, env=os.environ | {"PATH": path}
    )
    assert status == 0, said
    # The runner also succeeds if it finds no tests.
    assert re.search(r"pass [1-9]", said), said
