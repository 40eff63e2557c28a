"""What Dyad's figures should be at most; docs/performance.md lists the same."""

from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.bench.results import Results

# The name of an earlier version: --against before=FOLDER.
BEFORE = "before"


@dataclass(frozen=True)
class Target:
    """A figure of one server, divided by that of another unless there is none."""

    title: str
    measure: str
    figure: str
    most: float
    # Divided by the figure of this server, of the same measurement unless another is named.
    to: str = ""
    to_measure: str = ""
    server: str = "dyad"
    unit: str = ""

    def found(self, results: Results) -> list[float]:
        """What was measured, one value for each round."""
        if not self.to:
            return results.values(self.measure, self.server, self.figure)
        return results.ratios(
            (self.measure, self.server), (self.to_measure or self.measure, self.to), self.figure
        )


def _calls() -> Iterator[Target]:
    for title, to, most in (
        ("NestJS with WebSocket only", "nestjs-ws", 0.65),
        ("NestJS with default transports", "nestjs", 0.5),
        ("python-socketio", "python-socketio", 0.35),
        ("PeerJS server", "peerjs", 1.8),
    ):
        yield Target(f"a whole call, to {title}", "call", "cpu_ms", most, to)
    yield Target(
        "a whole call over a shared connection, to PeerJS server",
        "shared",
        "cpu_ms",
        1.0,
        "peerjs",
        to_measure="call",
    )


TARGETS = (
    *_calls(),
    Target("a saturated frame, to commit 2570448", "frame", "cpu_us", 0.4, BEFORE),
    Target("a frame at 3,000 a second, to commit 2570448", "paced", "cpu_us", 0.8, BEFORE),
    Target("CPU of idling, to commit 2570448", "idle-1k", "cpu_us_per_second", 1.0, BEFORE),
    Target("p99 at half of saturation", "p50", "p99_ms", 3.0, unit="ms"),
    Target("an idle participant of 1,000", "idle-1k", "kib", 36.0, unit="KiB"),
    Target("an idle participant of 10,000", "idle-10k", "kib", 36.0, unit="KiB"),
    Target("a call beside 10,000 rooms, to one beside 10", "growth", "ratio", 1.05),
    Target("a whole call, to Dyad on grpc.aio", "call", "cpu_ms", 0.75, "dyad-aio"),
    Target(
        "a whole call on grpc.aio, to the bare relay on it",
        "call",
        "cpu_ms",
        1.15,
        "bare-aio",
        server="dyad-aio",
    ),
    Target(
        "a saturated frame on grpc.aio, to the bare relay on it",
        "frame",
        "cpu_us",
        1.15,
        "bare-aio",
        server="dyad-aio",
    ),
)
