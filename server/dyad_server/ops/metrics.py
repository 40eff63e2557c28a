"""Prometheus metrics. docs/metrics.md says what each one means."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from typing import NoReturn

import prometheus_client as prometheus
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from dyad_server.core import bounds as core_bounds
from dyad_server.core.clock import Clock
from dyad_server.core.counts import Counts
from dyad_server.core.hub import Hub
from dyad_server.core.participant import Connection, Participant
from dyad_server.core.ports import JOINS
from dyad_server.core.states import State
from dyad_server.errors import Ended, Reason
from dyad_server.ops import bounds

_SEATS = ("none", "alone", "paired", "reserved")
_TRANSPORTS = ("Signal", "Listen")

NameStatus = Callable[[Ended], str]
"""The name of the gRPC status that a failure ends with."""


class _Node(Collector):
    """Reports what the hub knows or counts by itself, when it is asked."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def collect(self) -> Iterator[Metric]:
        """See `Collector`."""
        hub = self._hub
        yield _gauge("dyad_ready", "1 while rooms can be entered.", hub.ready)
        yield _gauge("dyad_draining", "1 while this node drains.", hub.draining)
        text = "Participants now, reserved seats included."
        yield _gauge("dyad_participants", text, len(hub))
        seats = Counter(map(_seat, hub))
        family = GaugeMetricFamily("dyad_seats", "Participants, by their seat.", labels=["state"])
        for state in _SEATS:
            family.add_metric([state], seats[state])
        yield family
        frames = CounterMetricFamily("dyad_frames_in", "Frames received.", labels=["event"])
        size = CounterMetricFamily("dyad_bytes_in", "Bytes of these frames.", labels=["event"])
        for kind, number in hub.counts.received.items():
            frames.add_metric([kind], number)
            size.add_metric([kind], hub.counts.sizes[kind])
        yield frames
        yield size
        told = CounterMetricFamily("dyad_events", "Events sent to participants.", labels=["kind"])
        for event, number in hub.counts.told.items():
            told.add_metric([event.__name__], number)
        yield told
        yield _delays(hub.counts)


class _Labelled(Collector):
    """A counter with labels. That of the library takes ten times as long for each label."""

    def __init__(self, name: str, text: str, labels: list[str]) -> None:
        self._described = name, text, labels
        self.counts: Counter[tuple[str, ...]] = Counter()

    def collect(self) -> Iterator[Metric]:
        """See `Collector`."""
        name, text, labels = self._described
        family = CounterMetricFamily(name, text, labels=labels)
        for values, number in self.counts.items():
            family.add_metric(values, number)
        yield family


