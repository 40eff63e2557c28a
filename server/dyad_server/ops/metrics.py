"""Prometheus metrics. docs/metrics.md says what each one means."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import NoReturn

import prometheus_client as prometheus
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from dyad_server.core.clock import Clock
from dyad_server.core.events import Member
from dyad_server.core.hub import Hub
from dyad_server.core.participant import Connection, Participant
from dyad_server.core.ports import JOINS
from dyad_server.errors import Ended, Forbidden, Overloaded, Reason, Unauthenticated
from dyad_server.log_line import Line
from dyad_server.ops import bounds
from dyad_server.ops.collectors import (
    BuildCollector,
    CertificateCollector,
    FetchedKeys,
    FilesCollector,
    KeysCollector,
    NodeCollector,
)
from dyad_server.ops.reload import Reloader

log = logging.getLogger("dyad.metrics")
_TRANSPORTS = ("Signal", "Listen")
# These series begin with 0. Of a series that begins with its first event, Prometheus sees no
# increase.
_BY_THE_CLIENT = (Reason.CLOSED, Reason.LOST)
_REFUSED: dict[type[Ended], tuple[Reason, ...]] = {
    Unauthenticated: (
        *(Reason.TOKEN_MISSING, Reason.TOKEN_MALFORMED, Reason.TOKEN_TOO_LONG, Reason.TOKEN_KEY),
        *(Reason.TOKEN_SIGNATURE, Reason.TOKEN_CLAIM, Reason.TOKEN_ISSUER, Reason.TOKEN_AUDIENCE),
        *(Reason.TOKEN_EARLY, Reason.TOKEN_EXPIRED),
    ),
    Forbidden: (Reason.TOKEN_ROOM,),
    Overloaded: (
        *(Reason.OPENED_TOO_FAST, Reason.SERVER_FULL, Reason.USER_STREAMS, Reason.USER_REQUESTS),
        Reason.ADDRESS_STREAMS,
    ),
}
_SEAT_LOST = (Reason.SEAT_GONE, Reason.FRAMES_GONE)

NameStatus = Callable[[Ended], str]
"""The name of the gRPC status that a failure ends with."""


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
        for transport in _TRANSPORTS:
            for reason in _BY_THE_CLIENT:
                self._ended.counts[transport, "none", reason] = 0
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
        for kind, reasons in _REFUSED.items():
            for reason in reasons:
                self._refused.labels(self._status_of(kind("", reason)), reason)
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
        self._expired = prometheus.Counter(
            "dyad_seats_expired",
            "Reserved seats that nobody resumed in time.",
            registry=registry,
        )
        self._not_resumed = prometheus.Counter(
            "dyad_resumes_refused", "Resumes that failed.", ["reason"], registry=registry
        )
        for reason in _SEAT_LOST:
            self._not_resumed.labels(reason)
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
        self.registry.register(NodeCollector(hub))

    def watch_keys(self, keys: FetchedKeys) -> None:
        """Report how the keys are fetched."""
        self.registry.register(KeysCollector(keys))

    def watch_files(self, reloader: Reloader) -> None:
        """Report what comes of changed files."""
        self.registry.register(FilesCollector(reloader))

    def watch_certificate(self, expires: Callable[[], float]) -> None:
        """Report when the certificate `expires`, in Unix seconds."""
        self.registry.register(CertificateCollector(expires))

    def describe(self, grpc_api: str, engine: str, settings: Mapping[str, float]) -> None:
        """Report what serves gRPC, which engine keeps the rooms, and these settings."""
        self.registry.register(BuildCollector(grpc_api, engine, settings))

    async def measure_lag(self, clock: Clock) -> NoReturn:
        """Measure how late the event loop is, until cancelled."""
        while True:
            due = clock.monotonic() + bounds.LAG_SECONDS
            await asyncio.sleep(bounds.LAG_SECONDS)
            late = max(clock.monotonic() - due, 0.0)
            self._lag.observe(late)
            if late > bounds.STALL_SECONDS:
                log.warning(Line("the process did not run", seconds=f"{late:.1f}"))

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

    def joined(self, participant: Participant, outcome: str, peer: Member | None = None) -> None:
        """See `ports.Observer`."""
        self._joins[outcome].inc()

    def met(self, participant: Participant, seconds: float, peer: Member) -> None:
        """See `ports.Observer`."""
        self._met.observe(seconds)

    def reserved(self) -> None:
        """See `ports.Observer`."""
        self._reserved.inc()

    def resumed(self, participant: Participant) -> None:
        """See `ports.Observer`."""
        self._resumed.inc()

    def expired(self) -> None:
        """See `ports.Observer`."""
        self._expired.inc()

    def resume_refused(self, participant: Participant, failure: Ended) -> None:
        """See `ports.Observer`."""
        self._not_resumed.labels(failure.reason).inc()

    def handed_off(self, *, kept: bool) -> None:
        """See `ports.Observer`."""
        self._handed_off[kept].inc()
