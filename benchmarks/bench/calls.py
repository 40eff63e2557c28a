"""CPU of whole calls."""

from benchmarks.bench.common import Bench, Figures, Meter, total_cpu
from benchmarks.bench.generator import Load
from benchmarks.bench.servers import Running

# How much of the time a server is measured by: /proc counts CPU in 10 ms.
_CPU_SECONDS = 1.0
_WARM_UP_CALLS = 30
_QUICK_CALLS = 8


def _calls(bench: Bench, running: Running, kind: str, **options: bool) -> Figures:
    """CPU milliseconds of a call."""

    def make(count: int) -> Load:
        return bench.generator.run(
            "calls", running.target, count=count, at_once=running.server.calls_at_once, **options
        )

    key = (running.server.name, kind)
    if bench.quick:
        bench.calls[key] = _QUICK_CALLS
    if key not in bench.calls:
        make(_WARM_UP_CALLS)
        before = total_cpu(running)
        make(_WARM_UP_CALLS)
        each = (total_cpu(running) - before + 0.01) / _WARM_UP_CALLS
        bench.calls[key] = max(_WARM_UP_CALLS, int(_CPU_SECONDS / each))
    count = bench.calls[key]
    meter = Meter(running)
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
