"""Pairs that talk over several nodes while nodes, networks and Redis break."""

import asyncio
import contextlib
import itertools
import random
import time
import uuid
from collections import Counter
from collections.abc import Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import dyad

from tests.checker.frames import Label, compose
from tests.checker.ledger import Finding
from tests.conftest import token
from tests.nodes.fleet import Balancer, Fleet, Node, fleet
from tests.nodes.schedule import NETWORK, PROCESS, REDIS, Fault, Kind, Weather, schedule
from tests.nodes.talker import Talker
from tests.support.proxy import Proxy, Way
from tests.support.python_client import UNBOUND

# Longer than any recovery: a lease, a grace time and an attempt without an answer.
_END_SECONDS = 90.0
_VISIT_SECONDS = 1.0
# `Fault.at` chooses a node; its further digits choose a Redis.
_FINER = 1000


@dataclass
class Outcome:
    """The faults of a run and their effects."""

    finding: Finding = field(default_factory=Finding)
    faults: Counter[str] = field(default_factory=Counter)
    visits: int = 0
    history: list[str] = field(default_factory=list, repr=False)


class Storm:
    """A run. The same seed has the same faults in the same order."""

    def __init__(self, here: Fleet, seed: str, pairs: int) -> None:
        self.outcome = Outcome()
        self._here = here
        self._seed = seed
        chance = random.Random(seed)
        self._run = chance.randbytes(8).hex()
        self._rooms = [str(uuid.UUID(bytes=chance.randbytes(16), version=4)) for _ in range(pairs)]
        self._ways: list[Balancer] = []
        self._pairs: list[tuple[Talker, Talker]] = []
        self._over = asyncio.Event()
        self._began = time.monotonic()

    async def run(self, weather: Weather, faults: int) -> None:
        """Cause so many faults while all pairs talk; then compare their ledgers."""
        async with AsyncExitStack() as stack, asyncio.TaskGroup() as everything:
            for number, room in enumerate(self._rooms):
                names = (f"alice-{number}", f"bob-{number}")
                pair = [await self._talker(stack, room, *two) for two in (names, names[::-1])]
                self._pairs.append((pair[0], pair[1]))
                everything.create_task(self._talk(*self._pairs[-1]))
            visiting = everything.create_task(self._visit(await self._way(stack, "eve")))
            async with asyncio.TaskGroup() as lanes:
                for lane in weather.lanes:
                    planned = schedule(self._seed, weather, lane, faults)
                    lanes.create_task(self._break(planned))
            visiting.cancel()
            self._over.set()
        for one, other in self._pairs:
            self.outcome.finding += one.finding(other)

    def _write(self, what: str) -> None:
        self.outcome.history.append(f"{time.monotonic() - self._began:7.2f} {what}")

    async def _way(self, stack: AsyncExitStack, name: str) -> Balancer:
        chance = random.Random(f"{self._seed} {name}")
        way = await stack.enter_async_context(Balancer(self._here.nodes, chance))
        self._ways.append(way)
        return way

    async def _talker(self, stack: AsyncExitStack, room: str, name: str, other: str) -> Talker:
        me = Label(self._run, room, name, 0)
        return Talker(me, other, self._seed, await self._way(stack, name), self._write)

    async def _talk(self, one: Talker, other: Talker) -> None:
        both_done = asyncio.Event()

        async def end() -> None:
            await self._over.wait()
            try:
                async with asyncio.timeout(_END_SECONDS):
                    while not (one.done.is_set() and other.done.is_set()):
                        await one.done.wait()
                        await other.done.wait()
            except TimeoutError:
                print(*self.outcome.history, one, other, sep="\n")
                raise
            both_done.set()

        async with asyncio.TaskGroup() as three:
            three.create_task(one.talk(self._over, both_done))
            three.create_task(other.talk(self._over, both_done))
            three.create_task(end())

    async def _visit(self, way: Balancer) -> None:
        """Try one room after the other as a third user; where let in, send a frame and leave."""
        chance = random.Random(f"{self._seed} visits")
        for talker in itertools.chain(*self._pairs):
            await talker.met.wait()
        while True:
            room = chance.choice(self._rooms)
            said = compose(Label(self._run, room, "eve", 1), random.Random(0))
            with contextlib.suppress(dyad.DyadError, TimeoutError):
                async with (
                    asyncio.timeout(_VISIT_SECONDS),
                    dyad.connect(
                        f"127.0.0.1:{way.port}",
                        token("eve", room=room),
                        plaintext=True,
                        limits=UNBOUND,
                    ) as connection,
                ):
                    await connection.create(resumable=False)
                    self.outcome.visits += 1
                    await connection.send_candidate(dyad.Candidate(str(said)))
                    await connection.leave()
            await asyncio.sleep(chance.random())

    async def _break(self, faults: Iterable[Fault]) -> None:
        for fault in faults:
            await asyncio.sleep(fault.pause)
            kind = fault.kind.name
            self._write(f"{kind} {fault.kind.value}; {fault.seconds:.2f} s, at {fault.at:.2f}")
            await self._cause(fault)
            self._write(f"{kind} is over")
            self.outcome.faults[fault.kind.name] += 1

    async def _cause(self, fault: Fault) -> None:
        node = self._here.nodes[int(fault.at * len(self._here.nodes))]
        if fault.kind in PROCESS:
            await _break_process(node, fault)
        elif fault.kind in NETWORK:
            await _break_network(node.networks[self._redis(fault)], fault)
        elif fault.kind in REDIS:
            await self._break_redis(fault)
        else:
            await _break_connection(self._ways[int(fault.at * len(self._ways))], fault)

    def _redis(self, fault: Fault) -> str:
        """The name of the Redis that a fault hits."""
        names = [*self._here.engines]
        return names[int(fault.at * _FINER) % len(names)]

    async def _break_redis(self, fault: Fault) -> None:
        name = self._redis(fault)
        engine = self._here.engines[name]
        networks = [node.networks[name] for node in self._here.nodes]
        match fault.kind:
            case Kind.EMPTIED:
                await engine.flush()
            case Kind.RESTARTED:
                await engine.restart(fault.seconds)
            case Kind.PROMOTED:
                await engine.replicate()
                await engine.promote(networks)
                for network in networks:
                    await network.cut()
            case Kind.STALLED:
                for network in networks:
                    network.stall()
                await asyncio.sleep(fault.seconds)
                for network in networks:
                    network.resume_forwarding()


