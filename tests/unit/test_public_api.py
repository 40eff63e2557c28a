"""The names that apps import.

To change a name on purpose, change this file, too, and add an entry to CHANGELOG.md.
"""

import inspect
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import dyad
import dyad_server
import pytest

SAY_SO = (
    "Apps rely on this. If the change is intended, change this test, and say in CHANGELOG.md "
    "what apps have to do. A breaking change waits for the next 0.x, and after 1.0 for the next "
    "major version."
)


def test_the_client_offers_these_names() -> None:
    assert sorted(dyad.__all__) == [
        "Answer",
        "Candidate",
        "Connection",
        "Departure",
        "DyadError",
        "Ended",
        "Event",
        "Forbidden",
        "Limits",
        "Offer",
        "Overloaded",
        "Participant",
        "PeerJoined",
        "PeerLeft",
        "Phase",
        "Reconnected",
        "Reconnecting",
        "Refusal",
        "Refused",
        "Room",
        "State",
        "TakenOver",
        "TimedOut",
        "Token",
        "TooLarge",
        "Unauthenticated",
        "Unavailable",
        "connect",
    ], SAY_SO


def test_the_server_offers_these_names() -> None:
    assert sorted(dyad_server.__all__) == [
        "Config",
        "ConfigError",
        "RunningServer",
        "serving",
    ], SAY_SO


@pytest.mark.parametrize("package", [dyad, dyad_server], ids=["dyad", "dyad_server"])
def test_every_exported_name_exists(package: Any) -> None:
    assert [name for name in package.__all__ if not hasattr(package, name)] == []
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = package.no_such_name


@pytest.mark.parametrize(
    ("function", "signature"),
    [
        (
            dyad.connect,
            (
                "(target, token, *, plaintext=False, credentials=None, limits=None, "
                "give_up_after=60.0, metadata=None)"
            ),
        ),
        (dyad.Connection.create, "(self, *, resumable=True)"),
        (dyad.Connection.join, "(self, room_id, *, resumable=True)"),
        (dyad.Connection.leave, "(self)"),
        (dyad.Connection.close, "(self)"),
        (dyad.Connection.detach, "(self)"),
        (dyad.Connection.network_changed, "(self)"),
        (dyad.Connection.states, "(self)"),
        (dyad.Connection.send_offer, "(self, sdp)"),
        (dyad.Connection.send_answer, "(self, sdp)"),
        (dyad.Connection.send_candidate, "(self, candidate)"),
        (dyad_server.serving, "(config, *, interceptors=(), add_services=None)"),
    ],
    ids=lambda value: getattr(value, "__qualname__", ""),
)
def test_no_function_loses_a_parameter(function: Callable[..., Any], signature: str) -> None:
    full = inspect.signature(function)
    bare = [one.replace(annotation=inspect.Parameter.empty) for one in full.parameters.values()]
    shown = full.replace(parameters=bare, return_annotation=inspect.Signature.empty)
    assert str(shown) == signature, SAY_SO


@pytest.mark.parametrize(
    ("value", "names"),
    [
        (dyad.Participant, ("user_id", "email")),
        (dyad.Room, ("room_id", "peer", "polite")),
        (dyad.PeerJoined, ("participant", "room_id")),
        (dyad.PeerLeft, ("participant", "reason", "room_id")),
        (dyad.Offer, ("sdp", "sender", "room_id")),
        (dyad.Answer, ("sdp", "sender", "room_id")),
        (
            dyad.Candidate,
            (
                "candidate",
                "sdp_mid",
                "sdp_m_line_index",
                "username_fragment",
                "sender",
                "room_id",
            ),
        ),
        (dyad.Reconnecting, ("room_id",)),
        (dyad.Reconnected, ("room", "resumed")),
        (dyad.Refused, ("code", "message", "room_id")),
        (dyad.TooLarge, ("size", "most")),
        (dyad.State, ("phase", "attempt", "error")),
        (dyad.Limits, ("frame_bytes", "frames_per_second", "bytes_per_second")),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_no_type_loses_or_reorders_its_fields(value: Any, names: tuple[str, ...]) -> None:
    # Another field at the end breaks no `match` statement.
    assert value.__match_args__[: len(names)] == names, SAY_SO


@pytest.mark.parametrize("name", ["metrics", "participants", "port", "ready"])
def test_a_running_server_keeps_its_properties(name: str) -> None:
    assert isinstance(getattr(dyad_server.RunningServer, name), property), SAY_SO


@pytest.mark.parametrize("package", [dyad, dyad_server], ids=["dyad", "dyad_server"])
def test_the_packages_declare_that_they_are_typed(package: Any) -> None:
    assert (Path(package.__file__).parent / "py.typed").is_file()


def test_no_setting_disappears() -> None:
    names = {setting.name for setting in fields(dyad_server.Config)}
    gone = {
        "allow_plaintext",
        "drain_timeout",
        "heartbeat",
        "host",
        "join_timeout",
        "jwt_audience",
        "jwt_issuer",
        "jwt_public_key",
        "jwt_secret",
        "keepalive_time",
        "keepalive_timeout",
        "lease",
        "log_level",
        "lone_timeout",
        "max_frame_bytes",
        "max_token_bytes",
        "max_waiting_bytes",
        "metrics_host",
        "metrics_port",
        "port",
        "reflection",
        "tls_cert",
        "tls_client_ca",
        "tls_key",
        "write_timeout",
    } - names
    assert not gone, f"Deployments set these: {gone}. {SAY_SO}"
