"""CPU and memory of the server: from its metrics, or from the system if it runs here."""

import contextlib
import socket
from collections.abc import Iterator
from typing import Protocol
from urllib.parse import SplitResult, urlsplit

import psutil

from dyad_server.errors import DyadError
from dyad_server.load.plan import Plan
from dyad_server.load.results import Usage
from dyad_server.metrics_page import Page, fetching, metrics_url


class ServerUsage(Protocol):
    """Measures a server."""

    @property
    def what(self) -> str:
        """What has been measured, for people; empty if nothing can be."""

    async def read(self) -> Usage | None:
        """What it uses now; None if it cannot be measured now."""


class LocalProcesses:
    """The processes that listen on ports of this machine, and their child processes."""

    def __init__(self, ports: set[int]) -> None:
        self._ports = ports
        self._processes: list[psutil.Process] = []
        # All that were seen, by their ids: a server may be restarted.
        self._names: dict[int, str] = {}
        self._look()

    @property
    def what(self) -> str:
        """See `ServerUsage`."""
        pids = ", ".join(map(str, self._names))
        return f"{' and '.join(sorted({*self._names.values()}))} (process {pids})" if pids else ""

    async def read(self) -> Usage | None:
        """See `ServerUsage.read`."""
        if not self._names:
            return None
        if not self._processes:
            self._look()
            return None
        cpu = memory = 0.0
        try:
            for process in self._all():
                with process.oneshot():
                    cpu += sum(process.cpu_times()[:2])
                    memory += process.memory_info().rss
        except psutil.Error:
            # One has ended, and perhaps another has taken its place, or soon will.
            self._look()
            return None
        return Usage(cpu, memory)

    def _look(self) -> None:
        self._processes = _listening(self._ports)
        with contextlib.suppress(psutil.Error):
            self._names |= {process.pid: process.name() for process in self._processes}

    def _all(self) -> Iterator[psutil.Process]:
        # The workers of one server listen on the same port, and are also its children.
        found = {process.pid: process for process in self._processes}
        for process in self._processes:
            found |= {child.pid: child for child in process.children(recursive=True)}
        yield from found.values()


class ItsMetrics:
    """A server that serves metrics."""

    def __init__(self, url: str) -> None:
        self._url = url

    @property
    def what(self) -> str:
        """See `ServerUsage`."""
        return self._url

    async def read(self) -> Usage | None:
        """See `ServerUsage.read`."""
        async with fetching() as fetch:
            try:
                return _usage(await fetch(self._url))
            except DyadError:
                return None


async def server_usage(plan: Plan) -> ServerUsage:
    """What can measure the server of this plan.

    Raises:
        DyadError: its metrics cannot be read.
    """
    if plan.metrics_url:
        url = metrics_url(plan.metrics_url)
        async with fetching() as fetch:
            # Said now, and not after the run.
            if _usage(await fetch(url)) is None:
                raise DyadError(f"--metrics-url: {url} has no figures of a process.")
        return ItsMetrics(url)
    places = [urlsplit(f"//{target}") for target in plan.targets] or [*map(urlsplit, plan.urls)]
    return LocalProcesses({port for place in places if (port := _local_port(place))})


def _usage(page: Page) -> Usage | None:
    cpu = page.total("process_cpu_seconds_total")
    memory = page.total("process_resident_memory_bytes")
    return None if cpu is None or memory is None else Usage(cpu, memory)


def _local_port(place: SplitResult) -> int | None:
    """The port of a place on this machine; None if it is elsewhere."""
    try:
        found = {str(info[4][0]) for info in socket.getaddrinfo(place.hostname, None)}
        port = place.port
    except (OSError, ValueError):
        return None
    own = {each.address for group in psutil.net_if_addrs().values() for each in group}
    return port if found & own else None


def _listening(ports: set[int]) -> list[psutil.Process]:
    found: list[psutil.Process] = []
    # Where the system does not tell whose a connection is, nothing is measured.
    with contextlib.suppress(psutil.Error):
        pids = {
            each.pid
            for each in psutil.net_connections(kind="tcp")
            if each.status == psutil.CONN_LISTEN and each.laddr and each.laddr.port in ports
        }
        found = [psutil.Process(pid) for pid in pids if pid is not None]
    return found
