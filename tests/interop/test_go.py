"""The Go client: its own tests, and its pair program in every scenario of clients/INTEROP.md."""

import asyncio
import json
import os
import uuid
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ends, serving, token
from tests.support.ends import SignalEnd
from tests.support.ends import pair as both_in_a_room
from tests.support.needs import ROOT, needs
from tests.support.process import DYAD
from tests.support.proxy import Proxy

GO = ROOT / "clients" / "go"
PION = GO / "examples" / "pion_call"
# Fetching and compiling everything, on a machine that never did.
BUILD = 600
SCENARIO = 40
CANDIDATES = 200
CUT_AFTER = 100

Line = dict[str, Any]
pytestmark = pytest.mark.timeout(BUILD)


async def go(*arguments: str, folder: Path = GO) -> str:
    return await run("go", *arguments, folder=folder)


async def run(program: str, *arguments: str, folder: Path) -> str:
    """What a program of Go's printed; it must succeed."""
    needs(program)
    process = await asyncio.create_subprocess_exec(
        program,
        *arguments,
        cwd=folder,
        env=os.environ | {"DYAD_BIN": DYAD},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await process.communicate()
    assert process.returncode == 0, out.decode()
    return out.decode()


@pytest.fixture(scope="module")
async def pair_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    program = tmp_path_factory.mktemp("go") / "dyad-pair"
    await go("build", "-o", str(program), "./cmd/dyad-pair")
    return program


@pytest.mark.parametrize("folder", [GO, PION], ids=["client", "pion_call"])
async def test_it_is_formatted_and_clean_by_vet_and_staticcheck(folder: Path) -> None:
    assert await run("gofmt", "-l", ".", folder=folder) == ""
    await go("vet", "./...", folder=folder)
    tools = f"-modfile={GO / 'tools' / 'go.mod'}"
    await go("tool", tools, "staticcheck", "./...", folder=folder)


async def test_the_quick_start_of_its_readme_compiles(tmp_path: Path) -> None:
    quick_start = (GO / "README.md").read_text().partition("<<'GO'\n")[2].partition("GO\n")[0]
    program = tmp_path / "main.go"
    program.write_text(quick_start)
    await go("vet", str(program))


async def test_the_clients_own_tests_pass_with_the_race_detector() -> None:
    await go("test", "-race", "./...")


class Side:
    """A pair program under way, and what it has printed so far."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[Line] = []

    async def says(self, event: str, **rest: object) -> Line:
        """Read on to the line of `event` that says `rest`."""
        assert self.process.stdout is not None
        while line := await self.process.stdout.readline():
            said: Line = json.loads(line)
            self.lines.append(said)
            if said["event"] == event and rest.items() <= said.items():
                return said
        raise AssertionError(f"it ended before it said {event} {rest}: {await self._end()}")

    async def succeeds(self) -> list[Line]:
        """Read on to the end; all it has printed."""
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.lines.append(json.loads(line))
        assert await self.process.wait() == 0, await self._end()
        return self.lines

    async def _end(self) -> str:
        assert self.process.stderr is not None
        return (await self.process.stderr.read()).decode()


class Pairs:
    """Starts pair programs."""

    def __init__(self, program: Path) -> None:
        self._program = program
        self._sides: list[Side] = []

    async def start(self, role: str, scenario: str, port: int, jwt: str, room: str = "") -> Side:
        arguments = ["--role", role, "--scenario", scenario, "--token", jwt]
        arguments += ["--target", f"127.0.0.1:{port}"]
        process = await asyncio.create_subprocess_exec(
            str(self._program),
            *arguments,
            *(["--room", room] if room else []),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        side = Side(process)
        self._sides.append(side)
        return side

    async def end(self) -> None:
        for side in self._sides:
            if side.process.returncode is None:
                side.process.kill()
            await side.process.communicate()


@asynccontextmanager
async def pairs(program: Path) -> AsyncIterator[Pairs]:
    started = Pairs(program)
    try:
        async with asyncio.timeout(SCENARIO):
            yield started
    finally:
        await started.end()


async def pair(started: Pairs, scenario: str, callers: int, callees: int) -> tuple[Side, Side]:
    """A caller and a callee, each on a port, and the callee in the caller's room."""
    caller = await started.start("caller", scenario, callers, token("alice"))
    room = (await caller.says("created"))["room"]
    callee = await started.start("callee", scenario, callees, token("bob"), room)
    joined = await callee.says("joined")
    assert joined == {"event": "joined", "room": room, "polite": True, "peer": "alice"}
    return caller, callee


def events(lines: Iterable[Line]) -> list[str]:
    """What was printed, with the candidates as one."""
    names = [line["event"] for line in lines]
    return [name for name, before in zip(names, ["", *names], strict=False) if name != before]


def candidates(lines: Iterable[Line]) -> list[int]:
    return [line["n"] for line in lines if line["event"] == "candidate"]


async def test_a_call_arrives_once_and_in_order(pair_program: Path) -> None:
    async with serving() as server, pairs(pair_program) as started:
        caller, callee = await pair(started, "call", server.port, server.port)
        called, answered = await caller.succeeds(), await callee.succeeds()
    assert events(called) == ["created", "peer_joined", "answer", "candidate", "left"]
    assert events(answered) == ["joined", "offer", "candidate", "peer_left", "left"]
    assert candidates(called) == candidates(answered) == [*range(1, CANDIDATES + 2)]


async def test_of_two_offers_at_once_the_impolite_sides_stands(pair_program: Path) -> None:
    async with serving() as server, pairs(pair_program) as started:
        caller, callee = await pair(started, "glare", server.port, server.port)
        called, answered = await caller.succeeds(), await callee.succeeds()
    assert events(called) == ["created", "peer_joined", "offer", "answer", "left"]
    assert events(answered) == ["joined", "offer", "peer_left", "left"]


@pytest.mark.parametrize("cut", ["caller", "callee"])
async def test_a_cut_loses_nothing_and_the_other_side_does_not_notice(
    cut: str, pair_program: Path
) -> None:
    async with (
        serving() as server,
        Proxy(server.port) as network,
        pairs(pair_program) as started,
    ):
        ports = (network.port, server.port) if cut == "caller" else (server.port, network.port)
        caller, callee = await pair(started, "cut", *ports)
        broken, whole = (caller, callee) if cut == "caller" else (callee, caller)
        await broken.says("candidate", n=CUT_AFTER)
        await network.cut()
        await asyncio.gather(caller.succeeds(), callee.succeeds())
    assert events(broken.lines).count("reconnecting") == 1
    assert {"event": "reconnected", "resumed": True} in broken.lines
    assert "reconnecting" not in events(whole.lines)
    assert candidates(broken.lines) == candidates(whole.lines) == [*range(1, CANDIDATES + 2)]


async def test_a_refusal_and_an_end_are_told_apart(pair_program: Path) -> None:
    async with (
        serving() as server,
        ends(server, SignalEnd) as connect,
        pairs(pair_program) as started,
    ):
        _, _, room = await both_in_a_room(connect)
        third = await started.start("callee", "full", server.port, token("carol"), room)
        assert await third.succeeds() == [{"event": "refused", "code": "ROOM_FULL"}]
        fourth = await started.start(
            "callee", "unknown", server.port, token("carol"), str(uuid.uuid4())
        )
        assert await fourth.succeeds() == [{"event": "refused", "code": "ROOM_NOT_FOUND"}]
        fifth = await started.start("callee", "badtoken", server.port, "a.b.c", room)
        assert await fifth.succeeds() == [
            {"event": "ended", "code": "UNAUTHENTICATED", "retry": False}
        ]
