"""What is measured of each server. Each measurement is one number, or a few, of one round."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from benchmarks.bench.generator import Generator, Load
from benchmarks.bench.servers import Running

# How much of the time a server is measured by: /proc counts CPU in 10 ms.
_CALL_CPU_SECONDS = 1.0
_WARM_UP_CALLS = 30
_CALLS_AT_ONCE = 8
_PAIRS = 8
# Candidates under way each way of each pair, where a server is to be saturated.
_WINDOW = 16
_FLOW_SECONDS = 1.5
_PACE = 3000
# Above this share of a core, what the generator uses may limit what is measured.
_BUSY = 0.9

Figures = dict[str, float]


@dataclass
class Bench:
    """What measurements share: the generator, and what earlier rounds found."""

    generator: Generator
    # Calls that take about `_CALL_CPU_SECONDS`, by server and kind of call.
    calls: dict[tuple[str, str], int]
    # Frames a second that saturate a server, by server.
    saturation: dict[str, float]

    # Tiny rounds, which show that everything works and nothing else.
    quick: bool

    def __init__(self, generator: Generator, *, quick: bool = False) -> None:
        self.generator = generator
        self.calls = {}
        self.saturation = {}
        self.quick = quick

    @property
    def flow_seconds(self) -> float:
        """How long frames are sent."""
        return 0.2 if self.quick else _FLOW_SECONDS


def _busy(load: Load, seconds: float, server_cpu: float) -> Figures:
    return {"generator_busy": load.cpu / seconds, "server_busy": server_cpu / seconds}


def _calls(bench: Bench, running: Running, kind: str, **options: bool) -> Figures:
    """CPU milliseconds of a call."""

    def make(count: int) -> tuple[float, Load]:
        before = running.cpu()
        load = bench.generator.run(
            "calls", running.target, count=count, at_once=_CALLS_AT_ONCE, **options
        )
        return running.cpu() - before, load

    key = (running.server.name, kind)
    if bench.quick:
        bench.calls[key] = _CALLS_AT_ONCE
    if key not in bench.calls:
        make(_WARM_UP_CALLS)
        cpu, _ = make(_WARM_UP_CALLS)
        bench.calls[key] = max(
            _WARM_UP_CALLS, int(_CALL_CPU_SECONDS / (cpu + 0.01) * _WARM_UP_CALLS)
        )
    count = bench.calls[key]
    cpu, load = make(count)
    return {"cpu_ms": cpu / count * 1e3, **_busy(load, load.seconds, cpu)}


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
    before = running.cpu()
    load = bench.generator.run("stream", running.target, group="pairs", **options)
    cpu = running.cpu() - before
    return {
        "cpu_us": cpu / load.frames * 1e6,
        "frames_per_second": load.frames / load.flow_seconds,
        "p50_ms": load.p50_ms,
        "p99_ms": load.p99_ms,
        **_busy(load, load.flow_seconds, cpu),
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


# One idle participant among so many; half as many pairs.
IDLE = (1_000, 10_000)
_IDLE_SECONDS = 25
_OPEN_AT_ONCE = 32


def idle(participants: int) -> Callable[[Bench, Running], Figures]:
    """Memory and CPU of a participant that says nothing but heartbeats."""

    def measure(bench: Bench, running: Running) -> Figures:
        before = running.memory_kib()
        bench.generator.run(
            "open",
            running.target,
            group="idle",
            count=participants // 2,
            at_once=_OPEN_AT_ONCE,
            idle=True,
        )
        used, began = running.cpu(), time.monotonic()
        time.sleep(1 if bench.quick else _IDLE_SECONDS)
        seconds = time.monotonic() - began
        cpu = running.cpu() - used
        memory = running.memory_kib() - before
        lost = bench.generator.run("close", running.target, group="idle").lost
        return {
            "kib": memory / participants,
            "cpu_us_per_second": cpu / seconds / participants * 1e6,
            "lost": lost,
        }

    measure.__doc__ = f"Memory and CPU of an idle participant among {participants:,}."
    return measure


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
    # Only where one network connection can carry many participants.
    shares: bool = False


MEASURES: Mapping[str, Measure] = {
    one.name: one
    for one in (
        Measure("call", "a whole call, own connections", call, "cpu_ms", "ms"),
        Measure(
            "shared", "a whole call, shared connection", shared_call, "cpu_ms", "ms", shares=True
        ),
        Measure("meeting", "two joins and a hang-up", meeting, "cpu_ms", "ms"),
        Measure("frame", "a frame, saturated", saturated_frame, "cpu_us", "µs"),
        Measure("paced", "a frame, at 3,000 a second", paced_frame, "cpu_us", "µs"),
        Measure("p25", "p99 at 25 % of saturation", _latency(0.25), "p99_ms", "ms"),
        Measure("p50", "p99 at 50 % of saturation", _latency(0.5), "p99_ms", "ms"),
        Measure("p75", "p99 at 75 % of saturation", _latency(0.75), "p99_ms", "ms"),
        Measure("idle-1k", "an idle participant of 1,000", idle(IDLE[0]), "kib", "KiB", once=True),
        Measure(
            "idle-10k", "an idle participant of 10,000", idle(IDLE[1]), "kib", "KiB", once=True
        ),
    )
}
