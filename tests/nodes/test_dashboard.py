"""From the dashboard alone, one can tell what happened to a fleet: docs/runbook.md says how."""

import asyncio
import contextlib
import json
import math
import os
import random
import re
import secrets
import time
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import dyad
import grpc
import pytest
from dyad.v1 import signaling_pb2_grpc as pb_grpc
from matplotlib.figure import Figure

from tests.conftest import SECRET
from tests.nodes.callers import Caller, pair
from tests.nodes.fleet import NODES, Fleet, fleet
from tests.support.ci import program
from tests.support.needs import ROOT, needs
from tests.support.ports import free_port
from tests.support.process import command
from tests.support.until import PATIENCE

PAIRS = 9
FLOOD = 400
PANELS = (
    *("Restarts and drains", "Seats reserved and resumed", "Resumes refused"),
    *("Requests refused", "Redis", "Changes of files"),
)
MONITORING = ROOT / "deploy" / "monitoring"
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text()
PAGE = (ROOT / "docs" / "metrics.md").read_text()
DOCTOR = (ROOT / "docs" / "doctor.md").read_text()
CONFIG = """
global: {{ scrape_interval: 1s, evaluation_interval: 1s }}
scrape_configs:
  - job_name: dyad
    static_configs: [{{ targets: {targets} }}]
"""

Line = list[tuple[float, float]]
Act = Callable[[Fleet, list[tuple[Caller, Caller]]], Awaitable[None]]


def patterns() -> dict[str, str]:
    """The query of each event in the runbook."""
    table = RUNBOOK.partition("## What happened?")[2].partition("## Alerts")[0]
    rows = re.findall(r"^\| ([^|]+) \| [^|]+ \| `(.+)` \|$", table, re.MULTILINE)
    return {what: query.replace("\\|", "|") for what, query in rows}


