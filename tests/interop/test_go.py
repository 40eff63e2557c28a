"""The Go client: lint, and its own tests."""

import asyncio
import os
from pathlib import Path

import pytest

from tests.support.needs import ROOT, needs
from tests.support.process import DYAD

GO = ROOT / "clients" / "go" / "dyad"
PION = ROOT / "clients" / "go" / "pion"
EXAMPLE = ROOT / "clients" / "go" / "examples" / "pion_call"
# The first run on a machine waits for other builds, then fetches and compiles everything.
BUILD = 1800

pytestmark = pytest.mark.timeout(BUILD)


async def go(*arguments: str, folder: Path = GO) -> str:
    return await run("go", *arguments, folder=folder)


async def run(program: str, *arguments: str, folder: Path) -> str:
    """Run a program of the Go toolchain; returns its output. It must succeed."""
    needs(program)
    process = await asyncio.create_subprocess_exec(
        program,
        *arguments,
        cwd=folder,
        env=os.environ | {"TEST_DYAD": DYAD},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await process.communicate()
    assert process.returncode == 0, out.decode()
    return out.decode()


@pytest.mark.parametrize("folder", [GO, PION, EXAMPLE], ids=["client", "pion", "pion_call"])
async def test_the_code_is_formatted_and_passes_vet_and_staticcheck(folder: Path) -> None:
    assert await run("gofmt", "-l", ".", folder=folder) == ""
    await go("vet", "./...", folder=folder)
    tools = f"-modfile={GO.parent / 'tools' / 'go.mod'}"
    await go("tool", tools, "staticcheck", "./...", folder=folder)


@pytest.mark.parametrize("folder", [GO, PION], ids=["client", "pion"])
async def test_the_clients_own_tests_pass_with_the_race_detector(folder: Path) -> None:
    await go("test", "-race", "./...", folder=folder)