class MetricsObserver:
    """A `ports.Observer` that counts, in a registry of its own."""

    def __init__(self, status_of: NameStatus) -> None:
        """Count failures with their status."""
        # It learns the names of our own collectors from what they collect.
        self.registry = registry = prometheus.CollectorRegistry(auto_describe=True)
        self._status_of = status_of
        prometheus.ProcessCollector(registry=registry)
        prometheus.PlatformCollector(registry=registry)
        prometheus.GCCollector(registry=registry)
        streams = prometheus.Gauge(
            "dyad_streams", "Streams open now.", ["transport"], registry=registry
        )
        self._streams = {name: streams.labels(name) for name in _TRANSPORTS}
        self._ended = _Labelled(
            "dyad_streams_ended",
            "Streams ended, by what ended them.",
            ["transport", "status", "reason"],
        )
        registry.register(self._ended)
        lives = prometheus.Histogram(
            "dyad_stream_seconds",
            "How long streams lasted.",
            ["transport"],
            buckets=bounds.STREAM_LIVES,
            registry=registry,
        )
        self._lives = {name: lives.labels(name) for name in _TRANSPORTS}
        self._refused = prometheus.Counter(
            "dyad_requests_refused",
            "Streams refused before they were open, and each `Send` that was refused.",
            ["status", "reason"],
            registry=registry,
        )
        joins = prometheus.Counter(
            "dyad_joins", "Answers to join_room.", ["outcome"], registry=registry
        )
        self._joins = {outcome: joins.labels(outcome.replace(" ", "_")) for outcome in JOINS}
        self._met = prometheus.Histogram(
            "dyad_peer_wait_seconds",
            "How long a participant was alone in its room until a second one joined.",
            buckets=bounds.PEER_WAITS,
            registry=registry,
        )
        self._reserved = prometheus.Counter(
            "dyad_seats_reserved", "Seats reserved after a broken connection.", registry=registry
        )
        self._resumed = prometheus.Counter(
            "dyad_seats_resumed", "Reserved seats that were resumed.", registry=registry
        )
        self._not_resumed = prometheus.Counter(
            "dyad_resumes_refused", "Resumes that failed.", ["reason"], registry=registry
        )
        handed_off = prometheus.Counter(
            "dyad_seats_handed_off",
            "Seats that a drain handed off, or lost, by outcome.",
            ["outcome"],
            registry=registry,
        )
        self._handed_off = {True: handed_off.labels("kept"), False: handed_off.labels("lost")}
        self._lag = prometheus.Histogram(
            "dyad_loop_lag_seconds",
            "How late the event loop ran a timer that is due each half second.",
            buckets=bounds.LAGS,
            registry=registry,
        )

    def watch(self, hub: Hub) -> None:
        """Report what this hub counts."""
        self.registry.register(_Node(hub))

    async def measure_lag(self, clock: Clock) -> NoReturn:
        """Measure how late the event loop is, until cancelled."""
        while True:
            due = clock.monotonic() + bounds.LAG_SECONDS
            await asyncio.sleep(bounds.LAG_SECONDS)
            self._lag.observe(max(clock.monotonic() - due, 0.0))

    def stream_opened(self, connection: Connection) -> None:
        """See `ports.Observer`."""
        self._streams[connection.transport].inc()

    def stream_ended(self, connection: Connection, reason: Reason, seconds: float) -> None:
        """See `ports.Observer`."""
        transport, failure = connection.transport, connection.failure
        status = "none" if failure is None else self._status_of(failure)
        self._streams[transport].dec()
        self._lives[transport].observe(seconds)
        self._ended.counts[transport, status, reason] += 1

    def refused(self, failure: Ended) -> None:
        """See `ports.Observer`."""
        self._refused.labels(self._status_of(failure), failure.reason).inc()

    def joined(self, outcome: str) -> None:
        """See `ports.Observer`."""
        self._joins[outcome].inc()

    def met(self, seconds: float) -> None:
        """See `ports.Observer`."""
        self._met.observe(seconds)

    def reserved(self) -> None:
        """See `ports.Observer`."""
        self._reserved.inc()

    def resumed(self) -> None:
        """See `ports.Observer`."""
        self._resumed.inc()

    def resume_refused(self, failure: Ended) -> None:
        """See `ports.Observer`."""
        self._not_resumed.labels(failure.reason).inc()

    def handed_off(self, *, kept: bool) -> None:
        """See `ports.Observer`."""
        self._handed_off[kept].inc()


def _gauge(name: str, text: str, value: int) -> Metric:
    return GaugeMetricFamily(name, text, value=value)


def _seat(participant: Participant) -> str:
    match participant.state:
        case State.RESERVED | State.RESUMING:
            return "reserved"
        case State.SEATED:
            return "paired" if participant.alone_since is None else "alone"
        case _:
            return "none"


def _delays(counts: Counts) -> Metric:
    family = HistogramMetricFamily(
        "dyad_delivery_seconds",
        "How long messages waited in this node until gRPC had written them.",
    )
    buckets, total = [], 0
    for bound, number in zip((*core_bounds.DELAYS, "+Inf"), counts.delays, strict=True):
        total += number
        buckets.append((str(bound), total))
    family.add_metric([], buckets, counts.delay_seconds)
    return family
