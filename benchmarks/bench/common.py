"""What measurements share."""

from dataclasses import dataclass, field

from benchmarks.bench.generator import Generator, Load
from benchmarks.bench.servers import MAIN, Running

Figures = dict[str, float]


@dataclass
class Bench:
    """What measurements share: the generator, and what earlier rounds found."""

    generator: Generator
    # Tiny rounds, which show that everything works and nothing else.
    quick: bool = False
    # Calls that take about a second of CPU, by server and kind of call.
    calls: dict[tuple[str, str], int] = field(default_factory=dict)
    # Frames a second that saturate a server, by server.
    saturation: dict[str, float] = field(default_factory=dict)


class Meter:
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


def total_cpu(running: Running) -> float:
    """CPU seconds that all its parts have used."""
    return sum(running.cpu().values())
