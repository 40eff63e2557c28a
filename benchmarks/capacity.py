"""Measures the CPU and memory that one process spends on a participant and on a call.

Run: python -m benchmarks.capacity [--rounds 5] [--idle 500] [--calls 200]

Every participant has its own network connection, as if each used its own device.
"""

import argparse
import asyncio
import secrets
import statistics
import time
from pathlib import Path

import dyad
from dyad_server.auth.mint import mint

from benchmarks.nodes import CANDIDATE, cpu_seconds
from tests.support.process import dyad_serve

SECRET = secrets.token_hex(32)
CANDIDATES = 10
AT_ONCE = 20
IDLE_SECONDS = 20


def resident_kib(pid: int) -> int:
    """The resident memory of a process."""
    (line,) = [
        line
        for line in Path(f"/proc/{pid}/status").read_text().splitlines()
        if line.startswith("VmRSS")
    ]
    return int(line.split()[1])


def token(sub: str) -> str:
    """A JWT for `sub`."""
    return mint(SECRET, sub=sub, email=f"{sub}@example.com", ttl=3600)


async def call(target: str, number: int) -> None:
    """One whole call: connect, join, offer, answer, candidates both ways, hang up."""
    async with (
        dyad.connect(target, token(f"alice-{number}")) as alice,
        dyad.connect(target, token(f"bob-{number}")) as bob,
    ):
        room = await alice.create()
        await bob.join(room.room_id)
        await alice.send_offer("v=0\r\n" * 400)
        for _ in range(CANDIDATES):
            await alice.send_candidate(CANDIDATE)
        heard = aiter(bob)
        for _ in range(1 + CANDIDATES):
            await anext(heard)
        await bob.send_answer("v=0\r\n" * 400)
        for _ in range(CANDIDATES):
            await bob.send_candidate(CANDIDATE)
        heard = aiter(alice)
        for _ in range(2 + CANDIDATES):
            await anext(heard)
        await alice.leave()


async def cost_of_calls(target: str, pid: int, calls: int) -> float:
    """The server CPU of a call, in milliseconds."""
    before = cpu_seconds(pid)
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(number: int) -> None:
        async with gate:
            await call(target, number)

    await asyncio.gather(*(one(number) for number in range(calls)))
    return (cpu_seconds(pid) - before) / calls * 1e3


async def cost_of_idling(target: str, pid: int, participants: int) -> tuple[float, float]:
    """The memory in KiB, and CPU in milliseconds a minute, of a participant that only waits."""
    before = resident_kib(pid)
    connections = [dyad.connect(target, token(f"idle-{n}")) for n in range(participants)]
    for connection in connections:
        await connection.__aenter__()
        await connection.create()
    memory = (resident_kib(pid) - before) / participants
    used, began = cpu_seconds(pid), time.monotonic()
    await asyncio.sleep(IDLE_SECONDS)
    minutes = (time.monotonic() - began) / 60
    cpu = (cpu_seconds(pid) - used) / participants / minutes * 1e3
    for connection in connections:
        await connection.__aexit__(None, None, None)
    return memory, cpu


async def main(rounds: int, idle: int, calls: int) -> None:
    """Measure, and print the results."""
    async with dyad_serve(SECRET, "--max-streams-per-address", "100000") as served:
        target, pid = f"127.0.0.1:{served.port}", served.process.pid
        costs = []
        for number in range(rounds + 1):
            costs.append(await cost_of_calls(target, pid, calls))
            print(f"  round {number} of {rounds}", flush=True)
        # The first round only warms up.
        print(f"a whole call      {statistics.median(costs[1:]):6.2f} ms of CPU")
        memory, cpu = await cost_of_idling(target, pid, idle)
        print(f"an idle stream    {memory:6.1f} KiB, {cpu:.2f} ms of CPU a minute")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--idle", type=int, default=500)
    parser.add_argument("--calls", type=int, default=200)
    options = parser.parse_args()
    asyncio.run(main(options.rounds, options.idle, options.calls))
