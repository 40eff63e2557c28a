"""The web client's own tests run with the others: one command proves the whole."""

import os
import re
import sys
from pathlib import Path

from tests.support.needs import ROOT, needs
from tests.support.process import run

WEB = ROOT / "clients" / "web"
BIN = Path(sys.executable).parent


async def test_the_web_clients_own_tests_pass() -> None:
    npm = BIN / "npm"
    needs(npm, WEB / "node_modules" / ".ready")
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    status, said = await run(
        str(npm), "test", "--silent", "--prefix", str(WEB), env=os.environ | {"PATH": path}
    )
    assert status == 0, said
    # A runner that found no test is content too.
    assert re.search(r"pass [1-9]", said), said
