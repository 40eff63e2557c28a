"""Prometheus metrics: participants, events, and the reasons why sessions ended."""

from collections.abc import Iterator, Mapping

import prometheus_client as prometheus
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from dyad_server.core import events
from dyad_server.core.events import Output
from dyad_server.errors import Ended

_TOLD = (
    events.Joined,
    events.PeerJoined,
    events.Left,
    events.PeerLeft,
    events.Forwarded,
    events.Refused,
)


class _Events(Collector):
    """Reports the numbers of events. Counting with a `Counter` would take 2 µs a frame."""

    def __init__(self, delivered: Mapping[type[events.Event], int]) -> None:
        self._delivered = delivered

    def collect(self) -> Iterator[Metric]:
        """See `Collector`."""
        family = CounterMetricFamily(
            "dyad_events", "Events sent to participants, by kind.", labels=["kind"]
        )
        for kind, number in self._delivered.items():
            family.add_metric([kind.__name__], number)
        yield family

    def describe(self) -> Iterator[Metric]:
        """The same, so that a registry knows the name."""
        return self.collect()


class MetricsObserver:
    """A `ports.Observer` that counts, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = prometheus.CollectorRegistry()
        self._participants = prometheus.Gauge(
            "dyad_participants", "Sessions open now.", registry=self.registry
        )
        self._ended = prometheus.Counter(
            "dyad_sessions_ended", "Sessions ended, by reason.", ["reason"], registry=self.registry
        )
        self._reserved = prometheus.Counter(
            "dyad_seats_reserved",
            "Seats reserved after a broken connection.",
            registry=self.registry,
        )
        self._resumed = prometheus.Counter(
            "dyad_seats_resumed", "Reserved seats that were resumed.", registry=self.registry
        )
        handed_off = prometheus.Counter(
            "dyad_seats_handed_off",
            "Seats that a drain handed off, or lost, by outcome.",
            ["outcome"],
            registry=self.registry,
        )
        self._handed_off = {True: handed_off.labels("kept"), False: handed_off.labels("lost")}
        self._delivered: dict[type[events.Event], int] = dict.fromkeys(_TOLD, 0)
        self.registry.register(_Events(self._delivered))

    def opened(self, participants: int) -> None:
        """See `ports.Observer`."""
        self._participants.set(participants)

    def closed(self, participants: int, failure: Ended | None) -> None:
        """See `ports.Observer`."""
        self._participants.set(participants)
        self._ended.labels(type(failure).__name__ if failure else "Closed").inc()

    def reserved(self) -> None:
        """See `ports.Observer`."""
        self._reserved.inc()

    def resumed(self) -> None:
        """See `ports.Observer`."""
        self._resumed.inc()

    def handed_off(self, *, kept: bool) -> None:
        """See `ports.Observer`."""
        self._handed_off[kept].inc()

    def delivered(self, output: Output) -> None:
        """See `ports.Observer`."""
        self._delivered[type(output.event)] += 1
