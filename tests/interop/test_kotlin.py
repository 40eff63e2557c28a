"""The Kotlin client: its own tests, and its pair program (clients/INTEROP.md) with itself."""

import asyncio
import json
import os
import uuid
from asyncio.subprocess import PIPE, STDOUT, Process
from pathlib import Path

import pytest

from tests.conftest import serving, token
from tests.support.needs import ROOT, needs
from tests.support.process import DYAD
from tests.support.proxy import Proxy

KOTLIN = ROOT / "clients" / "kotlin"
# Fetching and compiling everything, on a machine that never did.
BUILD = 600

pytestmark = pytest.mark.timeout(BUILD)


async def mvn(*arguments: str) -> None:
    needs("javac", "mvn")
    environment = os.environ | {"DYAD_BIN": DYAD}
    process = await asyncio.create_subprocess_exec(
        "mvn", "-q", "-B", *arguments, cwd=KOTLIN, env=environment, stdout=PIPE, stderr=STDOUT
    )
    out, _ = await process.communicate()
    assert process.returncode == 0, out.decode()


async def test_the_client_builds_without_a_warning_and_its_own_tests_pass() -> None:
    await mvn("verify")


@pytest.fixture(scope="module")
async def pair_program() -> Path:
    await mvn("package", "-DskipTests")
    return KOTLIN / "dyad-pair"


async def start(program: Path, role: str, scenario: str, port: int, *rest: str) -> Process:
    arguments = ["--role", role, "--scenario", scenario, "--target", f"127.0.0.1:{port}", *rest]
    return await asyncio.create_subprocess_exec(program, *arguments, stdout=PIPE, stderr=PIPE)


async def went_as_written(side: Process) -> list[str]:
    """The events that it printed, to its end."""
    out, why = await side.communicate()
    assert side.returncode == 0, why.decode()
    return [json.loads(line)["event"] for line in out.splitlines()]


async def is_cut(callee: Process, network: Proxy) -> None:
    """Break the callee's connection in the middle of its candidates."""
    assert callee.stdout is not None
    async for line in callee.stdout:
        if json.loads(line).get("candidate", "").startswith("candidate:100 "):
            break
    await network.cut()


@pytest.mark.parametrize("scenario", ["call", "cut", "glare"])
async def test_a_scenario_of_two_goes_as_written(scenario: str, pair_program: Path) -> None:
    async with serving() as server, Proxy(server.port) as network:
        caller = await start(
            pair_program, "caller", scenario, server.port, "--token", token("alice")
        )
        assert caller.stdout is not None
        room = json.loads(await caller.stdout.readline())["room"]
        callee = await start(
            pair_program, "callee", scenario, network.port, "--token", token("bob"), "--room", room
        )
        if scenario == "cut":
            await is_cut(callee, network)
        called, answered = await asyncio.gather(went_as_written(caller), went_as_written(callee))
    assert called[-1] == answered[-1] == "left"
    assert answered.count("reconnected") == (scenario == "cut")
    assert "reconnecting" not in called


@pytest.mark.parametrize(("scenario", "outcome"), [("unknown", "refused"), ("badtoken", "ended")])
async def test_a_scenario_of_one_goes_as_written(
    scenario: str, outcome: str, pair_program: Path
) -> None:
    jwt = "a.b.c" if scenario == "badtoken" else token("carol")
    async with serving() as server:
        room = str(uuid.uuid4())
        side = await start(
            pair_program, "callee", scenario, server.port, "--token", jwt, "--room", room
        )
        assert await went_as_written(side) == [outcome]
