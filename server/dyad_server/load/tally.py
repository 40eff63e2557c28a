"""What calls met, as numbers that can be added up over processes and intervals."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field, fields, replace
from typing import NamedTuple

from dyad_server.load.direction import Direction
from dyad_server.load.histogram import Histogram


class Failure(NamedTuple):
    """Why a call failed.

    Attributes:
        step: what the call was doing.
        status: the gRPC status, the code of a refused frame, or `TIMEOUT` and the like.
        reason: a sentence.
    """

    step: str
    status: str
    reason: str


@dataclass(slots=True)
class Tally:
    """Counts of calls and frames, and times.

    Attributes:
        started: calls that were begun.
        made: calls that went through all steps, with each frame checked.
        failures: the others, by reason.
        not_started: calls that were due, but had no free user.
        frames: frames that arrived, from peer to peer.
        lost, doubled, reordered, altered: frames that did not arrive as they were sent.
        reconnects: connections that broke and were resumed without loss.
        times: by what was measured.
    """

    started: int = 0
    made: int = 0
    not_started: int = 0
    frames: int = 0
    lost: int = 0
    doubled: int = 0
    reordered: int = 0
    altered: int = 0
    reconnects: int = 0
    failures: Counter[Failure] = field(default_factory=Counter)
    times: defaultdict[str, Histogram] = field(default_factory=lambda: defaultdict(Histogram))

    @property
    def failed(self) -> int:
        """How many calls failed."""
        return self.failures.total()

    @property
    def ended(self) -> int:
        """How many calls are over."""
        return self.made + self.failed

    def call_over(self, failure: Failure | None) -> None:
        """Count a call that is over."""
        if failure is None:
            self.made += 1
        else:
            self.failures[failure] += 1

    def call_started(self) -> None:
        """Count a call that begins."""
        self.started += 1

    def call_left_out(self) -> None:
        """Count a call that was due, but cannot begin."""
        self.not_started += 1

    def check(self, direction: Direction, *, whole: bool) -> None:
        """Count what arrived in one direction of a call.

        Args:
            direction: what was sent and what arrived.
            whole: whether the call lasted until all should have arrived.
        """
        self.frames += direction.arrived
        self.doubled += direction.doubled
        self.reordered += direction.reordered
        self.altered += direction.altered
        if whole:
            self.lost += direction.lost

    def reconnected(self) -> None:
        """Count a connection that broke and was resumed."""
        self.reconnects += 1

    def merge(self, other: "Tally") -> None:
        """Add the numbers of `other`."""
        for each in fields(self):
            value = getattr(other, each.name)
            if isinstance(value, int):
                setattr(self, each.name, getattr(self, each.name) + value)
        self.failures.update(other.failures)
        for name, times in other.times.items():
            self.times[name].merge(times)

    def all_times(self, prefix: str) -> Histogram:
        """All times of a kind, over both transports."""
        merged = Histogram()
        for name, times in self.times.items():
            if name.split(" ", 1)[0] == prefix:
                merged.merge(times)
        return merged


@dataclass(slots=True)
class Report:
    """What a process tells of the time since its last report.

    Attributes:
        tally: what its calls met.
        open_calls: the calls that it has now.
        seconds: how long ago that was.
        cpu_seconds: its CPU time since then.
        lag: how late its event loop ran timers.
        late: how late it started calls.
    """

    tally: Tally = field(default_factory=Tally)
    open_calls: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    lag: Histogram = field(default_factory=Histogram)
    late: Histogram = field(default_factory=Histogram)

    @property
    def cores(self) -> float:
        """Its CPU, in cores."""
        return self.cpu_seconds / self.seconds if self.seconds else 0.0

    def at_the_end(self, open_calls: int, *, seconds: float, cpu_seconds: float) -> "Report":
        """This report, with what is known when it is sent."""
        return replace(self, open_calls=open_calls, seconds=seconds, cpu_seconds=cpu_seconds)
