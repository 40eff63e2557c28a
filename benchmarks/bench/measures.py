"""What is measured of each server. Each measurement is one number, or a few, of one round."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from benchmarks.bench.generator import Generator, Load, LoadError
from benchmarks.bench.servers import MAIN, Running, Server

# How much of the time a server is measured by: /proc counts CPU in 10 ms.
_CALL_CPU_SECONDS = 1.0
_WARM_UP_CALLS = 30
_CALLS_AT_ONCE = 8
_PAIRS = 8
# Candidates under way each way of each pair, where a server is to be saturated.
_WINDOW = 16
_FLOW_SECONDS = 1.5
_PACE = 3000

Figures = dict[str, float]


@dataclass
class Bench:
    """What measurements share: the generator, and what earlier rounds found."""

    generator: Generator
    # Tiny rounds, which show that everything works and nothing else.
    quick: bool = False
    # Calls that take about `_CALL_CPU_SECONDS`, by server and kind of call.
    calls: dict[tuple[str, str], int] = field(default_factory=dict)
    # Frames a second that saturate a server, by server.
    saturation: dict[str, float] = field(default_factory=dict)

    @property
    def flow_seconds(self) -> float:
        """How long frames are sent."""
        return 0.2 if self.quick else _FLOW_SECONDS


class _Meter:
    """The CPU that a server uses from now on."""

    def __init__(self, running: Running) -> None:
        self._running = running
        self._before = running.cpu()

    def read(self, unit: str, scale: float, load: Load, seconds: float) -> Figures:
        """All of it, in `unit`, and what is not the server itself by its name."""
        used = {name: cpu - self._before[name] for name, cpu in self._running.cpu().items()}
        total = sum(used.values())
        return {
            f"cpu_{unit}": total * scale,
            **{f"of it {name}": cpu * scale for name, cpu in used.items() if name != MAIN},
            "generator_busy": load.cpu / seconds,
            "server_busy": total / seconds,
        }


def _total_cpu(running: Running) -> float:
    return sum(running.cpu().values())


def _calls(bench: Bench, running: Running, kind: str, **options: bool) -> Figures:
    """CPU milliseconds of a call."""

    def make(count: int) -> Load:
        return bench.generator.run(
            "calls", running.target, count=count, at_once=_CALLS_AT_ONCE, **options
        )

    key = (running.server.name, kind)
    if bench.quick:
        bench.calls[key] = _CALLS_AT_ONCE
    if key not in bench.calls:
        make(_WARM_UP_CALLS)
        before = _total_cpu(running)
        make(_WARM_UP_CALLS)
        each = (_total_cpu(running) - before + 0.01) / _WARM_UP_CALLS
        bench.calls[key] = max(_WARM_UP_CALLS, int(_CALL_CPU_SECONDS / each))
    count = bench.calls[key]
    meter = _Meter(running)
    load = make(count)
    return meter.read("ms", 1e3 / count, load, load.seconds)


def call(bench: Bench, running: Running) -> Figures:
    """A whole call, where each participant has a connection of its own."""
    return _calls(bench, running, "call", talk=True)


def shared_call(bench: Bench, running: Running) -> Figures:
    """A whole call, where all participants share one connection, as behind a proxy."""
    return _calls(bench, running, "shared", talk=True, shared=True)


def meeting(bench: Bench, running: Running) -> Figures:
    """Two connections, two joins and a hang-up: a call without what the two say."""
    return _calls(bench, running, "meeting", talk=False)


@contextmanager
def _pairs(bench: Bench, running: Running) -> Iterator[None]:
    bench.generator.run("open", running.target, group="pairs", count=_PAIRS, at_once=_PAIRS)
    try:
        yield
    finally:
        bench.generator.run("close", running.target, group="pairs")


def _stream(bench: Bench, running: Running, **options: float) -> Figures:
    meter = _Meter(running)
    load = bench.generator.run("stream", running.target, group="pairs", **options)
    return {
        **meter.read("us", 1e6 / load.frames, load, load.flow_seconds),
        "frames_per_second": load.frames / load.flow_seconds,
        "p50_ms": load.p50_ms,
        "p99_ms": load.p99_ms,
    }


def saturated_frame(bench: Bench, running: Running) -> Figures:
    """A candidate forwarded, while the server has as many as it can take."""
    with _pairs(bench, running):
        figures = _stream(bench, running, seconds=bench.flow_seconds, window=_WINDOW)
    bench.saturation[running.server.name] = figures["frames_per_second"]
    return figures


def paced_frame(bench: Bench, running: Running) -> Figures:
    """A candidate forwarded, at 3,000 a second."""
    with _pairs(bench, running):
        return _stream(bench, running, seconds=bench.flow_seconds, rate=_PACE)


def _latency(share: float) -> Callable[[Bench, Running], Figures]:
    def measure(bench: Bench, running: Running) -> Figures:
        name = running.server.name
        if name not in bench.saturation:
            saturated_frame(bench, running)
        with _pairs(bench, running):
            return _stream(
                bench, running, seconds=bench.flow_seconds, rate=share * bench.saturation[name]
            )

    measure.__doc__ = f"Latency of a candidate at {share:.0%} of what saturates the server."
    return measure


# Each waits as long as it takes for a heartbeat of every participant: socket.io's come each 25 s.
_IDLE_SECONDS = 25
_OPEN_AT_ONCE = 32


def idle(participants: int, seconds: float) -> Callable[[Bench, Running], Figures]:
    """Memory and CPU of a participant that says nothing but heartbeats, over so many seconds."""

    def measure(bench: Bench, running: Running) -> Figures:
        count, wait = (20, 1.0) if bench.quick else (participants, seconds)
        before = running.memory_kib()
        with _idle_pairs(bench, running, count // 2):
            used, began = _total_cpu(running), time.monotonic()
            time.sleep(wait)
            elapsed = time.monotonic() - began
            cpu = _total_cpu(running) - used
            memory = running.memory_kib() - before
        return {
            "kib": memory / count,
            "cpu_us_per_second": cpu / elapsed / count * 1e6,
        }

    measure.__doc__ = f"Memory and CPU of an idle participant among {participants:,}."
    return measure


@contextmanager
def _idle_pairs(
    bench: Bench, running: Running, count: int, *, lone: bool = False
) -> Iterator[None]:
    """So many pairs that only answer heartbeats; or lone participants over one connection.

    Raises:
        LoadError: A connection ended by itself.
    """
    options = {"count": count, "at_once": _OPEN_AT_ONCE, "idle": True, "shared": lone, "lone": lone}
    try:
        bench.generator.run("open", running.target, group="idle", **options)
        yield
    finally:
        lost = bench.generator.run("close", running.target, group="idle").lost
    if lost:
        raise LoadError(f"{lost} idle connections ended by themselves.")


_FEW_ROOMS = 10
_MANY_ROOMS = 10_000
# As long as a heartbeat of every participant takes.
_BASE_SECONDS = 10.0


def growth(bench: Bench, running: Running) -> Figures:
    """What a call costs beside 10,000 rooms, divided by what it costs beside 10.

    The heartbeats of the rooms are measured by themselves, and taken off.
    """

    def beside(rooms: int) -> float:
        with _idle_pairs(bench, running, rooms, lone=True):
            before = _total_cpu(running)
            seconds = 0.5 if bench.quick else _BASE_SECONDS
            time.sleep(seconds)
            base = (_total_cpu(running) - before) / seconds
            figures = call(bench, running)
        # Of a core, what the calls alone took.
        return figures["cpu_ms"] * (1 - base / figures["server_busy"])

    few = beside(_FEW_ROOMS)
    many = beside(_FEW_ROOMS if bench.quick else _MANY_ROOMS)
    return {"ratio": many / few, "few_ms": few, "many_ms": many}


@dataclass(frozen=True)
class Measure:
    """One kind of measurement."""

    name: str
    title: str
    run: Callable[[Bench, Running], Figures]
    # The figure that is compared, with its unit.
    figure: str
    unit: str
    # Long enough that one round does.
    once: bool = False
    # Only where one network connection can carry many participants. Other servers are
    # compared by this other measurement.
    instead: str = ""
    # The only servers that it is for; all, where there are none.
    servers: frozenset[str] = frozenset()

    def applies(self, server: Server) -> bool:
        """Whether a server is measured by it."""
        return (
            (server.shares or not self.instead)
            and (not self.servers or server.name in self.servers)
            and (not server.measures or self.name in server.measures)
        )


MEASURES: Mapping[str, Measure] = {
    one.name: one
    for one in (
        Measure("call", "a whole call, own connections", call, "cpu_ms", "ms"),
        Measure(
            "shared", "a whole call, shared connection", shared_call, "cpu_ms", "ms", instead="call"
        ),
        Measure("meeting", "two joins and a hang-up", meeting, "cpu_ms", "ms"),
        Measure("frame", "a frame, saturated", saturated_frame, "cpu_us", "µs"),
        Measure("paced", "a frame, at 3,000 a second", paced_frame, "cpu_us", "µs"),
        Measure("p25", "p99 at 25 % of saturation", _latency(0.25), "p99_ms", "ms"),
        Measure("p50", "p99 at 50 % of saturation", _latency(0.5), "p99_ms", "ms"),
        Measure("p75", "p99 at 75 % of saturation", _latency(0.75), "p99_ms", "ms"),
        Measure("idle-1k", "an idle participant of 1,000", idle(1_000, 2), "kib", "KiB", once=True),
        Measure(
            "idle-10k",
            "an idle participant of 10,000",
            idle(10_000, _IDLE_SECONDS),
            "kib",
            "KiB",
            once=True,
        ),
        Measure(
            "growth",
            "a call beside 10,000 rooms, to one beside 10",
            growth,
            "ratio",
            "ratio",
            servers=frozenset({"dyad"}),
        ),
        Measure(
            "browser",
            "a browser's whole call, through a proxy",
            call,
            "cpu_ms",
            "ms",
            servers=frozenset({"dyad-browser", "nestjs-browser"}),
        ),
    )
}
