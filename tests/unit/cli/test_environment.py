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
    assert config.redis_urls() == "redis://:password@r"
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


def settings_file(folder: Path, text: str) -> dict[str, str]:
    """A settings file; returns an option that names it."""
    (folder / "dyad.toml").write_text(text)
    return {"config": str(folder / "dyad.toml")}


def test_variables_override_a_settings_file_which_overrides_the_default(tmp_path: Path) -> None:
    text = "port = 1\nlease = 60\nmax_streams = 5\nreflection = true\nredis_prefix = 'staging'\n"
    named = settings_file(tmp_path, text)
    environment = {"DYAD_JWT_SECRET": SECRET, "DYAD_LEASE": "50", "DYAD_MAX_STREAMS": "6"}
    config = load(named | {"max_streams": 7}, environment)
    assert (config.port, config.lease, config.max_streams) == (1, 50.0, 7)
    assert (config.reflection, config.redis_prefix) == (True, "staging")
    by_variable = load({}, environment | {"DYAD_CONFIG": named["config"]})
    assert (by_variable.port, by_variable.max_streams) == (1, 6)


def test_a_secret_of_a_stronger_place_overrides_one_of_a_weaker_place_in_either_form(
    tmp_path: Path,
) -> None:
    key, other = tmp_path / "key", secrets.token_hex(32)
    key.write_text(SECRET)
    named = settings_file(tmp_path, f"jwt_secret = '{other}'\nredis = 'redis://r'\n")
    assert load(named, {}).key_texts() == {"": other}
    config = load(named, {"DYAD_JWT_SECRET_FILE": str(key)})
    assert (config.key_texts(), config.redis_urls()) == ({"": SECRET}, "redis://r")
    weaker = settings_file(tmp_path, f"jwt_secret_file = '{key}'\n")
    assert load(weaker, {"DYAD_JWT_SECRET": other}).key_texts() == {"": other}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("port =", "is not TOML"),
        ("jwt_audiance = 'x'", "jwt_audiance is not a setting: did you mean jwt_audience?"),
        ("jwt-audience = 'x'", "jwt-audience is not a setting: did you mean jwt_audience?"),
        ("[tls]\ncert = 'x'", "tls is not a setting"),
        ("config = 'other.toml'", "config is not a setting"),
        ("port = '1'", "--port must be a whole number"),
        ("reflection = 'yes'", "--reflection must be yes or no"),
        ("jwt_secret = 'x'\njwt_secret_file = 'y'", "Set one of jwt_secret and jwt_secret_file"),
        ("", "is empty"),
    ],
)
def test_a_mistake_in_a_settings_file_is_named(text: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        load(settings_file(tmp_path, text), {"DYAD_JWT_SECRET": SECRET})
    assert says in str(refused.value)


def test_a_settings_file_that_is_missing_is_named() -> None:
    with pytest.raises(ConfigError, match=r"--config: /no/file: No such file"):
        load({"config": "/no/file"}, {"DYAD_JWT_SECRET": SECRET})


def test_all_mistakes_are_named_at_once(tmp_path: Path) -> None:
    named = settings_file(tmp_path, "prot = 1\nworkers = 2\n")
    environment = {"DYAD_LEESE": "1", "DYAD_PORT": "x", "DYAD_JWT_JWKS_URL": "http://issuer"}
    with pytest.raises(ConfigError) as refused:
        load(named, environment)
    said = refused.value.sentences
    for part in ("prot", "DYAD_LEESE", "DYAD_PORT", "--workers needs", "--jwt-jwks-url"):
        assert sum(part in sentence for sentence in said) == 1, (part, said)
    assert len(said) == 5


def test_the_settings_of_a_settings_file_are_not_in_its_error_messages(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        load(settings_file(tmp_path, f"jwt_secret = '{SECRET}"), {})
    assert SECRET not in str(refused.value)
