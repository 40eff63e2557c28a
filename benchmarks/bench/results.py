"""Figures of all rounds, and the ratios between servers."""

import statistics
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
        return [
            one[figure] for one in self._of(measure, server) if one is not None and figure in one
        ]

    def figures(self, measure: str, server: str) -> list[str]:
        """The names of the figures of a measurement."""
        found = self._of(measure, server)
        return list(dict.fromkeys(name for one in found if one is not None for name in one))

    def ratios(self, one: tuple[str, str], other: tuple[str, str], figure: str) -> list[float]:
        """A figure in each round, divided by another in the same round.

        Both are named by measure and server.
        """
        pairs = zip(self._of(*one), self._of(*other), strict=False)
        return [
            this[figure] / that[figure]
            for this, that in pairs
            if this is not None and that is not None and that.get(figure)
        ]

    def _of(self, measure: str, server: str) -> list[Figures | None]:
        return self.rounds.get(measure, {}).get(server, [])
