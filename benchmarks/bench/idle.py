"""Memory and CPU of participants that say nothing, and what a call costs beside many of them."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from benchmarks.bench.calls import call
from benchmarks.bench.common import Bench, Figures, total_cpu
from benchmarks.bench.generator import LoadError
from benchmarks.bench.servers import Running

# As long as a heartbeat of every participant takes: socket.io's come each 25 s.
_IDLE_SECONDS = 25
_OPEN_AT_ONCE = 32
# How long the load generator may take for each pair, on a busy machine.
_OPEN_SECONDS = 0.05
_QUICK_PARTICIPANTS = 20


def _group(running: Running) -> str:
    return f"idle {running.server.name}"


def _open(bench: Bench, running: Running, pairs: int, *, lone: bool = False) -> None:
    """Open pairs that only answer heartbeats; or lone participants over one connection."""
    bench.generator.run(
        "open",
        running.target,
        group=_group(running),
        count=pairs,
        at_once=_OPEN_AT_ONCE,
        idle=True,
        shared=lone,
        lone=lone,
        seconds=pairs * _OPEN_SECONDS,
    )


def _close(bench: Bench, running: Running) -> None:
    """Close them.

    Raises:
        LoadError: A connection had ended by itself.
    """
    lost = bench.generator.run("close", running.target, group=_group(running)).lost
    if lost:
        raise LoadError(
            f"{lost} idle connections ended by themselves; a machine that is too busy for "
            "their heartbeats ends them."
        )


def idle(
    participants: int,
) -> Callable[[Bench, Sequence[Running]], Mapping[str, Figures | LoadError]]:
    """Memory and CPU of so many participants of each server, over the same seconds."""

    def measure(bench: Bench, servers: Sequence[Running]) -> Mapping[str, Figures | LoadError]:
        count, seconds = (
            (_QUICK_PARTICIPANTS, 1.0) if bench.quick else (participants, _IDLE_SECONDS)
        )
        found: dict[str, Figures | LoadError] = {}
        memory = {}
        for running in servers:
            memory[running.server.name] = running.memory_kib()
            try:
                _open(bench, running, count // 2)
            except LoadError as error:
                found[running.server.name] = error
        began = time.monotonic()
        used = {running.server.name: total_cpu(running) for running in servers}
        time.sleep(seconds)
        elapsed = time.monotonic() - began
        for running in servers:
            name = running.server.name
            cpu = total_cpu(running) - used[name]
            figures = {
                "kib": (running.memory_kib() - memory[name]) / count,
                "cpu_us_per_second": cpu / elapsed / count * 1e6,
            }
            try:
                _close(bench, running)
            except LoadError as error:
                found.setdefault(name, error)
            found.setdefault(name, figures)
        return found

    return measure


_FEW_ROOMS = 10
_MANY_ROOMS = 10_000
# As long as a heartbeat of every participant takes.
_BASE_SECONDS = 10.0


@contextmanager
def _rooms(bench: Bench, running: Running, count: int) -> Iterator[None]:
    """So many rooms, each with one participant, over one connection."""
    try:
        _open(bench, running, count, lone=True)
        yield
    finally:
        _close(bench, running)


def growth(bench: Bench, running: Running) -> Figures:
    """What a call costs beside 10,000 rooms, divided by what it costs beside 10.

    The heartbeats of the rooms are measured by themselves, and taken off.
    """

    def beside(rooms: int) -> float:
        with _rooms(bench, running, rooms):
            before = total_cpu(running)
            seconds = 0.5 if bench.quick else _BASE_SECONDS
            time.sleep(seconds)
            base = (total_cpu(running) - before) / seconds
            figures = call(bench, running)
        # Of a core, what the calls alone took.
        return figures["cpu_ms"] * (1 - base / figures["server_busy"])

    few = beside(_FEW_ROOMS)
    many = beside(_FEW_ROOMS if bench.quick else _MANY_ROOMS)
    return {"ratio": many / few, "few_ms": few, "many_ms": many}
