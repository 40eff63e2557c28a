"""The Go client: its own tests."""

import asyncio
import os
from pathlib import Path

import pytest

from tests.support.needs import ROOT, needs
from tests.support.process import DYAD

GO = ROOT / "clients" / "go" / "dyad"
PION = ROOT / "clients" / "go" / "pion"
# The first run on a machine waits for other builds, then fetches and compiles everything.
BUILD = 1800

# At the same time, two builds would compile the same packages twice.
pytestmark = [pytest.mark.timeout(BUILD), pytest.mark.xdist_group("native clients")]


@pytest.mark.parametrize("folder", [GO, PION], ids=["client", "pion"])
async def test_the_clients_own_tests_pass_with_the_race_detector(folder: Path) -> None:
    needs("go")
    process = await asyncio.create_subprocess_exec(
        # `-count=1`: otherwise Go repeats its last answer, also for a server that has changed.
        *("go", "test", "-race", "-count=1", "./..."),
        cwd=folder,
        env=os.environ | {"TEST_DYAD": DYAD},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await process.communicate()
    assert process.returncode == 0, out.decode()
