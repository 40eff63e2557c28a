"""The metrics and probes of all workers, on one port.

Each worker serves its own, on loopback, on a port that the supervisor has reserved. The
supervisor asks them. It adds the label `worker` to each series, so that one scrape has the
metrics of all workers.
"""

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from dyad_server.ops import bounds
from dyad_server.ops.metrics_http import (
    LIVE,
    METRICS,
    READY,
    MetricsServer,
    Page,
    Pages,
    metrics_page,
    probe_page,
)

HOST = "127.0.0.1"


class _Answer(NamedTuple):
    """What a worker answered; without a status, it did not answer in time."""

    status: int
    body: str


@contextmanager
def serving_pages(host: str, port: int, pages: Pages) -> Iterator[None]:
    """Serve these pages in a thread of their own: the supervisor has no event loop.

    Raises:
        ConfigError: see `MetricsServer.start`.
    """
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="dyad-pages", daemon=True)
    thread.start()
    server = MetricsServer(pages)
    try:
        asyncio.run_coroutine_threadsafe(server.start(host, port), loop).result()
        yield
    finally:
        asyncio.run_coroutine_threadsafe(server.stop(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def pages_of_workers(ports: Sequence[int], stopping: Callable[[], bool]) -> Pages:
    """The pages of the workers that listen on `ports`; `stopping`: whether they are drained."""

    async def ask(path: str) -> list[tuple[int, _Answer]]:
        answers = await asyncio.gather(*(_ask(port, path) for port in ports))
        # A worker that refuses connections has crashed or is starting: others serve.
        return [(index, answer) for index, answer in enumerate(answers) if answer is not None]

    async def metrics() -> Page:
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Merged([(n, a.body) for n, a in await ask(METRICS) if a.status]))
        return metrics_page(registry)

    async def live() -> Page:
        hanging = [index for index, answer in await ask(LIVE) if not answer.status]
        return probe_page("alive", [f"worker {index} does not answer" for index in hanging])

    async def ready() -> Page:
        if stopping():
            return probe_page("ready", ["the server is draining"])
        answers = await ask(READY)
        if not answers:
            return probe_page("ready", ["the workers are starting"])
        return probe_page("ready", list(_reasons(answers)))

    return {METRICS: metrics, LIVE: live, READY: ready}


def _reasons(answers: Sequence[tuple[int, _Answer]]) -> Iterator[str]:
    for index, (status, body) in answers:
        if not status:
            yield f"worker {index} does not answer"
        elif status != HTTPStatus.OK:
            for line in body.splitlines():
                yield f"worker {index}: {line.removeprefix('not ready: ')}"


async def _ask(port: int, path: str) -> _Answer | None:
    """Ask a worker; None if it does not listen."""
    try:
        async with asyncio.timeout(bounds.WORKER_ANSWER_SECONDS):
            reader, writer = await asyncio.open_connection(HOST, port)
            try:
                writer.write(f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
                head, _, body = (await reader.read(-1)).partition(b"\r\n\r\n")
            finally:
                writer.close()
        if f"Content-Length: {len(body)}\r\n".encode() not in head:
            return None
        return _Answer(int(head.split(b" ", 2)[1]), body.decode())
    except TimeoutError:
        return _Answer(0, "")
    except (OSError, IndexError, ValueError):
        # It has ended, perhaps while it was answering.
        return None


class _Merged(Collector):
    """The metrics of several workers, each series with the label `worker`."""

    def __init__(self, texts: Sequence[tuple[int, str]]) -> None:
        self._texts = texts

    def collect(self) -> Iterator[Metric]:
        """See `Collector`."""
        families: dict[str, Metric] = {}
        for index, text in self._texts:
            for found in text_string_to_metric_families(text):
                family = families.setdefault(
                    found.name, Metric(found.name, found.documentation, found.type)
                )
                for sample in found.samples:
                    labels = sample.labels | {"worker": str(index)}
                    family.add_sample(sample.name, labels, sample.value)
        yield from families.values()
