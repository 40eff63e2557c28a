"""CPU and latency of a frame."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from benchmarks.bench.common import Bench, Figures, Meter
from benchmarks.bench.servers import Running

_PAIRS = 8
# Candidates under way each way of each pair, where a server is to be saturated.
_WINDOW = 16
_CPU_SECONDS = 1.5
_LATENCY_SECONDS = 1.0
_QUICK_SECONDS = 0.2
_PACE = 3000


@contextmanager
def _pairs(bench: Bench, running: Running) -> Iterator[None]:
    bench.generator.run("open", running.target, group="pairs", count=_PAIRS, at_once=_PAIRS)
    try:
        yield
    finally:
        bench.generator.run("close", running.target, group="pairs")


def _stream(bench: Bench, running: Running, seconds: float, **options: float) -> Figures:
    meter = Meter(running)
    load = bench.generator.run(
        "stream",
        running.target,
        group="pairs",
        seconds=_QUICK_SECONDS if bench.quick else seconds,
        **options,
    )
    return {
        **meter.read("us", 1e6 / load.frames, load, load.flow_seconds),
        "frames_per_second": load.frames / load.flow_seconds,
        "p50_ms": load.p50_ms,
        "p99_ms": load.p99_ms,
    }


def saturated_frame(bench: Bench, running: Running) -> Figures:
    """A candidate forwarded, while the server has as many as it can take."""
    with _pairs(bench, running):
        figures = _stream(bench, running, _CPU_SECONDS, window=_WINDOW)
    bench.saturation[running.server.name] = figures["frames_per_second"]
    return figures


def paced_frame(bench: Bench, running: Running) -> Figures:
    """A candidate forwarded, at 3,000 a second."""
    with _pairs(bench, running):
        return _stream(bench, running, _CPU_SECONDS, rate=_PACE)


def latency(share: float) -> Callable[[Bench, Running], Figures]:
    """Latency of a candidate at this part of the rate that saturates the server."""

    def measure(bench: Bench, running: Running) -> Figures:
        name = running.server.name
        if name not in bench.saturation:
            saturated_frame(bench, running)
        with _pairs(bench, running):
            rate = share * bench.saturation[name]
            return _stream(bench, running, _LATENCY_SECONDS, rate=rate)

    return measure
