import secrets
from typing import Any

import pytest
from dyad_server.config import Config, load
from dyad_server.errors import ConfigError

SECRET = secrets.token_hex(32)


@pytest.mark.parametrize(
    ("settings", "says"),
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
        ({"max_frame_bytes": 0}, "--max-frame-bytes"),
        ({"log_level": "loud"}, "--log-level"),
        ({"trusted_proxies": "10.0.0.1/8"}, "--trusted-proxies"),
        ({"trusted_proxies": "proxy.example"}, "--trusted-proxies"),
        ({"trusted_proxies": "0.0.0.0/0"}, "use --trusted-hops"),
        ({"trusted_proxies": "10.0.0.1,::/0"}, "use --trusted-hops"),
        ({"trusted_hops": -1}, "--trusted-hops must be 0 to 16"),
        ({"trusted_hops": 17}, "--trusted-hops must be 0 to 16"),
        ({"trusted_hops": 1, "trusted_proxies": "10.0.0.1"}, "not both"),
    ],
)
def test_settings_that_do_not_go_together_are_refused_with_a_sentence(
    settings: dict[str, Any], says: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        Config(**({"jwt_secret": SECRET} | settings))
    assert says in str(refused.value)
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize(
    "url", ["https://issuer/keys", "https://issuer:1/k?x=y", "http://localhost:1", "http://[::1]/k"]
)
def test_keys_come_over_tls_or_from_this_host(url: str) -> None:
    assert Config(jwt_jwks_url=url).jwt_jwks_url == url


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "[::1]", "localhost", "127.9.9.9"])
def test_loopback_needs_no_tls(host: str) -> None:
    assert Config(jwt_secret=SECRET, host=host).host == host


def test_an_option_comes_before_the_environment_and_that_before_the_default() -> None:
    environment = {"DYAD_JWT_SECRET": SECRET, "DYAD_PORT": "1", "DYAD_LEASE": "2.5"}
    config = load({"port": 2, "lease": None}, environment)
    assert (config.port, config.lease, config.heartbeat) == (2, 2.5, 10.0)


@pytest.mark.parametrize(("text", "value"), [("yes", True), ("0", False), ("TRUE", True)])
def test_yes_and_no_are_read_from_the_environment(text: str, *, value: bool) -> None:
    config = load({}, {"DYAD_JWT_SECRET": SECRET, "DYAD_REFLECTION": text})
    assert config.reflection is value


@pytest.mark.parametrize(("name", "text"), [("PORT", "x"), ("LEASE", ""), ("REFLECTION", "2")])
def test_a_variable_that_cannot_be_read_is_named(name: str, text: str) -> None:
    environment = {"DYAD_JWT_SECRET": SECRET, f"DYAD_{name}": text}
    if text == "":
        # Empty is not set: so a deployment can pass every variable through.
        assert load({}, environment).lease == 25.0
        return
    with pytest.raises(ConfigError, match=f"DYAD_{name}"):
        load({}, environment)


def test_the_secret_is_not_in_what_a_config_prints() -> None:
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
        f"--trusted-proxies: whoever connects from {network} can pose as any address."
        for network in warned
    ]
    assert config.trusts_unix() is ("unix" in proxies)
