"""What two looks at the metrics of a node say: states now, and rates between the looks.

Plain functions on pages: the times are handed in. A metric that a node does not have is None.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from dyad_server.metrics_page import Page
from dyad_server.top import bounds

K = TypeVar("K")


@dataclass(frozen=True, slots=True)
class Figures:
    """A node, or the sum of several.

    Attributes:
        state: `ready`, `draining` or `not ready`.
        participants, calls, streams: now.
        joins, frames: by the second.
        delivery: how many messages were delivered within each bound.
        lag: how many timers ran within each bound.
        cores: CPU.
        memory: in bytes.
        refused: requests by the second, by reason.
    """

    state: str = ""
    participants: float | None = None
    calls: float | None = None
    streams: float | None = None
    joins: float | None = None
    frames: float | None = None
    delivery: Mapping[float, float] = field(default_factory=dict)
    lag: Mapping[float, float] = field(default_factory=dict)
    cores: float | None = None
    memory: float | None = None
    refused: Mapping[str, float] = field(default_factory=dict)


def compare(before: Page | None, after: Page, seconds: float) -> Figures:
    """What a node is doing; `before` is its page so many seconds ago, if it was there."""
    paired = after.total("dyad_seats", state="paired")

    def rate(name: str) -> float | None:
        then = before.total(name) if before else None
        now = after.total(name)
        if then is None or now is None or now < then or seconds <= 0:
            return None  # Not known yet, or the node has restarted.
        return (now - then) / seconds

    def more(name: str, label: str) -> dict[str, float]:
        then = before.by(name, label) if before else {}
        grown = {key: now - then.get(key, 0.0) for key, now in after.by(name, label).items()}
        return grown if before and all(value >= 0 for value in grown.values()) else {}

    def buckets(name: str) -> dict[float, float]:
        return {float(bound): count for bound, count in more(f"{name}_bucket", "le").items()}

    refused = more("dyad_requests_refused_total", "reason")
    return Figures(
        state=_state(after),
        participants=after.total("dyad_participants"),
        calls=None if paired is None else paired / 2,
        streams=after.total("dyad_streams"),
        joins=rate("dyad_joins_total"),
        frames=rate("dyad_frames_in_total"),
        delivery=buckets("dyad_delivery_seconds"),
        lag=buckets("dyad_loop_lag_seconds"),
        cores=rate("process_cpu_seconds_total"),
        memory=after.total("process_resident_memory_bytes"),
        refused={reason: count / seconds for reason, count in refused.items() if count},
    )


def add(nodes: Sequence[Figures]) -> Figures:
    """The sum of several nodes; a figure that no node has stays None."""
    ready = sum(node.state == "ready" for node in nodes)
    return Figures(
        state=f"{ready} of {len(nodes)} ready",
        participants=_sum(node.participants for node in nodes),
        calls=_sum(node.calls for node in nodes),
        streams=_sum(node.streams for node in nodes),
        joins=_sum(node.joins for node in nodes),
        frames=_sum(node.frames for node in nodes),
        delivery=_merged(node.delivery for node in nodes),
        lag=_merged(node.lag for node in nodes),
        cores=_sum(node.cores for node in nodes),
        memory=_sum(node.memory for node in nodes),
        refused=_merged(node.refused for node in nodes),
    )


def quantile(buckets: Mapping[float, float], share: float = bounds.QUANTILE) -> float | None:
    """The value that `share` of all do not exceed, as Prometheus estimates it.

    Args:
        buckets: by upper bound, how many do not exceed it.
        share: from 0 to 1.

    Returns:
        None if there are none. If it is above all bounds, the highest bound.
    """
    total = max(buckets.values(), default=0.0)
    if not total:
        return None
    lower = below = 0.0
    for upper in sorted(buckets):
        if buckets[upper] >= share * total:
            if upper == float("inf"):
                return lower
            inside = buckets[upper] - below
            return lower + (upper - lower) * (share * total - below) / inside if inside else upper
        lower, below = upper, buckets[upper]
    return lower


def _state(page: Page) -> str:
    if page.total("dyad_draining"):
        return "draining"
    ready = page.least("dyad_ready")
    return "no node" if ready is None else "ready" if ready else "not ready"


def _sum(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _merged(maps: Iterable[Mapping[K, float]]) -> dict[K, float]:
    merged: dict[K, float] = {}
    for each in maps:
        for key, value in each.items():
            merged[key] = merged.get(key, 0.0) + value
    return merged
