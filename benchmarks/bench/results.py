"""Figures of all rounds, and the ratios between servers."""

import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field

Figures = dict[str, float]


@dataclass(frozen=True)
class Spread:
    """A median, with the least and the greatest value."""

    median: float
    least: float
    greatest: float


def spread(values: list[float]) -> Spread:
    """The spread of values; there must be one."""
    return Spread(statistics.median(values), min(values), max(values))


@dataclass
class Results:
    """What was measured: by measure, by server, one entry a round."""

    rounds: dict[str, dict[str, list[Figures | None]]] = field(default_factory=dict)
    # Why a server, or one of its measurements, is missing.
    missing: dict[str, str] = field(default_factory=dict)

    def add(self, measure: str, server: str, figures: Figures | None) -> None:
        """Note the figures of a round; None: it failed."""
        self.rounds.setdefault(measure, {}).setdefault(server, []).append(figures)

    def values(self, measure: str, server: str, figure: str) -> list[float]:
        """One figure of all rounds that succeeded."""
        found = self.rounds.get(measure, {}).get(server, [])
        return [one[figure] for one in found if one is not None and figure in one]

    def ratios(self, measure: str, server: str, to: str, figure: str) -> list[float]:
        """The figure of `server` in each round, divided by that of `to` in the same round."""
        of = self.rounds.get(measure, {})
        return [
            one[figure] / other[figure]
            for one, other in zip(of.get(server, []), of.get(to, []), strict=False)
            if one is not None and other is not None and other.get(figure)
        ]


# docs/performance.md: Dyad's figure divided by this peer's, at most.
TARGETS: Mapping[tuple[str, str], float] = {
    ("call", "nestjs-ws"): 0.65,
    ("call", "nestjs"): 0.5,
    ("call", "python-socketio"): 0.35,
    ("call", "peerjs"): 1.8,
    ("call", "bare-aio"): 1.15,
    ("frame", "bare-aio"): 1.15,
}

# Bounds of Dyad's own figures.
BOUNDS: Mapping[tuple[str, str], float] = {
    ("p50", "p99_ms"): 3.0,
    ("idle-1k", "kib"): 36.0,
    ("idle-10k", "kib"): 36.0,
}
