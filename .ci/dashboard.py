"""Writes Grafana's dashboard, deploy/monitoring/dashboard.json: `make dashboard`.

A panel here is a title, what it tells, and its queries. Where it stands on the page, and
what every panel has in common, is worked out.
"""

import json
import sys
from dataclasses import dataclass
from typing import Any

NODES = '{job=~"$job"}'
WINDOW = "[$__rate_interval]"
WIDTH = 24
ROW_HEIGHT, PANEL_HEIGHT, STAT_HEIGHT = 1, 7, 4


@dataclass(frozen=True)
class Panel:
    """One panel; `queries` has the legend of each query."""

    title: str
    tells: str
    queries: dict[str, str]
    unit: str = "short"
    kind: str = "timeseries"
    width: int = 8
    stacked: bool = False


def total(metric: str, *by: str, **labels: str) -> str:
    """The rate of a counter, of all nodes together."""
    grouped = f" by ({', '.join(by)})" if by else ""
    return f"sum{grouped} (rate({metric}{selected(**labels)}{WINDOW}))"


def quantile(number: float, metric: str, *by: str) -> str:
    """A quantile of a histogram, of all nodes together."""
    grouped = ", ".join(("le", *by))
    rate = f"rate({metric}_bucket{NODES}{WINDOW})"
    return f"histogram_quantile({number}, sum by ({grouped}) ({rate}))"


def selected(**labels: str) -> str:
    """The selector of the nodes, with more labels."""
    more = "".join(f', {name}="{value}"' for name, value in labels.items())
    return f'{{job=~"$job"{more}}}'


def figure(title: str, tells: str, query: str, unit: str = "short") -> Panel:
    """A panel that shows one figure."""
    return Panel(title, tells, {"": query}, unit, kind="stat", width=4)


