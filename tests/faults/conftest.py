from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from tests.faults.site import Site, Watch, site


@pytest.fixture
def watched(record_property: Callable[[str, object], None]) -> Watch:
    """`site`, with the delays of its pair in the summary."""

    @asynccontextmanager
    async def watch(*options: str) -> AsyncIterator[Site]:
        async with site(*options) as watched_site:
            yield watched_site
        background = watched_site.background
        record_property(
            "background",
            f"{background.p99 * 1000:6.1f} ms of {background.frames:5d}, "
            f"slowness {background.slowness:3.1f}",
        )

    return watch


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Report how long the frames of the background calls took."""
    rows = [
        (dict(report.user_properties).get("background"), report.nodeid.rpartition("::")[2])
        for report in terminalreporter.getreports("passed")
    ]
    if rows := [row for row in rows if row[0]]:
        terminalreporter.section("p99 of the frames beside each fault")
        for seen, name in rows:
            terminalreporter.write_line(f"{seen}  {name}")
