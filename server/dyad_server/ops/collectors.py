"""Metrics that are read from where they are known, when they are asked for."""

import platform
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import metadata
from typing import Any, Protocol

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from dyad_server.core import bounds
from dyad_server.core.counts import Delays
from dyad_server.core.hub import Hub
from dyad_server.core.participant import Participant
from dyad_server.core.ports import Fleet
from dyad_server.core.states import State
from dyad_server.ops.reload import Reloader

_SEATS = ("none", "alone", "paired", "reserved")


class FetchedKeys(Protocol):
    """Keys that come from a URL."""

    @property
    def fetches(self) -> Mapping[str, int]:
        """How often they were fetched, by outcome."""

    @property
    def age(self) -> float:
        """Seconds since the last fetch that succeeded; infinite if none has."""


class NodeCollector(Collector):
    """What the hub knows and counts."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def collect(self) -> Iterator[Metric]:
        """See `Collector`."""
        hub, counts = self._hub, self._hub.counts
        yield _gauge("dyad_ready", "1 while rooms can be entered.", hub.ready)
        yield _gauge("dyad_draining", "1 while this node drains.", hub.draining)
        yield _gauge("dyad_participants", "Participants now, reserved seats included.", len(hub))
        seats = Counter(map(_seat, hub))
        by_state = {state: seats[state] for state in _SEATS}
        yield _gauges("dyad_seats", "Participants, by their seat.", "state", by_state)
        yield _counters("dyad_frames_in", "Frames received.", "event", counts.received)
        yield _counters("dyad_bytes_in", "Bytes of these frames.", "event", counts.sizes)
        told = {event.__name__: number for event, number in counts.told.items()}
        yield _counters("dyad_events", "Events sent to participants.", "kind", told)
        yield _delays(
            "dyad_delivery_seconds",
            "How long messages waited in this node until gRPC had written them.",
            counts.deliveries,
        )
        yield from _fleets(hub.fleets)


class KeysCollector(Collector):
    """Where keys come from a URL: how that goes."""

    def __init__(self, keys: FetchedKeys) -> None:
        self._keys = keys

    def collect(self) -> Iterator[Metric]:
        """See `Collector`."""
        text = "Seconds since the keys were last fetched."
        yield _gauge("dyad_jwks_age_seconds", text, self._keys.age)
        yield _counters("dyad_jwks_fetches", "Fetches of keys.", "outcome", self._keys.fetches)


class FilesCollector(Collector):
    """The files of keys and certificates, which may change."""

    def __init__(self, reloader: Reloader) -> None:
        self._reloader = reloader

    def collect(self) -> Iterator[Metric]:
        """See `Collector`."""
        text = "1 while the latest content of files is not in force, because it is unfit."
        refused = {each.name: bool(each.refused) for each in self._reloader.watched}
        yield _gauges("dyad_reload_refused", text, "files", refused)
        text = "Changes of files, by what came of them."
        family = CounterMetricFamily("dyad_reloads", text, labels=["files", "outcome"])
        for each in self._reloader.watched:
            for outcome, number in each.outcomes.items():
                family.add_metric([each.name, outcome], number)
        yield family


class CertificateCollector(Collector):
    """The certificate that is in force."""

    def __init__(self, expires: Callable[[], float]) -> None:
        """Report when it `expires`, in Unix seconds."""
        self._expires = expires

    def collect(self) -> Iterator[Metric]:
        """See `Collector`."""
        text = "When the TLS certificate in force expires, in Unix seconds."
        yield _gauge("dyad_certificate_expiry_timestamp_seconds", text, self._expires())


class BuildCollector(Collector):
    """What this server is made of, and its settings that are numbers."""

    def __init__(self, grpc_api: str, engine: str, settings: Mapping[str, float]) -> None:
        self._build = versions() | {"grpc_api": grpc_api, "engine": engine}
        self._settings = settings

    def collect(self) -> Iterator[Metric]:
        """See `Collector`."""
        text = "What this server is made of."
        family = GaugeMetricFamily("dyad_build_info", text, labels=[*self._build])
        family.add_metric([*self._build.values()], 1)
        yield family
        text = "The settings that are numbers; yes is 1."
        yield _gauges("dyad_setting", text, "name", self._settings)


def versions() -> dict[str, str]:
    """The versions of this server and of what it runs on."""
    return {
        "version": metadata.version("dyad-signaling-server"),
        "grpcio": metadata.version("grpcio"),
        "python": platform.python_version(),
    }


def _fleets(fleets: Mapping[str, Fleet]) -> Iterable[Metric]:
    """The metrics of all stores; where they have names, these are a label."""
    all_metrics: dict[str, Metric] = {}
    for name, fleet in fleets.items():
        label = {"redis": name} if name else {}
        for each in _fleet(fleet):
            metric = Metric(each.name, each.documentation, each.type)
            samples = all_metrics.setdefault(each.name, metric).samples
            samples += [sample._replace(labels=label | sample.labels) for sample in each.samples]
    return all_metrics.values()


def _fleet(fleet: Fleet) -> Iterable[Metric]:
    counts = fleet.counts
    yield _gauge("dyad_redis_up", "1 while Redis answers.", fleet.up)
    yield _counter("dyad_redis_outages", "How often Redis stopped answering.", counts.outages)
    yield _delays(
        "dyad_redis_round_trip_seconds",
        "How long round trips to Redis took that were answered.",
        counts.round_trips,
    )
    text = "How often the data in Redis was new to this node."
    yield _counter("dyad_redis_generations", text, counts.generations)
    yield _gauge("dyad_lease_held", "1 while this node holds its lease.", fleet.holds)
    yield _counter("dyad_leases_lost", "How often the lease ran out.", counts.leases_lost)
    text = "The time between two renewals of the lease."
    yield _delays("dyad_lease_renewal_seconds", text, counts.renewals)
    text = "How long messages of this node to itself took through its inbox."
    yield _delays("dyad_inbox_seconds", text, counts.probes)
    yield _counters("dyad_node_messages_out", "Messages to nodes.", "kind", counts.sent)
    yield _counters("dyad_node_messages_in", "Messages from nodes.", "kind", counts.heard)
    family = CounterMetricFamily(
        "dyad_node_questions", "Questions to other nodes.", labels=["kind", "outcome"]
    )
    for (kind, answered), number in counts.questions.items():
        family.add_metric([kind, "answered" if answered else "late"], number)
    yield family


def _seat(participant: Participant) -> str:
    match participant.state:
        case State.RESERVED | State.RESUMING:
            return "reserved"
        case State.SEATED:
            return "paired" if participant.alone_since is None else "alone"
        case _:
            return "none"


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(name, text, value=value)


def _gauges(name: str, text: str, label: str, values: Mapping[str, float]) -> Metric:
    return _labelled(GaugeMetricFamily(name, text, labels=[label]), values)


def _counters(name: str, text: str, label: str, values: Mapping[str, float]) -> Metric:
    return _labelled(CounterMetricFamily(name, text, labels=[label]), values)


def _labelled(family: Any, values: Mapping[str, float]) -> Metric:
    for value, number in values.items():
        family.add_metric([value], number)
    labelled: Metric = family
    return labelled


def _delays(name: str, text: str, delays: Delays) -> Metric:
    family = HistogramMetricFamily(name, text)
    buckets, total = [], 0
    for bound, number in zip((*bounds.DELAYS, "+Inf"), delays.numbers, strict=True):
        total += number
        buckets.append((str(bound), total))
    family.add_metric([], buckets, delays.seconds)
    return family
