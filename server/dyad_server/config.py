"""All settings, checked when made."""

import ipaddress
import re
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from dyad_server.errors import ConfigError

# A client waits up to so much longer than it is told to.
_PATIENCE = 1.5
_SPREAD_WITHOUT_GRACE = 5.0

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_LOOPBACK = "127.0.0.0/8,::1,unix"
_MOST_HOPS = 16
# Pages take 15 s of silence for a broken connection.
_LONGEST_HEARTBEAT = 10
# By version: shorter than this is nearly everybody; longer than that, few.
_REFUSED_PREFIX = {4: 8, 6: 16}
_NARROW_PREFIX = {4: 24, 6: 64}


# What gRPC and the system's timers take: 32 bits, of milliseconds too.
_MOST = 2**31 - 1
_LEAST_SECONDS = 0.001
_MOST_SECONDS = _MOST // 1000
_LARGEST_PORT = 65535
_LARGEST_FILE = 65536


def _setting(
    default: Any, help_text: str, *, least: float | None = None, most: float | None = None
) -> Any:
    """A setting; of a number also its bounds, where they are not those of its kind."""
    return field(default=default, metadata={"help": help_text, "least": least, "most": most})


def _secret(help_text: str) -> Any:
    """A setting that no output shows, and that a file can hold: see `environment`."""
    return field(default="", metadata={"help": help_text, "secret": True}, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """How a server runs. Times are seconds, sizes are bytes.

    Raises:
        ConfigError: when made of settings that do not go together.
    """

    host: str = _setting("127.0.0.1", "address to listen on")
    port: int = _setting(50051, "port to listen on; 0 picks a free one", most=_LARGEST_PORT)
    jwt_secret: str = _secret("secret of HS256/384/512 tokens, at least 32 bytes")
    jwt_public_key: str = _setting("", "public key of RS256/ES256/EdDSA tokens: PEM, or its file")
    jwt_jwks_url: str = _setting("", "URL of the issuer's JWK Set, instead of a key: https")
    jwks_timeout: float = _setting(10.0, "longest wait for that URL's answer")
    jwt_issuer: str = _setting("", "the `iss` that tokens must have")
    jwt_audience: str = _setting("", "the `aud` that tokens must have")
    end_at_expiry: bool = _setting(
        default=False, help_text="end a connection when its token expires, 30 s after the `exp`"
    )
    redis: str = _secret(
        "for several nodes: redis://, rediss:// or sentinel://host,host/service; none: memory"
    )
    redis_prefix: str = _setting(
        "dyad", "what keys in Redis begin with: one for each environment that shares it"
    )
    workers: int = _setting(
        1, "processes on this port; more than one need --redis", least=1, most=1024
    )
    tls_cert: str = _setting("", "PEM file of the server's certificate chain")
    tls_key: str = _setting("", "PEM file of its private key")
    tls_client_ca: str = _setting("", "PEM file of the CA that clients' certificates need (mTLS)")
    allow_plaintext: bool = _setting(default=False, help_text="listen beyond loopback without TLS")
    reflection: bool = _setting(default=False, help_text="let clients ask for the schema")
    metrics_host: str = _setting("127.0.0.1", "address that Prometheus metrics are served on")
    metrics_port: int = _setting(0, "port of Prometheus metrics; 0: none", most=_LARGEST_PORT)
    log_level: str = _setting("info", "debug, info, warning or error")
    max_frame_bytes: int = _setting(65536, "largest frame", most=2**28)
    max_token_bytes: int = _setting(6144, "longest token", most=15 * 1024)
    max_waiting_bytes: int = _setting(262144, "most that may wait for a slow reader")
    max_waiting_frames: int = _setting(256, "the same in frames, for one that may resume")
    max_frames_per_second: int = _setting(100, "most that one user may send, averaged over 5 s")
    max_bytes_per_second: int = _setting(
        32768, "the same in bytes; more needs --max-waiting-bytes raised"
    )
    max_opens_per_second: float = _setting(
        5.0, "most streams that one user may open; at once twice --max-streams-per-user, or 10"
    )
    max_streams: int = _setting(10000, "most participants at once")
    max_streams_per_user: int = _setting(16, "the same for one `sub`, held seats counted in")
    max_streams_per_address: int = _setting(1000, "the same for one address")
    max_connections_per_address: int = _setting(
        2000, "connections of one address, trusted proxies exempt; never over half of all"
    )
    trusted_proxies: str = _setting(
        _LOOPBACK, "whose x-forwarded-for is believed: networks, or unix, with commas"
    )
    trusted_hops: int = _setting(
        0,
        "how many proxies in front are believed instead, wherever they are; 0: see above",
        most=_MOST_HOPS,
    )
    write_timeout: float = _setting(5.0, "longest that a reader may not read")
    join_timeout: float = _setting(10.0, "longest wait for a join_room")
    lone_timeout: float = _setting(3600.0, "longest stay alone in a room")
    resume_grace: float = _setting(
        15.0, "how long a broken connection's seat is held; 0: not", least=0
    )
    heartbeat: float = _setting(
        10.0, "silence after which a heartbeat is sent", least=0.1, most=_LONGEST_HEARTBEAT
    )
    lease: float = _setting(
        25.0, "silence of a participant that counts as broken; at least twice --heartbeat"
    )
    keepalive_time: float = _setting(6.5, "silence after which a connection is probed")
    keepalive_timeout: float = _setting(3.0, "longest wait for the probe's answer")
    handshake_timeout: float = _setting(10.0, "longest wait for a TLS and HTTP/2 handshake")
    idle_timeout: float = _setting(60.0, "longest life of a connection without a call")
    drain_timeout: float = _setting(15.0, "longest wait for calls to end on shutdown")
    drain_spread: float = _setting(
        0.0,
        "those sent away on shutdown come back spread over at most this; 0: half of the grace",
        least=0,
    )

    def __post_init__(self) -> None:
        """Check what can be checked without opening anything."""
        for setting in fields(self):
            _check(setting, getattr(self, setting.name))
        self._check_key()
        if bool(self.tls_cert) != bool(self.tls_key):
            raise ConfigError("--tls-cert and --tls-key go together.")
        if self.tls_client_ca and not self.tls_cert:
            raise ConfigError("--tls-client-ca needs --tls-cert and --tls-key.")
        if not self.tls_cert and not self.allow_plaintext and not _is_loopback(self.host):
            raise ConfigError(
                f"{self.host} is not loopback and there is no TLS: tokens would travel in the "
                "clear. Give --tls-cert and --tls-key, or --allow-plaintext behind a proxy."
            )
        self._check_values()

    def _check_key(self) -> None:
        given = [self.jwt_secret, self.jwt_public_key, self.jwt_jwks_url]
        if not any(given):
            raise ConfigError(
                "No key to check tokens with: set DYAD_JWT_SECRET (`openssl rand -hex 32` makes "
                "one), DYAD_JWT_PUBLIC_KEY or DYAD_JWT_JWKS_URL."
            )
        if sum(map(bool, given)) > 1:
            raise ConfigError(
                "Set one of DYAD_JWT_SECRET, DYAD_JWT_PUBLIC_KEY and DYAD_JWT_JWKS_URL, not two."
            )
        if self.jwt_jwks_url and not _is_trusted(self.jwt_jwks_url):
            # Whoever answers in the issuer's place could make any token hold.
            raise ConfigError("--jwt-jwks-url is not an https URL (or http, of loopback).")

    def _check_values(self) -> None:
        if self.lease < 2 * self.heartbeat:
            raise ConfigError("--lease must be at least twice --heartbeat: answers take a while.")
        self._check_proxies()
        self._check_times()
        if self.workers > 1 and not self.redis:
            raise ConfigError("--workers needs --redis: two participants may land on two workers.")
        if self.metrics_port and self.metrics_port + self.workers - 1 > _LARGEST_PORT:
            raise ConfigError("--metrics-port is too high: each worker takes the next one.")
        if not re.fullmatch(r"[A-Za-z0-9._-]{1,32}", self.redis_prefix):
            raise ConfigError(
                "--redis-prefix is 1 to 32 letters, digits, dots, hyphens and underscores."
            )
        if self.log_level not in ("debug", "info", "warning", "error"):
            raise ConfigError("--log-level is debug, info, warning or error.")

    def _check_proxies(self) -> None:
        if self.trusted_hops and self.trusted_proxies != _LOOPBACK:
            raise ConfigError("Set one of --trusted-hops and --trusted-proxies, not both.")
        for network in self.proxies():
            if network.prefixlen < _REFUSED_PREFIX[network.version]:
                raise ConfigError(
                    f"--trusted-proxies: {network} is nearly everybody, so any client could pose "
                    "as any address. Behind proxies whose addresses change, use --trusted-hops."
                )

    def _check_times(self) -> None:
        if self.resume_grace and self.drain_spread * _PATIENCE > self.resume_grace:
            raise ConfigError(
                "--drain-spread is too long for --resume-grace: clients wait up to half as long "
                "again, and their seats would be gone."
            )

    def spread(self) -> float:
        """Seconds over which those who are sent away on shutdown come back, at most."""
        return self.drain_spread or self.resume_grace / 2 or _SPREAD_WITHOUT_GRACE

    def proxies(self) -> list[Network]:
        """The networks whose `x-forwarded-for` is believed.

        Raises:
            ConfigError: they are not networks.
        """
        try:
            return [ipaddress.ip_network(text) for text in self._trusted_texts() if text != "unix"]
        except ValueError as error:
            raise ConfigError(f"--trusted-proxies: {error}.") from None

    def trusts_unix(self) -> bool:
        """Whether the `x-forwarded-for` of peers on a Unix socket is believed."""
        return "unix" in self._trusted_texts()

    def _trusted_texts(self) -> list[str]:
        return [text.strip() for text in self.trusted_proxies.split(",") if text.strip()]

    def warnings(self) -> list[str]:
        """What works, but is likely not what was meant: a sentence each."""
        return [
            f"--trusted-proxies: whoever connects from {network} can pose as any address."
            for network in self.proxies()
            if network.prefixlen < _NARROW_PREFIX[network.version] and not network.is_loopback
        ]

    def public_key_pem(self) -> str:
        """The text of the public key.

        Raises:
            ConfigError: its file cannot be read.
        """
        if "-----BEGIN" in self.jwt_public_key:
            return self.jwt_public_key
        return read_file("jwt_public_key", self.jwt_public_key.strip()).decode("utf-8", "replace")


def read_file(name: str, path: str) -> bytes:
    """The content of the file that the setting `name` gives.

    Raises:
        ConfigError: it cannot be read, or is far too large.
    """
    try:
        with Path(path).open("rb") as file:
            content = file.read(_LARGEST_FILE + 1)
    except OSError as error:
        raise ConfigError(f"{option(name)}: {path}: {error.strerror}.") from None
    except ValueError:
        raise ConfigError(f"{option(name)} is not the path of a file.") from None
    if len(content) > _LARGEST_FILE:
        raise ConfigError(f"{option(name)}: {path} is larger than {_LARGEST_FILE} bytes.")
    return content


def option(name: str) -> str:
    """The command-line option of a setting."""
    return "--" + name.replace("_", "-")


def variable(name: str) -> str:
    """The environment variable of a setting."""
    return f"DYAD_{name.upper()}"


def _check(setting: Field[Any], value: object) -> None:
    """Check one setting by itself."""
    name, kind = option(setting.name), type(setting.default)
    if kind is float and type(value) is int:
        value = float(value) if abs(value) <= _MOST else float("inf")
    if type(value) is not kind:
        kinds = {bool: "yes or no", int: "a whole number", float: "a number", str: "a text"}
        raise ConfigError(f"{name} must be {kinds[kind]}.")
    if isinstance(value, str):
        _check_text(name, value, several_lines=setting.name == "jwt_public_key")
    elif isinstance(value, int | float) and kind is not bool:
        least, most = _bounds(setting)
        # Also false for NaN.
        if not least <= value <= most:
            unit = " seconds" if kind is float else ""
            raise ConfigError(f"{name} must be {least:g} to {most:,}{unit}.")


def _bounds(setting: Field[Any]) -> tuple[float, float]:
    least: float | None = setting.metadata["least"]
    most: float | None = setting.metadata["most"]
    if isinstance(setting.default, float):
        kinds = _LEAST_SECONDS, _MOST_SECONDS
    else:
        kinds = int(setting.name.startswith("max_")), _MOST
    return kinds[0] if least is None else least, kinds[1] if most is None else most


def _check_text(name: str, value: str, *, several_lines: bool) -> None:
    # A newline from a file, in a secret or an audience, would make every token fail.
    if not several_lines and value != value.strip():
        raise ConfigError(f"{name} begins or ends with white space: a newline, perhaps?")
    if not several_lines and any(character < " " for character in value):
        raise ConfigError(f"{name} has control characters in it.")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ConfigError(f"{name} is not valid Unicode.") from None


def _is_trusted(url: str) -> bool:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    if not host or "@" in parts.netloc or not url.isascii():
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(host))


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