class Prometheus:
    """A real Prometheus that scrapes the nodes each second."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}/api/v1"

    async def asks(self, query: str, at: float | None = None) -> list[Any]:
        fields = {"query": query} | ({} if at is None else {"time": str(at)})
        return await asyncio.to_thread(self._get, urllib.parse.urlencode(fields))

    async def draws(self, query: str, spans: dict[str, tuple[float, float]]) -> dict[str, Line]:
        """The lines of a query over all of these spans."""
        times = [time for span in spans.values() for time in span]
        fields = {"query": query, "start": min(times), "end": max(times), "step": 1}
        found = await asyncio.to_thread(self._get, urllib.parse.urlencode(fields), "query_range")
        return {
            name(query, line["metric"]): [(at, float(value)) for at, value in line["values"]]
            for line in found
        }

    async def has_scraped(self, since: float) -> None:
        """Wait until it has scraped each node at least once after this moment."""
        query = f"count(timestamp(dyad_ready) > {since})"
        async with asyncio.timeout(PATIENCE):
            while True:
                found = await self.asks(query)
                if found and int(found[0]["value"][1]) == NODES:
                    return
                await asyncio.sleep(0.1)  # It does not tell.

    def _get(self, fields: str, kind: str = "query") -> list[Any]:
        try:
            url = f"{self._url}/{kind}?{fields}"
            with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
                found: list[Any] = json.load(answer)["data"]["result"]
        except OSError:
            # It is starting.
            return []
        return found


def name(query: str, labels: dict[str, str]) -> str:
    """What a line shows: its metric, and its labels without the job."""
    metric = re.findall(r"(?:dyad|process)_\w+", query)[0]
    values = [value for label, value in labels.items() if label not in ("job", "__name__")]
    return ", ".join([metric, *values])


def shown() -> dict[str, list[str]]:
    """The queries of a few panels, by their titles."""
    board = json.loads((MONITORING / "dashboard.json").read_text())
    every = {panel["title"]: panel.get("targets", []) for panel in board["panels"]}
    return {
        title: [
            target["expr"].replace("$__rate_interval", "4s").replace("$job", "dyad")
            for target in every[title]
        ]
        for title in PANELS
    }


def draw(
    panels: dict[str, dict[str, Line]], spans: dict[str, tuple[float, float]], file: str
) -> None:
    """Draw these panels, with a coloured span for each event."""
    began = min(start for start, _ in spans.values())
    figure = Figure(figsize=(13, 9), layout="constrained")
    for axes, (title, lines) in zip(figure.subplots(3, 2).flat, panels.items(), strict=True):
        axes.set_title(title, loc="left", fontsize=10)
        axes.set_xlabel("seconds", fontsize=8)
        for number, (what, (start, end)) in enumerate(spans.items()):
            axes.axvspan(start - began, end - began, color=f"C{number}", alpha=0.12, label=what)
        for name, line in lines.items():
            # What never happened would only fill the legend.
            if any(value for _, value in line):
                axes.plot([at - began for at, _ in line], [value for _, value in line], label=name)
        axes.set_ylim(bottom=0)
        named = [name for name in axes.get_legend_handles_labels()[1] if name and name not in spans]
        if named:
            handles, names = axes.get_legend_handles_labels()
            kept = [pair for pair in zip(handles, names, strict=True) if pair[1] in named]
            axes.legend(*zip(*kept, strict=True), fontsize=7, loc="upper left")
    events = figure.axes[0].patches
    figure.legend(events, list(spans), loc="outside lower center", ncols=3)
    figure.savefig(file, dpi=90)


@asynccontextmanager
async def prometheus(folder: Path, ports: list[int]) -> AsyncIterator[Prometheus]:
    needs("prometheus")
    config = folder / "prometheus.yaml"
    config.write_text(CONFIG.format(targets=json.dumps([f"127.0.0.1:{port}" for port in ports])))
    port = free_port()
    options = [
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    async with command("prometheus", *options):
        yield Prometheus(port)


async def settled(caller: Caller) -> None:
    """Wait until it is connected, or has ended because its room is gone."""
    async with asyncio.timeout(PATIENCE):
        async for state in caller.connection.states():
            if state.phase in (dyad.Phase.CONNECTED, dyad.Phase.ENDED):
                return


async def kill_a_node(here: Fleet, _: list[tuple[Caller, Caller]]) -> None:
    await here.nodes[0].kill()
    await here.nodes[0].start()


async def roll_out(here: Fleet, _: list[tuple[Caller, Caller]]) -> None:
    for node in here.nodes:
        await node.drain()
        await node.start()
        await node.says("SERVING", PATIENCE)


async def take_redis_away(here: Fleet, _: list[tuple[Caller, Caller]]) -> None:
    for network in here.networks:
        network.stall()
    for node in here.nodes:
        await node.says("NOT_SERVING", PATIENCE)
    for network in here.networks:
        network.resume_forwarding()
    for node in here.nodes:
        await node.says("SERVING", PATIENCE)


async def drop_connections(_: Fleet, pairs: list[tuple[Caller, Caller]]) -> None:
    chance = random.Random(7)
    for caller in chance.sample([caller for two in pairs for caller in two], 3):
        await caller.way.cut()
        await caller.is_told(dyad.Reconnected, PATIENCE)


async def flood(here: Fleet, _pairs: list[tuple[Caller, Caller]]) -> None:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{here.nodes[1].port}") as channel:
        stub: Any = pb_grpc.SignalingStub(channel)
        for _ in range(FLOOD):
            with contextlib.suppress(grpc.aio.AioRpcError):
                await stub.Signal().read()
                await asyncio.sleep(0)


def rotate(keys: Path) -> Act:
    async def act(here: Fleet, _: list[tuple[Caller, Caller]]) -> None:
        # The new key first: the callers' tokens are signed with the old one.
        keys.write_text(f"{secrets.token_hex(32)}\n{SECRET}\n")  # noqa: ASYNC240 - it is small
        async with asyncio.timeout(PATIENCE):
            while not all("keys reloaded" in node.said for node in here.nodes):  # noqa: ASYNC110 - it is output
                await asyncio.sleep(0.05)

    return act


@pytest.mark.xdist_group("busy")
async def test_each_event_is_told_from_all_others_by_the_queries_of_the_runbook(
    tmp_path: Path,
) -> None:
    keys = tmp_path / "keys"
    keys.write_text(SECRET)
    # A rotation comes after the restarts: a new process has nothing to reload.
    events: dict[str, Act] = {
        "a node was killed": kill_a_node,
        "a rollout": roll_out,
        "Redis was away": take_redis_away,
        "keys were rotated": rotate(keys),
        "a flood without tokens": flood,
        "a network that drops connections": drop_connections,
    }
    assert set(events) == set(patterns())
    seen: dict[str, set[str]] = {}
    spans: dict[str, tuple[float, float]] = {}
    async with (
        fleet("--jwt-secret-file", str(keys)) as here,
        prometheus(tmp_path, [node.metrics_port for node in here.nodes]) as watching,
    ):
        for what, act in events.items():
            async with AsyncExitStack() as stack:
                pairs = [
                    await stack.enter_async_context(
                        pair(here, [here.nodes[n % NODES]], [here.nodes[n // NODES]])
                    )
                    for n in range(PAIRS)
                ]
                for two in pairs:
                    for caller in two:
                        caller.way.nodes = here.nodes
                began = time.time()
                await watching.has_scraped(began)
                await act(here, pairs)
                # Those who were cut off have come back, or have given up.
                for two in pairs:
                    for caller in two:
                        await settled(caller)
                await watching.has_scraped(time.time())
                ended = time.time()
                seconds = math.ceil(ended - began)
                seen[what] = {
                    name
                    for name, query in patterns().items()
                    if await watching.asks(query.replace("[5m]", f"[{seconds}s]"), ended)
                }
                spans[what] = (began, ended)
        assert seen == {what: {what} for what in events}, spans
        if picture := os.environ.get("DASHBOARD_PICTURE"):
            drawn: dict[str, dict[str, Line]] = {}
            for title, queries in shown().items():
                drawn[title] = {}
                for query in queries:
                    drawn[title] |= await watching.draws(query, spans)
            await asyncio.to_thread(draw, drawn, spans, picture)


def metrics(text: str) -> set[str]:
    """The metrics of Dyad that queries use, without the suffixes of counters and histograms."""
    return {
        re.sub(r"_(total|bucket|count|sum)$", "", name) for name in re.findall(r"\bdyad_\w+", text)
    }


def test_dashboard_alerts_and_runbook_use_metrics_that_are_there() -> None:
    documented = set(re.findall(r"^\| `(dyad_\w+)`", PAGE, re.MULTILINE))
    texts = [(MONITORING / name).read_text() for name in ("dashboard.json", "alerts.yaml")]
    for text in texts:
        assert metrics(text) <= documented
    # The runbook also names findings of `dyad doctor`.
    findings = set(re.findall(r"^\| `(dyad_\w+)`", DOCTOR, re.MULTILINE))
    assert metrics(RUNBOOK) <= documented | findings


def test_each_alert_has_a_section_of_the_runbook() -> None:
    alerts = re.findall(r"- alert: (\w+)", (MONITORING / "alerts.yaml").read_text())
    assert len(alerts) > 10
    assert alerts == re.findall(r"^### (\w+)$", RUNBOOK, re.MULTILINE)
    links = re.findall(r"runbook\.md#(\w+)", (MONITORING / "alerts.yaml").read_text())
    assert links == [alert.lower() for alert in alerts]


def test_the_dashboard_is_as_its_program_writes_it() -> None:
    made = json.loads((MONITORING / "dashboard.json").read_text())
    assert made == program("dashboard").dashboard(), "run make dashboard"


async def test_prometheus_accepts_the_alerts_and_the_dashboards_queries(tmp_path: Path) -> None:
    needs("promtool")
    board = json.loads((MONITORING / "dashboard.json").read_text())
    queries = [target["expr"] for panel in board["panels"] for target in panel.get("targets", [])]
    rules = [
        {"record": f"query_{number}", "expr": query.replace("$__rate_interval", "1m")}
        for number, query in enumerate(queries)
    ]
    every = tmp_path / "queries.yaml"
    # JSON is YAML.
    every.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    for file in (MONITORING / "alerts.yaml", every):
        async with command("promtool", "check", "rules", str(file), env=os.environ) as checked:
            assert await checked.ended() == 0, checked.said
