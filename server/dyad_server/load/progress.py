"""What is shown while a run goes on."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TaskProgressColumn, TimeRemainingColumn
from rich.text import Text

from dyad_server.load import bounds
from dyad_server.load.results import Point, Results


class Show(Protocol):
    """Shows how a run goes."""

    def point(self, point: Point, results: Results) -> None:
        """Show the figures of an interval."""

    def say(self, sentence: str) -> None:
        """Show what happens now."""


class _Screen:
    """A progress bar, with the figures of the last second below it."""

    def __init__(self, live: Live, duration: float) -> None:
        self._live = live
        self._duration = duration
        self._bar = Progress(
            BarColumn(None), TaskProgressColumn(), TimeRemainingColumn(compact=True), expand=True
        )
        self._task = self._bar.add_task("", total=duration)

    def point(self, point: Point, results: Results) -> None:
        """See `Show`."""
        self._bar.update(self._task, completed=min(point.at, self._duration))
        self._live.update(Group(self._bar, Text(_line(point, results))))

    def say(self, sentence: str) -> None:
        """See `Show`."""
        self._live.console.print(Text(sentence))


class _Lines:
    """A line now and then, for a log file."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._next = bounds.LINE_SECONDS

    def point(self, point: Point, results: Results) -> None:
        """See `Show`."""
        if point.at >= self._next:
            self._next = point.at + bounds.LINE_SECONDS
            self.say(f"{point.at:.0f} s: {_line(point, results)}")

    def say(self, sentence: str) -> None:
        """See `Show`."""
        self._console.print(Text(sentence), soft_wrap=True)


@contextmanager
def showing(console: Console, duration: float) -> Iterator[Show]:
    """Show a run of this many seconds on a terminal, or in lines where there is none."""
    if not console.is_terminal:
        yield _Lines(console)
        return
    with Live(console=console, transient=True, refresh_per_second=4) as live:
        yield _Screen(live, duration)


def _line(point: Point, results: Results) -> str:
    parts = [
        f"{results.tally.started:,} calls",
        f"{point.open_calls:,} at once",
        f"{results.tally.failed:,} failed",
        f"{point.calls_per_second:.1f} a second",
    ]
    if point.join_p99 is not None:
        parts.append(f"join p99 {1000 * point.join_p99:.1f} ms")
    if point.relay_p99 is not None:
        parts.append(f"relay p99 {1000 * point.relay_p99:.1f} ms")
    if point.server_cores is not None and point.server_bytes is not None:
        memory = point.server_bytes / bounds.MEBIBYTE
        parts.append(f"server {point.server_cores:.2f} cores, {memory:,.0f} MiB")
    parts.append(f"load generator {point.own_cores:.2f} cores, lag {1000 * point.lag:.0f} ms")
    return ", ".join(parts)
