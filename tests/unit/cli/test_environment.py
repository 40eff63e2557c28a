"""Settings from the command line, the environment and files."""

import secrets
from pathlib import Path
from typing import Any

import pytest
from dyad_server.auth.key_ring import secret_keys
from dyad_server.cli.environment import load, warnings
from dyad_server.errors import ConfigError

SECRET = secrets.token_hex(32)


def test_an_option_overrides_the_environment_which_overrides_the_default() -> None:
    environment = {"DYAD_JWT_SECRET": SECRET, "DYAD_PORT": "1", "DYAD_LEASE": "22.5"}
    config = load({"port": 2, "lease": None}, environment)
    assert (config.port, config.lease, config.heartbeat) == (2, 22.5, 10.0)


@pytest.mark.parametrize(("text", "value"), [("yes", True), ("0", False), ("TRUE", True)])
def test_yes_and_no_are_read_from_the_environment(text: str, *, value: bool) -> None:
    config = load({}, {"DYAD_JWT_SECRET": SECRET, "DYAD_REFLECTION": text})
    assert config.reflection is value


@pytest.mark.parametrize(("name", "text"), [("PORT", "x"), ("LEASE", ""), ("REFLECTION", "2")])
def test_an_invalid_variable_is_named(name: str, text: str) -> None:
    environment = {"DYAD_JWT_SECRET": SECRET, f"DYAD_{name}": text}
    if text == "":
        # An empty variable counts as not set, so a deployment can pass on all of them.
        assert load({}, environment).lease == 25.0
        return
    with pytest.raises(ConfigError, match=f"DYAD_{name}"):
        load({}, environment)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("DYAD_JWT_AUDIANCE", "did you mean DYAD_JWT_AUDIENCE?"),
        ("DYAD_JWT_SECRET_PATH", "did you mean DYAD_JWT_SECRET?"),
        ("DYAD_TLS_CERT_FILE", "did you mean DYAD_TLS_CERT?"),
        ("DYAD_X", "`dyad serve --help` lists them."),
    ],
)
def test_a_variable_that_is_not_a_setting_is_refused(name: str, hint: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load({}, {"DYAD_JWT_SECRET": SECRET, name: "dyad"})
    assert str(refused.value) == f"{name} is not a setting: {hint}"
    empty = load({}, {"DYAD_JWT_SECRET": SECRET, name: ""})
    assert empty.jwt_secret == SECRET, "an empty variable counts as not set"


def test_variables_that_kubernetes_sets_for_a_service_called_dyad_are_ignored() -> None:
    links = {
        "DYAD_SERVICE_HOST": "10.0.0.1",
        "DYAD_SERVICE_PORT": "50051",
        "DYAD_SERVICE_PORT_GRPC": "50051",
        "DYAD_PORT": "tcp://10.0.0.1:50051",
        "DYAD_PORT_50051_TCP": "tcp://10.0.0.1:50051",
        "DYAD_PORT_50051_TCP_ADDR": "10.0.0.1",
        "DYAD_REDIS_PORT": "tcp://10.0.0.2:6379",
        "DYAD_REDIS_SERVICE_HOST": "10.0.0.2",
        "KUBERNETES_PORT": "tcp://10.0.0.3:443",
    }
    config = load({}, links | {"DYAD_JWT_SECRET": SECRET})
    assert (config.port, config.redis) == (50051, "")


@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\n\n"])
@pytest.mark.parametrize("by", ["option", "variable"])
def test_a_secret_may_be_in_a_file_with_a_newline_at_its_end(
    by: str, end: str, tmp_path: Path
) -> None:
    key, redis = tmp_path / "key", tmp_path / "redis"
    key.write_bytes(f"{SECRET}{end}".encode())
    redis.write_bytes(f"redis://:password@r{end}".encode())
    if by == "option":
        config = load({"jwt_secret_file": str(key), "redis_file": str(redis)}, {})
    else:
        config = load({}, {"DYAD_JWT_SECRET_FILE": str(key), "DYAD_REDIS_FILE": str(redis)})
    assert config.key_texts() == {"": SECRET}
    assert config.redis_url() == "redis://:password@r"
    assert "password" not in repr(config)


def test_an_option_for_a_secret_overrides_a_variable_of_either_form(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(SECRET)
    other = secrets.token_hex(32)
    by_file = load({"jwt_secret_file": str(file)}, {"DYAD_JWT_SECRET": other})
    assert by_file.key_texts() == {"": SECRET}
    by_text = load({"jwt_secret": other}, {"DYAD_JWT_SECRET_FILE": str(file)})
    assert by_text.key_texts() == {"": other}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "No such file"),
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b"\xff" * 40, "is not UTF-8 text"),
        (b"s" * 65537, "is larger than 65536 bytes"),
        (f" {SECRET}".encode(), "begins or ends with white space"),
        (b"short", "needs at least 32"),
    ],
)
def test_a_file_without_a_usable_secret_is_refused_and_not_quoted(
    content: bytes | None, says: str, tmp_path: Path
) -> None:
    file = tmp_path / "key"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigError, match=says) as refused:
        secret_keys(load({}, {"DYAD_JWT_SECRET_FILE": str(file)}).key_texts())
    assert SECRET not in str(refused.value)


def test_a_secret_set_twice_is_refused() -> None:
    with pytest.raises(ConfigError, match="Set one of DYAD_JWT_SECRET and DYAD_JWT_SECRET_FILE"):
        load({}, {"DYAD_JWT_SECRET": SECRET, "DYAD_JWT_SECRET_FILE": "key"})
    with pytest.raises(ConfigError, match="Set one of --redis and --redis-file, not both"):
        load({"redis": "redis://r", "redis_file": "r"}, {"DYAD_JWT_SECRET": SECRET})


def test_a_newline_in_a_variable_is_reported() -> None:
    with pytest.raises(ConfigError, match="--jwt-secret begins or ends with white space"):
        load({}, {"DYAD_JWT_SECRET": f"{SECRET}\n"})


@pytest.mark.parametrize(
    ("options", "warned"),
    [
        ({"jwt_secret": SECRET}, ["--jwt-secret"]),
        ({"redis": "redis://:password@r"}, ["--redis"]),
        ({"redis": "redis://r"}, []),
        ({"jwt_secret_file": "key", "redis_file": "r", "port": 1}, []),
    ],
)
def test_a_secret_on_the_command_line_is_warned_about(
    options: dict[str, Any], warned: list[str]
) -> None:
    said = warnings(options)
    assert [sentence.partition(" ")[0] for sentence in said] == warned
    assert all("list processes" in sentence for sentence in said)
    assert not any(secret in " ".join(said) for secret in (SECRET, "password"))
