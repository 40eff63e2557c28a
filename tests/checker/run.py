"""Runs pairs over a real server while their connections break, and compares their ledgers."""

import asyncio
import contextlib
import os
import random
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.checker.ledger import Finding, compare
from tests.checker.schedule import Fault, Kind, schedule
from tests.conftest import SECRET, token
from tests.support.needs import ROOT
from tests.support.process import Served, dyad_serve
from tests.support.proxy import Proxy, Way

# The limits on frames and bytes are not what is checked here.
_UNBOUND = ("--max-frames-per-second", "1000000", "--max-bytes-per-second", "1000000000")
_TOKEN_SECONDS = 6 * 3600
_ONE_WAY = {Kind.DEAF: (Way.BACK,), Kind.MUTE: (Way.OUT,)}
# How many frames each participant may send while it waits for the next fault or is in
# one. Its reports lag behind by less than this.
_ONWARD = 200
# How long a participant may receive nothing: longer than any fault and the reconnect after it.
_QUIET_SECONDS = {False: 25.0, True: 60.0}


@dataclass(frozen=True)
class Plan:
    """A run. The same plan has the same frames and faults.

    Attributes:
        seed: for every random choice.
        pairs: how many pairs of participants.
        frames: the least number of frames that they send in total.
        cuts: the least number of times that a connection breaks.
        long: whether some faults take longer than 8 s.
    """

    seed: str
    pairs: int
    frames: int
    cuts: int
    long: bool = False


@dataclass
class Progress:
    """The progress of a run: disconnects so far, and the highest number each side received."""

    cuts: int = 0
    heard: dict[str, int] = field(default_factory=dict)

    @property
    def frames(self) -> int:
        return sum(self.heard.values())


async def check(plan: Plan, folder: Path, progress: Progress) -> Finding:
    """Run the plan; the ledgers stay in `folder`.

    Raises:
        AssertionError: a participant failed, or received nothing for too long.
    """
    run = random.Random(plan.seed).randbytes(8).hex()
    async with dyad_serve(SECRET, *_UNBOUND) as served:
        pairs = [_Pair(plan, n, run, folder, progress) for n in range(plan.pairs)]
        async with asyncio.TaskGroup() as all_of_them:
            for pair in pairs:
                all_of_them.create_task(pair.talk(served))
        served.process.terminate()
        assert await served.command.ended() == 0
        assert "Traceback" not in served.command.said, served.command.said
    return sum((pair.compare() for pair in pairs), Finding())


class _Pair:
    """Two participants, each with its own network."""

    def __init__(self, plan: Plan, n: int, run: str, folder: Path, progress: Progress) -> None:
        chance = random.Random(f"{plan.seed} {n}")
        self._run = run
        self._room = str(uuid.UUID(bytes=chance.randbytes(16), version=4))
        self._names = [f"{name}-{n}" for name in ("alice", "bob")]
        self._each = -(-plan.frames // (2 * plan.pairs))
        self._seed = f"{plan.seed} {n}"
        self._faults = schedule(
            self._seed, frames=2 * self._each, cuts=-(-plan.cuts // plan.pairs), long=plan.long
        )
        self._ledgers = [folder / f"{name}.ledger" for name in self._names]
        self._processes: list[asyncio.subprocess.Process] = []
        self._met: dict[Proxy, int] = {}
        self._quiet = _QUIET_SECONDS[plan.long]
        self._progress = progress
        self._news = asyncio.Event()
        progress.heard |= dict.fromkeys(self._names, 0)

    def compare(self) -> Finding:
        with self._ledgers[0].open() as one, self._ledgers[1].open() as other:
            return compare(one, other, self._run)

    async def talk(self, served: Served) -> None:
        async with AsyncExitStack() as stack, asyncio.TaskGroup() as both:
            networks = [await stack.enter_async_context(Proxy(served.port)) for _ in self._names]
            for name, network, path in zip(self._names, networks, self._ledgers, strict=True):
                proof = token(name, room=self._room, ttl=_TOKEN_SECONDS)
                said = (proof, self._run, self._room, name, str(self._each), self._seed)
                process = await stack.enter_async_context(
                    _participant(str(path), f"127.0.0.1:{network.port}", *said)
                )
                self._processes.append(process)
                both.create_task(self._follow(name, process))
            await self._break(networks)

    async def _follow(self, name: str, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        try:
            while True:
                async with asyncio.timeout(self._quiet):
                    line = await process.stdout.readline()
                if not line:
                    break
                self._progress.heard[name] = int(line)
                self._news.set()
        except TimeoutError:
            raise AssertionError(f"{name} has received nothing for {self._quiet} s") from None
        assert await process.wait() == 0, f"{name} failed"

    def _allow(self, frames: int) -> None:
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.write(f"{min(frames, self._each)}\n".encode())

    async def _break(self, networks: list[Proxy]) -> None:
        for fault in self._faults:
            self._allow(fault.after // 2 + _ONWARD)
            while sum(self._progress.heard[name] for name in self._names) < fault.after:
                self._news.clear()
                await self._news.wait()
            async with asyncio.TaskGroup() as at_once:
                for side in fault.sides:
                    at_once.create_task(self._do(fault, networks[side]))
        self._allow(self._each)

    async def _do(self, fault: Fault, network: Proxy) -> None:
        match fault.kind:
            case Kind.RESET:
                await self._cut(network)
            case Kind.HALF_OPEN:
                await self._cut(network, half_open=True)
            case Kind.LOSSY | Kind.DEAF | Kind.MUTE:
                network.stall(*_ONE_WAY.get(fault.kind, ()), new=False)
                await asyncio.sleep(fault.seconds)
                await self._cut(network)
            case Kind.REFUSED | Kind.AWAY:
                await network.refuse()
                await self._cut(network)
                await asyncio.sleep(fault.seconds)
                await network.accept()
            case Kind.SWALLOWED:
                network.stall()
                await self._cut(network)
                await asyncio.sleep(fault.seconds)
                network.resume_forwarding()
            case Kind.AGAIN:
                for _ in range(3):
                    await self._cut(network)
                    await asyncio.sleep(fault.seconds)
            case Kind.PAUSE | Kind.SILENT:
                network.stall(new=False)
                await asyncio.sleep(fault.seconds)
                network.resume_forwarding()
                self._progress.cuts += fault.kind is Kind.SILENT

    async def _cut(self, network: Proxy, *, half_open: bool = False) -> None:
        await network.cut(half_open=half_open)
        # Counted only if the client has connected again since the last cut.
        self._progress.cuts += network.accepted > self._met.get(network, 0)
        self._met[network] = network.accepted


@asynccontextmanager
async def _participant(*arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.checker.participant",
        *arguments,
        # By default gRPC logs every lost connection.
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths), "GRPC_VERBOSITY": "ERROR"},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        # Read the pipe to its end: otherwise its transport outlives the run.
        await process.communicate()
