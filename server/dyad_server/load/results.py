"""The figures of a run, gathered from the reports of its processes: one point each second."""

from collections.abc import Sequence
from dataclasses import dataclass

from dyad_server.load.histogram import Histogram
from dyad_server.load.tally import Report, Tally


@dataclass(frozen=True, slots=True)
class Usage:
    """What the server uses.

    Attributes:
        cpu_seconds: its CPU time since it started.
        memory_bytes: its memory.
    """

    cpu_seconds: float
    memory_bytes: float


@dataclass(frozen=True, slots=True)
class Point:
    """What happened in about a second.

    Attributes:
        at: seconds from the start to its end.
        seconds: its length.
        started, failed: calls.
        open_calls: calls at its end.
        join_p50, join_p99, relay_p50, relay_p99: in seconds, if there were any.
        own_cores: CPU of the busiest process of the load generator, in cores.
        lag: how late an event loop of the load generator was at most, in seconds.
        server_cores: CPU of the server, in cores, if it can be measured.
        server_bytes: its memory.
    """

    at: float
    seconds: float
    started: int
    failed: int
    open_calls: int
    join_p50: float | None
    join_p99: float | None
    relay_p50: float | None
    relay_p99: float | None
    own_cores: float
    lag: float
    server_cores: float | None
    server_bytes: float | None

    @property
    def calls_per_second(self) -> float:
        """Calls that were started, by the second."""
        return self.started / self.seconds


class Results:
    """Gathers reports into points. It is handed the time.

    Attributes:
        tally: what all calls met.
        lag: how late the event loops of the load generator were.
        late: how late calls were started.
        points: one for each second.
        own_cpu: CPU seconds that the load generator has used.
        server_cpu: CPU seconds that the server has used in the run, if known.
    """

    def __init__(self, processes: int, began: float) -> None:
        """Gather what so many processes report, from the time `began`."""
        self.tally = Tally()
        self.lag = Histogram()
        self.late = Histogram()
        self.points: list[Point] = []
        self.own_cpu = 0.0
        self.server_cpu: float | None = None
        self._began = self._then = began
        self._heard = Report()
        self._open_calls = [0] * processes
        self._cores = [0.0] * processes
        self._to_hear = set(range(processes))
        self._usage: Usage | None = None

    @property
    def elapsed(self) -> float:
        """How long the points go on, in seconds."""
        return self._then - self._began

    @property
    def open_calls(self) -> int:
        """The calls that are open now, as far as reported."""
        return sum(self._open_calls)

    @property
    def complete(self) -> bool:
        """Whether each process has reported since the last point."""
        return not self._to_hear

    def begin(self, now: float, usage: Usage | None) -> None:
        """Let the first interval begin now, with what the server has used so far."""
        self._began = self._then = now
        self._usage = usage

    def hear(self, process: int, report: Report) -> None:
        """Add a report of a process."""
        self._heard.tally.merge(report.tally)
        self._heard.lag.merge(report.lag)
        self.tally.merge(report.tally)
        self.lag.merge(report.lag)
        self.late.merge(report.late)
        self._open_calls[process] = report.open_calls
        self._cores[process] = report.cores
        self.own_cpu += report.cpu_seconds
        self._to_hear.discard(process)

    def point(self, now: float, usage: Usage | None) -> Point:
        """End an interval, with what the server uses at its end."""
        seconds = max(now - self._then, 1e-9)
        heard, self._heard = self._heard, Report()
        join, relay = heard.tally.all_times("join"), heard.tally.all_times("relay")
        point = Point(
            at=now - self._began,
            seconds=seconds,
            started=heard.tally.started,
            failed=heard.tally.failed,
            open_calls=self.open_calls,
            join_p50=join.quantile(0.5),
            join_p99=join.quantile(0.99),
            relay_p50=relay.quantile(0.5),
            relay_p99=relay.quantile(0.99),
            own_cores=max(self._cores),
            lag=heard.lag.greatest,
            server_cores=self._server_cores(usage, seconds),
            server_bytes=None if usage is None else usage.memory_bytes,
        )
        self._then = now
        self._to_hear = set(range(len(self._cores)))
        self._usage = usage
        self.points.append(point)
        return point

    def _server_cores(self, usage: Usage | None, seconds: float) -> float | None:
        if usage is None or self._usage is None:
            return None
        used = usage.cpu_seconds - self._usage.cpu_seconds
        # A server that restarted begins at 0 again.
        if used < 0:
            return None
        self.server_cpu = (self.server_cpu or 0.0) + used
        return used / seconds


def mean(values: Sequence[float | None]) -> float | None:
    """The mean of what is known; None if nothing is."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
