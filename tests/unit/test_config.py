"""Settings, alone and combined: they work, or a sentence says what is wrong."""

import math
import secrets
from contextlib import suppress
from dataclasses import Field, fields
from pathlib import Path
from typing import Any

import grpc
import pytest
from dyad_server.config import Config
from dyad_server.errors import ConfigError
from dyad_server.grpc_api.options import grpc_options
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import ends, serving
from tests.support.ends import SignalEnd, join

SECRET = secrets.token_hex(32)
ORIGIN = "https://app.example"
WEB = {"web_port": 8080, "web_origins": ORIGIN}


@pytest.mark.parametrize(
    ("chosen", "says"),
    [
        ({"jwt_secret": ""}, "DYAD_JWT_SECRET"),
        ({"jwt_public_key": "key.pem"}, "not two"),
        ({"jwt_jwks_url": "https://issuer/keys"}, "not two"),
        ({"jwt_secret": "", "jwt_jwks_url": "http://issuer/keys"}, "https"),
        ({"jwt_secret": "", "jwt_jwks_url": "http://10.0.0.1/keys"}, "https"),
        ({"jwt_secret": "", "jwt_jwks_url": "http://127.0.0.1.evil/keys"}, "https"),
        ({"jwt_secret": "", "jwt_jwks_url": "http://127.0.0.1@evil/keys"}, "https"),
        ({"jwt_secret": "", "jwt_jwks_url": "https://user:word@issuer/keys"}, "https"),
        ({"jwt_secret": "", "jwt_jwks_url": "https://issuer:port/keys"}, "https"),
        ({"jwt_secret": "", "jwt_jwks_url": "https:///keys"}, "https"),
        ({"jwt_secret": "", "jwt_jwks_url": "file:///etc/passwd"}, "https"),
        ({"jwt_secret": "", "jwt_jwks_url": "issuer/keys"}, "https"),
        ({"tls_cert": "cert.pem"}, "go together"),
        ({"tls_client_ca": "ca.pem"}, "needs --tls-cert"),
        ({"host": "0.0.0.0"}, "--allow-plaintext"),
        ({"host": "::"}, "--allow-plaintext"),
        ({"host": "example.com"}, "--allow-plaintext"),
        ({"port": 65536}, "--port"),
        ({"port": -1}, "--port"),
        ({"lease": 0.0}, "--lease"),
        ({"lease": float("inf")}, "--lease"),
        ({"lease": float("nan")}, "--lease"),
        ({"lease": 19.0}, "--lease must be at least twice --heartbeat"),
        ({"idle_timeout": 0.5}, "--idle-timeout must be 1 to"),
        ({"lease": 5.0, "heartbeat": 2.6}, "--lease must be at least twice --heartbeat"),
        ({"lease": 60.0, "heartbeat": 11.0}, "--heartbeat must be 0.1 to 10 seconds"),
        ({"lease": 1e-9}, "--lease must be 0.001 to 2,147,483 seconds"),
        ({"lease": 1e9}, "--lease must be 0.001 to 2,147,483 seconds"),
        ({"lease": 10**400}, "--lease must be 0.001 to 2,147,483 seconds"),
        ({"resume_grace": -1.0}, "--resume-grace must be 0 to 2,147,483 seconds"),
        ({"port": 10**30}, "--port must be 0 to 65,535"),
        ({"port": "50051"}, "--port must be a whole number"),
        ({"port": True}, "--port must be a whole number"),
        ({"lease": "25"}, "--lease must be a number"),
        ({"host": None}, "--host must be text"),
        ({"reflection": 1}, "--reflection must be yes or no"),
        ({"max_streams": 2**31}, "--max-streams must be 1 to 2,147,483,647"),
        ({"max_frame_bytes": 2**29}, "--max-frame-bytes must be 1 to 268,435,456"),
        ({"max_token_bytes": 16384}, "--max-token-bytes must be 1 to 15,360"),
        ({"workers": 0}, "--workers must be 1 to 1,024"),
        ({"workers": 2}, "--workers needs --redis"),
        ({"jwt_audience": "dyad\n"}, "--jwt-audience begins or ends with white space"),
        ({"jwt_issuer": " app"}, "--jwt-issuer begins or ends with white space"),
        ({"jwt_secret": SECRET + "\n"}, "--jwt-secret begins or ends with white space"),
        ({"redis": "redis://:password@r\n"}, "--redis begins or ends with white space"),
        ({"host": "127.0.0.1\0x"}, "--host contains control characters"),
        ({"host": "\ud800"}, "--host is not valid Unicode"),
        ({"max_frame_bytes": 0}, "--max-frame-bytes"),
        ({"log_level": "loud"}, "--log-level"),
        ({"trusted_proxies": "10.0.0.1/8"}, "--trusted-proxies"),
        ({"trusted_proxies": "proxy.example"}, "--trusted-proxies"),
        ({"trusted_proxies": "0.0.0.0/0"}, "use --trusted-hops"),
        ({"trusted_proxies": "10.0.0.1,::/0"}, "use --trusted-hops"),
        ({"trusted_hops": -1}, "--trusted-hops must be 0 to 16"),
        ({"trusted_hops": 17}, "--trusted-hops must be 0 to 16"),
        ({"trusted_hops": 1, "trusted_proxies": "10.0.0.1"}, "not both"),
        ({"web_port": 8080}, "--web-port and --web-origins go together"),
        ({"web_origins": ORIGIN}, "--web-port and --web-origins go together"),
        ({"web_port": 8080, "web_origins": ","}, "--web-port and --web-origins go together"),
        ({"web_port": 8080, "web_origins": "*"}, "* is not an origin"),
        ({"web_port": 8080, "web_origins": f"{ORIGIN}/"}, "/ is not an origin"),
        ({"web_port": 8080, "web_origins": f"{ORIGIN}:443"}, ":443 is not an origin"),
        ({"web_port": 8080, "web_origins": "http://a:80"}, "http://a:80 is not an origin"),
        ({"web_port": 8080, "web_origins": "https://A.example"}, "lower case"),
        ({"web_port": 8080, "web_origins": f"{ORIGIN},x"}, "--web-origins: x is not an origin"),
        ({"web_port": 8080, "web_origins": "https://user@a"}, "is not an origin"),
        ({**WEB, "workers": 2, "redis": "redis://r"}, "--web-port is for one process"),
        (
            {**WEB, "tls_cert": "c", "tls_key": "k", "tls_client_ca": "a"},
            "excludes --tls-client-ca",
        ),
        ({**WEB, "trusted_hops": 1}, "set --trusted-proxies, not --trusted-hops"),
        ({**WEB, "host": "call.example", "allow_plaintext": True}, "not call.example"),
    ],
)
def test_invalid_or_conflicting_settings_are_refused_with_a_sentence(
    chosen: dict[str, Any], says: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        Config(**({"jwt_secret": SECRET} | chosen))
    assert says in str(refused.value)
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize(
    "url", ["https://issuer/keys", "https://issuer:1/k?x=y", "http://localhost:1", "http://[::1]/k"]
)
def test_keys_may_come_only_over_tls_or_from_this_host(url: str) -> None:
    assert Config(jwt_jwks_url=url).jwt_jwks_url == url


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "[::1]", "localhost", "127.9.9.9"])
def test_loopback_needs_no_tls(host: str) -> None:
    assert Config(jwt_secret=SECRET, host=host).host == host


