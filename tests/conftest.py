from dyad_server import grpc_environment  # noqa: F401  # isort: skip - before grpc is imported

import asyncio
import functools
import os
import secrets
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import hypothesis
import pytest
from dyad_server.auth.mint import mint
from dyad_server.completion_queue import loop as _loop_module  # noqa: F401 - it keeps `time.time`, which a test replaces
from dyad_server.config import Config
from dyad_server.core import bounds as core_bounds
from dyad_server.engines.redis import bounds
from dyad_server.server import Server
from dyad_server.transport import Transport, choose

from tests.support.ends import End, ListenEnd, SignalEnd
from tests.support.process import Served

SECRET = secrets.token_hex(32)
# Longer than the leeway and the lifetime of a test's token together.
HOUR = 3600
Serve = Callable[..., AbstractAsyncContextManager[Server]]
Connect = Callable[..., End]
# Most tests wait most of the time. Those that keep a CPU busy are in groups (`xdist_group`), and
# only one test of a group runs at a time. With all of them at once the load was 30 on two CPUs,
# and deadlines of the server ran out.
_WORKERS_PER_CPU = 3
_MOST_WORKERS = 16
# The groups that take minutes, in the order in which they start: the longest first.
_GROUPS = ("busy", "browser", "second browser", "native clients")
# Measures how long calls wait, so it starts when little else runs.
_LAST_GROUP = "attacks"
_LONGEST_ID = 40
_PATIENT = (
    *("LEASE_SECONDS", "ROUND_TRIP_SECONDS", "PROBE_LATE_SECONDS", "ENTER_SECONDS"),
    *("ANSWER_SECONDS", "SCRIPT_SECONDS", "ABSENT_SECONDS", "SILENT_SECONDS"),
)
_PATIENT_SECONDS = 600


# `make test &` in a script starts with Ctrl-C ignored, and so would the commands of the tests.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A test that is slow on a busy machine is right all the same.
hypothesis.settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("any machine")


def pytest_xdist_auto_num_workers() -> int:
    """How many workers `pytest -n auto` starts."""
    return min(_WORKERS_PER_CPU * len(os.sched_getaffinity(0)), _MOST_WORKERS)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start long tests first, so that the tests that end last are short."""
    items.sort(key=_place)


def _place(item: pytest.Item) -> tuple[int, bool]:
    marker = item.get_closest_marker("xdist_group")
    group = marker.args[0] if marker else ""
    # Tests of other groups wait until Kotlin's client is built.
    later = "kotlin" not in item.nodeid
    if group in _GROUPS:
        return _GROUPS.index(group), later
    if group == _LAST_GROUP:
        return len(_GROUPS) + 2, later
    return len(_GROUPS) + (item.get_closest_marker("long") is None), False


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Replace a long text in a test id: it may be a secret, and differ between workers."""
    return argname if isinstance(val, str | bytes) and len(val) > _LONGEST_ID else None


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all workers of this run share."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture
def patient_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nodes that wait for Redis, however busy the machine is.

    Otherwise their deadlines run out. Then some operations have no answer, and a node that lost
    its lease frees seats without an operation.
    """
    for name in _PATIENT:
        monkeypatch.setattr(bounds, name, _PATIENT_SECONDS)
    monkeypatch.setattr(bounds, "LEASE_MS", 1000 * _PATIENT_SECONDS)


@pytest.fixture
def pass_time(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Let an hour pass on the clock for tokens, and on no other clock."""
    monkeypatch.setattr(core_bounds, "EXPIRY_LOOK_SECONDS", 0.01)
    passed = 0.0
    clock = time.time
    monkeypatch.setattr(time, "time", lambda: clock() + passed)

    def pass_an_hour() -> None:
        nonlocal passed
        passed += HOUR

    return pass_an_hour


def token(sub: str = "alice", *, email: str = "", room: str = "", ttl: int = 600) -> str:
    return mint(SECRET, sub=sub, email=email, ttl=ttl, room=room)


@functools.cache
def _transport() -> Transport:
    # Servers in processes of their own read the variable too.
    return choose(os.environ.get("DYAD_GRPC_API", "auto"), asyncio.new_event_loop)


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run all tests in the loop of the servers that run in this process."""
    return {"loop": _loop}


def _loop() -> asyncio.AbstractEventLoop:
    return _transport().loop


@asynccontextmanager
async def serving(**settings: Any) -> AsyncIterator[Server]:
    chosen: dict[str, Any] = {"port": 0, "jwt_secret": SECRET} | settings
    on_aio = chosen.pop("grpc_api", "") == "aio"
    make = None if on_aio else _transport().make_rpc_server
    config = Config(**chosen)
    server = Server(config, make_rpc_server=make)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


@pytest.fixture(params=[SignalEnd, ListenEnd], ids=["Signal", "Listen+Send"])
def transport(request: pytest.FixtureRequest) -> type[End]:
    kind: type[End] = request.param
    return kind


@asynccontextmanager
async def ends(server: Server | Served, transport: type[End]) -> AsyncIterator[Callable[..., End]]:
    opened: list[End] = []
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:

        def connect(sub: str, **claims: Any) -> End:
            end = transport(channel, token(sub, **claims))
            opened.append(end)
            return end

        yield connect
        for end in opened:
            end.cut()
