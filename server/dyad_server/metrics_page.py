"""Reads the metrics page of a node, as `ops` writes it and Prometheus reads it."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from dyad_server import bounds
from dyad_server.errors import DyadError

METRICS = "/metrics"
"""The usual path of the page."""


def metrics_url(text: str) -> str:
    """The URL of a node's metrics, where perhaps only a host and its port were given."""
    full = text if "://" in text else f"http://{text}"
    path = full.partition("://")[2].partition("/")[2]
    return full if path else f"{full.rstrip('/')}{METRICS}"


class Page:
    """The samples of a page. Workers of one node are added up."""

    def __init__(self, text: str) -> None:
        """Read the text of a page.

        Raises:
            ValueError: it is no such text.
        """
        self._samples: dict[str, list[tuple[Mapping[str, str], float]]] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                self._samples.setdefault(sample.name, []).append((sample.labels, sample.value))

    def total(self, name: str, **labels: str) -> float | None:
        """The sum of all samples of this name with these labels; None if there is none."""
        values = [
            value for found, value in self._samples.get(name, ()) if labels.items() <= found.items()
        ]
        return sum(values) if values else None

    def least(self, name: str) -> float | None:
        """The least sample of this name; None if there is none."""
        return min((value for _, value in self._samples.get(name, ())), default=None)

    def by(self, name: str, label: str) -> dict[str, float]:
        """The samples of this name, added up by the value of a label."""
        sums: dict[str, float] = {}
        for labels, value in self._samples.get(name, ()):
            if label in labels:
                sums[labels[label]] = sums.get(labels[label], 0.0) + value
        return sums


Fetch = Callable[[str], Awaitable[Page]]
"""Reads the page at a URL; raises `DyadError` if that fails."""


@asynccontextmanager
async def fetching() -> AsyncIterator[Fetch]:
    """What reads pages, while the context lasts."""
    timeout = aiohttp.ClientTimeout(total=bounds.METRICS_SECONDS)
    async with aiohttp.ClientSession(timeout=timeout) as session:

        async def fetch(url: str) -> Page:
            try:
                async with session.get(url) as response:
                    if response.status != HTTPStatus.OK:
                        raise DyadError(f"{url} answered HTTP {response.status}.")
                    return Page(await response.text())
            except (aiohttp.ClientConnectorError, ConnectionError):
                raise DyadError(f"Nothing answers at {url}.") from None
            except TimeoutError:
                raise DyadError(f"{url} does not answer in time.") from None
            except (aiohttp.ClientError, ValueError):
                raise DyadError(f"{url} is no page of metrics.") from None

        yield fetch