def test_a_printed_config_does_not_contain_the_secret() -> None:
    assert SECRET not in repr(Config(jwt_secret=SECRET))


@pytest.mark.parametrize(
    ("proxies", "warned"),
    [
        ("127.0.0.0/8,::1,unix", []),
        ("10.1.2.0/24, 2001:db8::/64,unix", []),
        ("10.0.0.0/8,192.0.2.1", ["10.0.0.0/8"]),
        ("172.16.0.0/12,2001:db8::/32", ["172.16.0.0/12", "2001:db8::/32"]),
        ("", []),
    ],
)
def test_a_wide_trusted_network_is_warned_about(proxies: str, warned: list[str]) -> None:
    config = Config(jwt_secret=SECRET, trusted_proxies=proxies)
    assert config.warnings() == [
        f"--trusted-proxies: any client in {network} can pose as any address." for network in warned
    ]
    assert config.trusts_unix() is ("unix" in proxies)


ANYTHING = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(2**70), 2**70).map(lambda n: n * 10**400),
    st.floats(),
    st.sampled_from([2**31 - 1, 2**31, 2**63, 65535, 65536, math.inf, math.nan, 5e-324, -0.0]),
    st.text(),
    st.sampled_from(["", "::1", "[::1", "https://[", "https://x:99999/", "0/0", "unix", "\0"]),
    st.binary(),
    st.lists(st.integers()),
)
GOOD: dict[str, Any] = {"jwt_secret": SECRET, "allow_plaintext": True}