MOST = f"dyad_setting{selected(name='max_streams')}"
LOST_BY_DRAINS = f"dyad_seats_handed_off_total{selected(outcome='lost')}"
ROWS: dict[str, list[Panel]] = {
    "Now": [
        figure("Ready nodes", "Nodes that accept joins.", f"sum(dyad_ready{NODES})"),
        figure(
            "Nodes away",
            "Nodes that Prometheus cannot reach.",
            f"count(up{NODES} == 0) or vector(0)",
        ),
        figure("Calls", "Pairs of participants.", f"sum(dyad_seats{selected(state='paired')}) / 2"),
        figure(
            "Waiting alone",
            "Participants whose peer is not there yet.",
            f"sum(dyad_seats{selected(state='alone')})",
        ),
        figure(
            "Reserved seats",
            "Connections that broke, and may come back.",
            f"sum(dyad_seats{selected(state='reserved')})",
        ),
        figure(
            "Fullest node",
            "Participants, as a part of --max-streams.",
            f"max(dyad_participants{NODES} / on (instance, job) {MOST})",
            "percentunit",
        ),
    ],
    "People": [
        Panel(
            "Joins",
            "Answers to join_room. Two joins, first and second, make a call.",
            {"{{outcome}}": total("dyad_joins_total", "outcome")},
            "ops",
        ),
        Panel(
            "Waiting for the other one",
            "Seconds from the first join of a room to the second.",
            {
                "half of them": quantile(0.5, "dyad_peer_wait_seconds"),
                "9 of 10": quantile(0.9, "dyad_peer_wait_seconds"),
            },
            "s",
        ),
        Panel(
            "Streams that ended",
            "By reason. `closed` is a hang-up; `lost` is a connection that broke.",
            {"{{reason}}": total("dyad_streams_ended_total", "reason")},
            "ops",
            stacked=True,
        ),
        Panel(
            "Seats reserved and resumed",
            "Where the lines meet, every broken connection came back.",
            {
                "reserved": total("dyad_seats_reserved_total"),
                "resumed": total("dyad_seats_resumed_total"),
            },
            "ops",
        ),
        Panel(
            "Calls lost",
            "Reserved seats that expired, and seats that a drain lost, in 5 minutes.",
            {
                "expired": f"sum(increase(dyad_seats_expired_total{NODES}[5m]))",
                "lost by a drain": f"sum(increase({LOST_BY_DRAINS}[5m]))",
            },
        ),
        Panel(
            "Resumes refused",
            "A client came back, and its seat was gone.",
            {"{{reason}}": total("dyad_resumes_refused_total", "reason")},
            "ops",
        ),
    ],
    "Refusals": [
        Panel(
            "Requests refused",
            "By reason: bad tokens, and limits that were reached.",
            {"{{reason}}": total("dyad_requests_refused_total", "reason")},
            "ops",
            width=12,
            stacked=True,
        ),
        Panel(
            "Statuses",
            "The gRPC status with which the server ended streams; `none`: the client ended it.",
            {"{{status}}": total("dyad_streams_ended_total", "status")},
            "ops",
            width=12,
        ),
    ],
    "Traffic": [
        Panel(
            "Frames received",
            "By event.",
            {"{{event}}": total("dyad_frames_in_total", "event")},
            "ops",
            stacked=True,
        ),
        Panel(
            "Bytes received",
            "Frames only, without HTTP/2.",
            {"received": total("dyad_bytes_in_total")},
            "Bps",
        ),
        Panel(
            "Relay",
            "How long a message waited in its node until it was written.",
            {
                "half of them": quantile(0.5, "dyad_delivery_seconds"),
                "99 of 100": quantile(0.99, "dyad_delivery_seconds"),
            },
            "s",
        ),
    ],
    "Nodes": [
        Panel(
            "Participants",
            "Of each node.",
            {"{{instance}}": f"dyad_participants{NODES}"},
            stacked=True,
        ),
        Panel(
            "Streams",
            "By transport: Listen is a browser.",
            {"{{transport}}": f"sum by (transport) (dyad_streams{NODES})"},
        ),
        Panel(
            "Restarts and drains",
            "A restart moves the first line, a drain raises the second.",
            {
                "restarts of {{instance}}": f"changes(process_start_time_seconds{NODES}{WINDOW})",
                "{{instance}} drains": f"dyad_draining{NODES}",
            },
        ),
        Panel(
            "CPU",
            "Cores of each node. One process uses at most one.",
            {"{{instance}}": f"rate(process_cpu_seconds_total{NODES}{WINDOW})"},
        ),
        Panel(
            "Memory",
            "Of each node.",
            {"{{instance}}": f"process_resident_memory_bytes{NODES}"},
            "bytes",
        ),
        Panel(
            "Event loop",
            "How late timers ran: above 50 ms the node is overloaded.",
            {"{{instance}}": quantile(0.99, "dyad_loop_lag_seconds", "instance")},
            "s",
        ),
        Panel(
            "Open files",
            "As a part of the limit. Each connection is one.",
            {"{{instance}}": f"process_open_fds{NODES} / process_max_fds{NODES}"},
            "percentunit",
        ),
        Panel(
            "Versions",
            "Nodes of each version.",
            {"{{version}}": f"count by (version) (dyad_build_info{NODES})"},
        ),
        Panel(
            "Seats handed off",
            "By drains: `kept` is what another node can continue.",
            {"{{outcome}}": total("dyad_seats_handed_off_total", "outcome")},
            "ops",
        ),
    ],
    "Redis and the nodes together": [
        Panel(
            "Redis",
            "1 while Redis answers this node, and while it holds its lease.",
            {
                "Redis answers {{instance}}": f"dyad_redis_up{NODES}",
                "lease of {{instance}}": f"dyad_lease_held{NODES}",
            },
        ),
        Panel(
            "Round trips to Redis",
            "Above 100 ms, joins and frames between nodes are slow.",
            {
                "half of them": quantile(0.5, "dyad_redis_round_trip_seconds"),
                "99 of 100": quantile(0.99, "dyad_redis_round_trip_seconds"),
            },
            "s",
        ),
        Panel(
            "From node to node",
            "How long a message takes through Redis.",
            {"99 of 100": quantile(0.99, "dyad_inbox_seconds")},
            "s",
        ),
        Panel(
            "Messages between nodes",
            "By kind. Few if both participants are on one node.",
            {"{{kind}}": total("dyad_node_messages_out_total", "kind")},
            "ops",
            stacked=True,
        ),
        Panel(
            "Outages and lost leases",
            "In 5 minutes.",
            {
                "Redis away": f"sum(increase(dyad_redis_outages_total{NODES}[5m]))",
                "leases lost": f"sum(increase(dyad_leases_lost_total{NODES}[5m]))",
            },
        ),
        Panel(
            "Late answers of nodes",
            "A node that does not answer another one.",
            {"{{kind}}": total("dyad_node_questions_total", "kind", outcome="late")},
            "ops",
        ),
    ],
    "Keys and certificates": [
        Panel(
            "Changes of files",
            "Keys and certificates that were read again.",
            {
                "{{files}}: {{outcome}}": (
                    f"sum by (files, outcome) (increase(dyad_reloads_total{NODES}[5m]))"
                )
            },
        ),
        Panel(
            "Age of the issuer's keys",
            "Usually below 310 s. After an hour they are no longer used.",
            {"{{instance}}": f"dyad_jwks_age_seconds{NODES}"},
            "s",
        ),
        Panel(
            "Certificate",
            "Time until it expires.",
            {"{{instance}}": f"dyad_certificate_expiry_timestamp_seconds{NODES} - time()"},
            "s",
        ),
    ],
}


