"""The Kotlin client: build without warnings, and its own tests."""

import asyncio
import os
from asyncio.subprocess import PIPE, STDOUT
from pathlib import Path

import pytest

from tests.interop.conftest import kotlin_build, kotlin_built
from tests.support.needs import ROOT, needs
from tests.support.process import DYAD

# The first run on a machine waits for other builds, then fetches and compiles everything.
BUILD = 1800


@pytest.mark.long
@pytest.mark.xdist_group("native clients")
@pytest.mark.timeout(BUILD)
async def test_the_client_builds_without_a_warning_and_its_own_tests_pass(
    shared_folder: Path,
) -> None:
    needs("javac", "mvn")
    with kotlin_build():
        process = await asyncio.create_subprocess_exec(
            *("mvn", "-q", "-B", "verify"),
            cwd=ROOT / "clients" / "kotlin",
            env=os.environ | {"TEST_DYAD": DYAD},
            stdout=PIPE,
            stderr=STDOUT,
        )
        out, _ = await process.communicate()
        assert process.returncode == 0, out.decode()
        kotlin_built(shared_folder).touch()
