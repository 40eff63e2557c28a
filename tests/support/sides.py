"""Runs the pair programs of clients/INTEROP.md, and compares their output with the script."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SCENARIO = 120
CANDIDATES = 200

Line = dict[str, Any]


@dataclass(frozen=True)
class Program:
    """A client's pair program.

    Attributes:
        client: the name of the client.
        command: the command that starts it.
        web: whether it speaks grpc-web, and so needs the URL of a proxy.
    """

    client: str
    command: tuple[str, ...]
    web: bool = False

    def arguments(
        self, role: str, scenario: str, port: int, jwt: str | Path, room: str
    ) -> list[str]:
        target = f"http://127.0.0.1:{port}" if self.web else f"127.0.0.1:{port}"
        given = ["--role", role, "--scenario", scenario, "--target", target]
        given += ["--token-file", str(jwt)] if isinstance(jwt, Path) else ["--token", jwt]
        return [*self.command, *given, *(["--room", room] if room else [])]


class Side:
    """A running pair program, and the lines that it has printed so far."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[Line] = []

    async def says(self, event: str, **rest: object) -> Line:
        """Read until a line with `event` and `rest`."""
        async for said in self._reads():
            if said["event"] == event and rest.items() <= said.items():
                return said
        raise AssertionError(f"it ended before it printed {event} {rest}: {await self._why()}")

    async def succeeds(self) -> list[Line]:
        """Read to the end; returns everything that it printed."""
        async for _ in self._reads():
            pass
        assert await self.process.wait() == 0, await self._why()
        return self.lines

    @property
    def script(self) -> list[Line]:
        """What it printed, without the events that may come at any time."""
        return [line for line in self.lines if line["event"] not in ("reconnecting", "reconnected")]

    @property
    def returns(self) -> list[Line]:
        """The events that may come at any time, which are about its connection."""
        return [line for line in self.lines if line["event"] in ("reconnecting", "reconnected")]

    async def _reads(self) -> AsyncIterator[Line]:
        assert self.process.stdout is not None
        while line := await self.process.stdout.readline():
            said: Line = json.loads(line)
            self.lines.append(said)
            yield said

    async def _why(self) -> str:
        assert self.process.stderr is not None
        return f"{self.lines[-1:]} {(await self.process.stderr.read()).decode()}"


@asynccontextmanager
async def _running(arguments: list[str]) -> AsyncIterator[Side]:
    process = await asyncio.create_subprocess_exec(
        *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        yield Side(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


Start = Callable[..., Coroutine[Any, Any, Side]]
"""Starts a program, given its role, scenario, port, token (or the file of tokens) and room."""


@asynccontextmanager
async def playing() -> AsyncIterator[Start]:
    """Yields a function that starts pair programs; stops those that still run at the end."""
    async with AsyncExitStack() as started, asyncio.timeout(SCENARIO):

        async def start(
            program: Program,
            role: str,
            scenario: str,
            port: int,
            *,
            jwt: str | Path,
            room: str = "",
        ) -> Side:
            arguments = program.arguments(role, scenario, port, jwt, room)
            return await started.enter_async_context(_running(arguments))

        yield start


def written(scenario: str, role: str, room: str, peer: str) -> list[Line]:
    """The lines that `role` must print in a scenario of two; `peer` is the other side's `sub`."""
    caller, glare = role == "caller", scenario == "glare"
    other = "callee" if caller else "caller"
    lines: list[Line] = (
        [{"event": "created", "room": room}, {"event": "peer_joined", "peer": peer}]
        if caller
        else [{"event": "joined", "room": room, "polite": True, "peer": peer}]
    )
    if glare or not caller:
        lines.append({"event": "offer", "n": 1, "sdp": sdp(other, "offer")})
    if caller:
        lines.append({"event": "answer", "n": 1, "sdp": sdp(other, "answer")})
    if not glare:
        lines += [
            {"event": "candidate", "n": n, "candidate": candidate(n)}
            for n in range(1, CANDIDATES + 2)
        ]
    if not caller:
        lines.append({"event": "peer_left", "reason": "LEFT"})
    return [*lines, {"event": "left"}]


def sdp(role: str, kind: str) -> str:
    """The session description that `role` sends as its `kind`: offer or answer."""
    return f"v=0\r\no={role} 1 1 IN IP4 192.0.2.1\r\ns={kind} ☎\r\nt=0 0\r\n"


def candidate(n: int) -> str:
    """The text of candidate `n`; empty for the end of candidates."""
    if n > CANDIDATES:
        return ""
    return f"candidate:{n} 1 udp 2122260223 192.0.2.1 {50_000 + n} typ host"
