"""Behaviour of gRPC that was measured and must not change unnoticed (docs/architecture.md)."""

import os
import subprocess
import sys
from importlib.metadata import version

import pytest
from dyad_server import Config
from dyad_server.grpc_api.connections import room
from dyad_server.grpc_api.options import grpc_options

CONFIG = Config(jwt_secret="x" * 32, keepalive_time=7.0, keepalive_timeout=2.5)
SHOW = "import dyad_server, os, sys; print('grpc' in sys.modules, os.environ['GRPC_EXPERIMENTS'])"
OPTIONS = {
    "grpc.so_reuseport": (
        0,
        "With 1, a second server on the port starts and takes half of the streams.",
    ),
    "grpc.max_receive_message_length": (
        524_288,
        "A replay of all frames that may be unacknowledged fits into one message.",
    ),
    "grpc.max_concurrent_streams": (
        200,
        "Each may hold 30 KiB without a token: 30,000 took 700 MiB.",
    ),
    "grpc.max_metadata_size": (
        16_384,
        "If the two metadata limits differ, long tokens are refused at random.",
    ),
    "grpc.absolute_max_metadata_size": (
        16_384,
        "If the two metadata limits differ, long tokens are refused at random.",
    ),
    "grpc.max_allowed_incoming_connections": (
        room(),
        "Without file descriptors, gRPC stops accepting, and Redis and keys fail, too.",
    ),
    "grpc.max_connection_idle_ms": (
        60_000,
        "By default, a connection without a stream stays open for ever.",
    ),
    "grpc.server_handshake_timeout_ms": (
        10_000,
        "By default, a connection that sends nothing stays open for two minutes.",
    ),
    "grpc.http2.bdp_probe": (
        0,
        "With it, windows grow: 200 requests of 500 KB without a token cost 140 MB more.",
    ),
    "grpc.keepalive_time_ms": (7_000, "It has the value of the setting keepalive_time."),
    "grpc.keepalive_timeout_ms": (
        2_500,
        "Without http2.ping_timeout_ms of the same value, a frozen peer is noticed after 65 s.",
    ),
    "grpc.http2.ping_timeout_ms": (
        2_500,
        "Without it, keepalive_timeout_ms does nothing: a frozen peer is noticed after 65 s.",
    ),
    "grpc.server.max_pending_requests": (
        100,
        "By default, 1,000 to 3,000 requests wait for each method: 100 MiB of 15 kB headers.",
    ),
    "grpc.server.max_pending_requests_hard_limit": (
        100,
        "If it is above max_pending_requests, gRPC refuses requests between them at random.",
    ),
    "grpc.keepalive_permit_without_calls": (
        1,
        "Envoy also pings connections without streams, and would be disconnected for it.",
    ),
    "grpc.http2.max_pings_without_data": (
        0,
        "0 sets no limit: an idle stream is probed for as long as it lasts.",
    ),
    "grpc.http2.min_ping_interval_without_data_ms": (
        1_000,
        "If proxies ping more often, an idle Listen through Envoy ends after 128 s.",
    ),
}


@pytest.mark.parametrize("name", OPTIONS)
def test_an_option_has_the_value_that_was_measured(name: str) -> None:
    value, reason = OPTIONS[name]
    assert dict(grpc_options(CONFIG)).get(name) == value, reason


def test_every_option_is_set_once_and_has_its_reason_here() -> None:
    assert sorted(name for name, _ in grpc_options(CONFIG)) == sorted(OPTIONS), (
        "Measure what the new option does, and add a row with its reason here."
    )


def test_a_message_holds_four_frames_of_any_limit() -> None:
    options = dict(grpc_options(Config(jwt_secret="x" * 32, max_frame_bytes=1_000_000)))
    assert options["grpc.max_receive_message_length"] == 4_000_000


@pytest.mark.parametrize(
    ("users", "then"),
    [(None, "-event_engine_listener"), ("", ""), ("event_engine_fork", "event_engine_fork")],
    ids=["unset", "empty", "the user's"],
)
def test_the_experiment_is_set_before_grpc_is_imported_unless_the_user_has_set_it(
    users: str | None, then: str
) -> None:
    env = {name: value for name, value in os.environ.items() if name != "GRPC_EXPERIMENTS"}
    env |= {} if users is None else {"GRPC_EXPERIMENTS": users}
    said = subprocess.check_output([sys.executable, "-c", SHOW], env=env, text=True)
    assert said.rstrip("\n") == f"False {then}"


def test_grpc_still_knows_the_experiment() -> None:
    start = (
        "import dyad_server, grpc, asyncio\n"
        "async def start(): await grpc.aio.server().start()\n"
        "asyncio.run(start())\n"
    )
    env = {name: value for name, value in os.environ.items() if name != "GRPC_EXPERIMENTS"}
    done = subprocess.run(
        [sys.executable, "-c", start], env=env, stderr=subprocess.PIPE, text=True, check=True
    )
    assert "Unknown experiment" not in done.stderr, "see grpc_environment"


@pytest.mark.parametrize("module", ["composition", "cli.main", "cli.dev", "grpc_api.servicer"])
def test_the_experiment_is_set_whatever_is_imported_first(module: str) -> None:
    env = {name: value for name, value in os.environ.items() if name != "GRPC_EXPERIMENTS"}
    # grpc reads the variable when it is imported, so the value at that moment counts.
    show = (
        "import os, sys\n"
        "class Look:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'grpc': print(os.environ.get('GRPC_EXPERIMENTS'))\n"
        "sys.meta_path.insert(0, Look())\n"
        f"import dyad_server.{module}\n"
    )
    said = subprocess.check_output([sys.executable, "-c", show], env=env, text=True)
    assert said == "-event_engine_listener\n"


def test_grpcio_is_the_version_that_was_measured() -> None:
    assert version("grpcio").startswith("1.85."), (
        f"grpcio is {version('grpcio')}; grpc_environment.py and grpc_api/options.py were "
        "measured with 1.85. "
        "Measure again whether -event_engine_listener still helps, and how long a frozen peer "
        "and an idle Listen through Envoy last; then change pyproject.toml and this test."
    )