def dashboard() -> dict[str, Any]:
    """The dashboard, as Grafana imports it."""
    panels: list[dict[str, Any]] = []
    y = 0
    for title, row in ROWS.items():
        place = {"x": 0, "y": y, "w": WIDTH, "h": ROW_HEIGHT}
        panels.append({"type": "row", "title": title, "gridPos": place, "collapsed": False})
        y += ROW_HEIGHT
        x, height = 0, 0
        for panel in row:
            if x + panel.width > WIDTH:
                x, y = 0, y + height
            height = STAT_HEIGHT if panel.kind == "stat" else PANEL_HEIGHT
            place = {"x": x, "y": y, "w": panel.width, "h": height}
            panels.append(drawn(panel, place))
            x += panel.width
        y += height
    for number, panel_json in enumerate(panels, start=1):
        panel_json["id"] = number
    return {
        "title": "Dyad",
        "uid": "dyad",
        "description": "Generated: make dashboard. docs/runbook.md says how to read it.",
        "schemaVersion": 39,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "graphTooltip": 1,
        "templating": {"list": [source(), job()]},
        "panels": panels,
    }


def source() -> dict[str, Any]:
    """The choice of the Prometheus to ask."""
    return {"name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus"}


def job() -> dict[str, Any]:
    """The choice of the job that scrapes Dyad."""
    return {
        "name": "job",
        "type": "query",
        "datasource": {"type": "prometheus", "uid": "${source}"},
        "query": "label_values(dyad_ready, job)",
        "includeAll": True,
        "refresh": 2,
    }


def drawn(panel: Panel, place: dict[str, int]) -> dict[str, Any]:
    """One panel, as Grafana has it."""
    custom = {"stacking": {"mode": "normal"}, "fillOpacity": 20} if panel.stacked else {}
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.tells,
        "datasource": {"type": "prometheus", "uid": "${source}"},
        "gridPos": place,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0, "custom": custom}},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}},
        "targets": [
            {"refId": chr(ord("A") + number), "expr": query, "legendFormat": legend}
            for number, (legend, query) in enumerate(panel.queries.items())
        ],
    }


if __name__ == "__main__":
    json.dump(dashboard(), sys.stdout, indent=1)
    print()