async def _break_process(node: Node, fault: Fault) -> None:
    match fault.kind:
        case Kind.KILL:
            await node.kill()
            await asyncio.sleep(fault.seconds)
            await node.keep()
        case Kind.DRAIN:
            await node.drain()
            await node.keep()
        case Kind.FREEZE | Kind.BLINK:
            node.freeze()
            await asyncio.sleep(fault.seconds)
            node.thaw()


async def _break_network(network: Proxy, fault: Fault) -> None:
    match fault.kind:
        case Kind.CUT:
            await network.cut()
            return
        case Kind.ABANDONED:
            network.stall(new=False)
        case Kind.AWAY:
            network.stall()
        case Kind.DEAF:
            network.stall(Way.BACK)
        case Kind.MUTE:
            network.stall(Way.OUT)
    await asyncio.sleep(fault.seconds)
    network.resume_forwarding()


async def _break_connection(way: Balancer, fault: Fault) -> None:
    if fault.kind is Kind.SILENT:
        way.stall(new=False)
        await asyncio.sleep(fault.seconds)
    await way.cut()


async def storm(
    seed: str, weather: Weather, *, pairs: int, faults: int, redis: str = "a"
) -> Outcome:
    """Run a storm, with a Redis for each letter of `redis`.

    Raises:
        AssertionError: a node wrote a traceback.
        TimeoutError: a pair did not meet again.
    """
    async with fleet(redis=redis) as here:
        here_now = Storm(here, seed, pairs)
        await here_now.run(weather, faults)
        return here_now.outcome