@given(
    st.dictionaries(
        st.sampled_from([setting.name for setting in fields(Config)]), ANYTHING, max_size=2
    )
)
@settings(max_examples=300, derandomize=True, deadline=None)
def test_any_settings_make_a_config_or_are_refused_with_a_sentence(drawn: dict[str, Any]) -> None:
    try:
        config = Config(**(GOOD | drawn))
    except ConfigError as refused:
        assert str(refused).endswith((".", "?"))  # noqa: PT017 - not every draw is refused
        return
    assert grpc_options(config)
    assert config.warnings() is not None
    for setting in fields(config):
        assert type(getattr(config, setting.name)) in (type(setting.default), int)


NUMBERS = [setting for setting in fields(Config) if type(setting.default) in (int, float)]
TAKEN_BY_A_TEST = {"port", "metrics_port", "workers"}


def edge(setting: Field[Any], outside: float) -> Any:
    """The accepted number next to `outside`, which is refused."""
    inside: Any = setting.default
    kind = type(inside)
    while (
        middle := kind((inside + outside) / 2 if kind is float else (inside + outside) // 2)
    ) not in (
        inside,
        outside,
    ):
        try:
            Config(**GOOD, **{setting.name: middle})
            inside = middle
        except ConfigError:
            outside = middle
    return inside


@pytest.mark.parametrize("outside", [-1.0, 1e12], ids=["least", "most"])
@pytest.mark.parametrize(
    "setting",
    [setting for setting in NUMBERS if setting.name not in TAKEN_BY_A_TEST],
    ids=lambda setting: setting.name,
)
async def test_a_server_runs_with_the_lowest_and_highest_value_of_each_number(
    setting: Field[Any], outside: float
) -> None:
    default: Any = setting.default
    value = edge(setting, type(default)(outside))
    async with serving(**{setting.name: value}) as server, ends(server, SignalEnd) as connect:
        end = connect("alice")
        with suppress(grpc.aio.AioRpcError, EOFError):
            await end.send(join())
            await end.hear()
        end.cut()
        assert server.port


def test_clients_of_a_drained_server_reconnect_before_their_seats_expire() -> None:
    assert Config(jwt_secret=SECRET).spread() == 7.5
    assert Config(jwt_secret=SECRET, resume_grace=0).spread() == 5.0
    assert Config(jwt_secret=SECRET, resume_grace=30, drain_spread=20).spread() == 20
    with pytest.raises(ConfigError, match="--drain-spread is too long for --resume-grace"):
        Config(jwt_secret=SECRET, resume_grace=15, drain_spread=10.5)


@pytest.mark.parametrize("prefix", ["", "a:b", "a*", "a b", "é", "x" * 33])
def test_a_redis_prefix_that_is_ambiguous_or_a_pattern_is_refused(prefix: str) -> None:
    assert Config(jwt_secret=SECRET, redis_prefix="dyad-staging.2").redis_prefix
    with pytest.raises(ConfigError, match="--redis-prefix is 1 to 32 letters"):
        Config(jwt_secret=SECRET, redis_prefix=prefix)


def test_a_public_key_may_be_text_a_file_or_a_folder(tmp_path: Path) -> None:
    pem = "-----BEGIN PUBLIC KEY-----\nAA==\n-----END PUBLIC KEY-----"
    (tmp_path / "new.pem").write_text(pem + "\n")
    in_folder = Config(jwt_public_key=str(tmp_path))
    assert (in_folder.key_path, in_folder.key_texts()) == (str(tmp_path), {"new.pem": pem})
    assert Config(jwt_public_key=str(tmp_path / "new.pem")).key_texts() == {"": pem}
    as_text = Config(jwt_public_key=f"\n{pem}\n")
    assert (as_text.key_path, as_text.key_texts()) == ("", {"": f"\n{pem}\n"})
