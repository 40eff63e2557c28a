"""What is measured of each server. Each measurement is one number, or a few, of one round."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.bench.calls import call, meeting, shared_call
from benchmarks.bench.common import Bench, Figures
from benchmarks.bench.frames import latency, paced_frame, saturated_frame
from benchmarks.bench.generator import LoadError
from benchmarks.bench.idle import growth, idle
from benchmarks.bench.servers import Running, Server

# What was found of each server, by its name; or why nothing was.
Found = Mapping[str, Figures | Exception]


@dataclass(frozen=True)
class Measure:
    """One kind of measurement."""

    name: str
    title: str
    run: Callable[[Bench, Sequence[Running]], Found]
    # The figure that is compared, with its unit.
    figure: str
    unit: str
    # All servers at the same time, since each only waits.
    together: bool = False
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


def _alone(measure: Callable[[Bench, Running], Figures]) -> Callable[..., Found]:
    """Measures one server."""

    def run(bench: Bench, servers: Sequence[Running]) -> Found:
        found: dict[str, Figures | Exception] = {}
        for running in servers:
            try:
                found[running.server.name] = measure(bench, running)
            except (LoadError, OSError, ZeroDivisionError) as error:
                found[running.server.name] = error
        return found

    return run


_ALL = (
    Measure("call", "a whole call, own connections", _alone(call), "cpu_ms", "ms"),
    Measure(
        "shared",
        "a whole call, shared connection",
        _alone(shared_call),
        "cpu_ms",
        "ms",
        instead="call",
    ),
    Measure("meeting", "two joins and a hang-up", _alone(meeting), "cpu_ms", "ms"),
    Measure("frame", "a frame, saturated", _alone(saturated_frame), "cpu_us", "µs"),
    Measure("paced", "a frame, at 3,000 a second", _alone(paced_frame), "cpu_us", "µs"),
    Measure("p25", "p99 at 25 % of saturation", _alone(latency(0.25)), "p99_ms", "ms"),
    Measure("p50", "p99 at 50 % of saturation", _alone(latency(0.5)), "p99_ms", "ms"),
    Measure("p75", "p99 at 75 % of saturation", _alone(latency(0.75)), "p99_ms", "ms"),
    Measure(
        "idle-1k",
        "an idle participant of 1,000",
        idle(1_000),
        "kib",
        "KiB",
        together=True,
        once=True,
    ),
    Measure(
        "idle-10k",
        "an idle participant of 10,000",
        idle(10_000),
        "kib",
        "KiB",
        once=True,
        servers=frozenset({"dyad", "bare-aio", "nestjs-ws"}),
    ),
    Measure(
        "growth",
        "a call beside 10,000 rooms, to one beside 10",
        _alone(growth),
        "ratio",
        "ratio",
        servers=frozenset({"dyad"}),
    ),
    Measure(
        "browser",
        "a browser's whole call, through a proxy",
        _alone(call),
        "cpu_ms",
        "ms",
        servers=frozenset({"dyad-browser", "nestjs-browser"}),
    ),
)

MEASURES: Mapping[str, Measure] = {one.name: one for one in _ALL}
