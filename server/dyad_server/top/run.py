"""Looks at nodes again and again, and shows them."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from rich.console import Console
from rich.live import Live
from rich.table import Table

from dyad_server.core.clock import Clock
from dyad_server.errors import DyadError
from dyad_server.metrics_page import METRICS, Fetch, Page, fetching, metrics_url
from dyad_server.top import bounds
from dyad_server.top.figures import Figures, compare
from dyad_server.top.table import render


async def run(
    urls: Sequence[str], *, interval: float, once: bool, clock: Clock, console: Console
) -> int:
    """Show these nodes until cancelled; if `once`, one table after one interval.

    Returns:
        The exit status: 1 if a node did not answer, else 0.
    """
    nodes = [_Node(metrics_url(url)) for url in urls]
    async with fetching() as fetch:
        await _look(nodes, fetch, clock)
        if once:
            await asyncio.sleep(interval)
            await _look(nodes, fetch, clock)
            console.print(_table(nodes))
            return bounds.SILENT_STATUS if any(isinstance(n.shown, str) for n in nodes) else 0
        with _showing(console) as show:
            while True:
                show(_table(nodes))
                await asyncio.sleep(interval)
                await _look(nodes, fetch, clock)


@contextmanager
def _showing(console: Console) -> Iterator[Callable[[Table], None]]:
    """Shows each table in place of the one before; without a terminal, below it."""
    if not console.is_terminal:
        yield console.print
        return
    with Live(console=console, auto_refresh=False, screen=True) as live:
        yield partial(live.update, refresh=True)


class _Node:
    """A node, and what was seen of it last.

    Attributes:
        name: where it is.
        shown: its figures, or why there are none.
    """

    def __init__(self, url: str) -> None:
        self.name = url.removesuffix(METRICS).partition("://")[2]
        self.shown: Figures | str = ""
        self._url = url
        self._page: Page | None = None
        self._at = 0.0

    async def look(self, fetch: Fetch, clock: Clock) -> None:
        """Read its metrics once more."""
        try:
            page = await fetch(self._url)
        except DyadError as error:
            self._page = None
            self.shown = str(error)
            return
        now = clock.monotonic()
        self.shown = compare(self._page, page, now - self._at)
        self._page, self._at = page, now


def _table(nodes: Sequence[_Node]) -> Table:
    return render({node.name: node.shown for node in nodes})


async def _look(nodes: Sequence[_Node], fetch: Fetch, clock: Clock) -> None:
    await asyncio.gather(*(node.look(fetch, clock) for node in nodes))
