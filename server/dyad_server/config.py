"""All settings of the server. They are checked when a `Config` is made."""

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass, fields

from dyad_server import bounds
from dyad_server.errors import ConfigError
from dyad_server.files import read_text, read_texts
from dyad_server.setting import (
    ORIGIN_FORM,
    check,
    is_address,
    is_loopback,
    is_origin,
    is_trusted_url,
    secret,
    setting,
)

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_LOOPBACK = "127.0.0.0/8,::1,unix"


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """How a server runs. Times are seconds, sizes are bytes.

    Raises:
        ConfigError: a setting is invalid, or two settings conflict.
    """

    host: str = setting("127.0.0.1", "address to listen on")
    port: int = setting(50051, "port for gRPC; 0 picks a free one", most=bounds.LARGEST_PORT)
    jwt_secret: str = secret(
        "secret for HS256, HS384 and HS512 tokens, at least 32 bytes; several: one a line",
        lines=True,
    )
    jwt_secret_file: str = setting(
        "", "file with that secret, or folder with a file for each secret; read again on a change"
    )
    jwt_public_key: str = setting(
        "",
        "public key for RS256, ES256 or EdDSA tokens: PEM text, or the path of a PEM file or of a "
        "folder with a file for each key; files are read again on a change",
        lines=True,
    )
    jwt_jwks_url: str = setting("", "https URL of the issuer's JWK Set, instead of a key")
    jwks_timeout: float = setting(10.0, "time limit for a request to that URL")
    jwt_issuer: str = setting("", "required `iss` of tokens")
    jwt_audience: str = setting("", "required `aud` of tokens")
    end_at_expiry: bool = setting(
        default=False, help_text="end each connection 30 s after the `exp` of its token"
    )
    redis: str = secret(
        "URL of the Redis that several nodes share: redis://, rediss:// or "
        "sentinel://host,host/service; without it, rooms are kept in memory; several URLs, "
        "separated by white space, each need a name: redis://host#name",
        lines=True,
    )
    redis_file: str = setting("", "file with that URL, or with several, one a line")
    redis_prefix: str = setting(
        "dyad", "prefix of all keys in Redis; each environment that shares it needs its own"
    )
    workers: int = setting(
        1,
        "processes that share the port; more than one needs --redis",
        least=1,
        most=bounds.MOST_WORKERS,
    )
    tls_cert: str = setting(
        "", "PEM file with the server's certificate chain; TLS files are read again on a change"
    )
    tls_key: str = setting("", "PEM file with the private key of that certificate")
    tls_client_ca: str = setting("", "PEM file with the CA of clients' certificates, for mTLS")
    allow_plaintext: bool = setting(default=False, help_text="allow any address without TLS")
    web_port: int = setting(
        0,
        "port for browsers (grpc-web), with Envoy from the extra `web`; 0 serves none",
        most=bounds.LARGEST_PORT,
    )
    web_origins: str = setting("", "origins of the pages that may call there, separated by commas")
    grpc_api: str = setting(
        "auto", "what serves gRPC: auto, or aio for the public API of grpcio, with more CPU"
    )
    reflection: bool = setting(default=False, help_text="serve gRPC reflection")
    metrics_host: str = setting("127.0.0.1", "address to serve metrics and probes on")
    metrics_port: int = setting(
        0,
        "port to serve Prometheus metrics on, and the probes /livez and /readyz; 0 serves none",
        most=bounds.LARGEST_PORT,
    )
    log_level: str = setting(
        "info", "debug, info, warning or error; SIGUSR1 sets debug, SIGUSR2 sets this level again"
    )
    log_format: str = setting("text", "text, or json: an object on each line")
    max_frame_bytes: int = setting(65536, "most bytes in a frame", most=bounds.LARGEST_FRAME_BYTES)
    max_token_bytes: int = setting(6144, "most bytes in a token", most=bounds.LARGEST_TOKEN_BYTES)
    max_waiting_bytes: int = setting(
        262144, "most bytes kept for a participant that reads slowly or is disconnected"
    )
    max_waiting_frames: int = setting(
        256, "most frames kept for a participant that is disconnected"
    )
    max_frames_per_second: int = setting(
        100, "most frames a user may send per second, averaged over 5 s"
    )
    max_bytes_per_second: int = setting(
        32768,
        "most bytes a user may send per second, averaged over 5 s; if you raise it, raise "
        "--max-waiting-bytes too",
    )
    max_opens_per_second: float = setting(
        5.0,
        "most streams a user may open per second on average; in a burst twice "
        "--max-streams-per-user, and at least 10",
    )
    max_streams: int = setting(10000, "most participants at the same time")
    max_streams_per_user: int = setting(
        16, "most participants of one user, reserved seats included"
    )
    max_streams_per_address: int = setting(1000, "most participants of one address")
    max_connections_per_address: int = setting(
        2000,
        "most network connections from one address (trusted proxies are exempt), and never more "
        "than half of all",
    )
    max_streams_per_connection: int = setting(
        200,
        "most streams on one network connection: further ones wait; raise it for a proxy that "
        "carries all users over one connection",
    )
    trusted_proxies: str = setting(
        _LOOPBACK,
        "proxies whose x-forwarded-for is trusted: networks, or unix, separated by commas",
    )
    trusted_hops: int = setting(
        0,
        "number of trusted proxies in front, at any address; 0: use --trusted-proxies",
        most=bounds.MOST_HOPS,
    )
    # Long, because gRPC's own threads take their latest task first: while a flood keeps them
    # busy, a write may wait for up to 10 s, although its client reads.
    write_timeout: float = setting(15.0, "time limit for a write to a client that does not read")
    join_timeout: float = setting(10.0, "time limit between opening a stream and join_room")
    lone_timeout: float = setting(3600.0, "time limit for being alone in a room")
    resume_grace: float = setting(
        15.0, "how long a seat is reserved after its connection broke; 0 reserves none", least=0
    )
    heartbeat: float = setting(
        10.0,
        "silence, in either direction, after which the server sends a heartbeat",
        least=bounds.SHORTEST_HEARTBEAT_SECONDS,
        most=bounds.LONGEST_HEARTBEAT_SECONDS,
    )
    lease: float = setting(
        25.0,
        "silence after which a participant counts as disconnected; at least twice --heartbeat",
    )
    keepalive_time: float = setting(
        6.5, "silence after which the server pings a network connection"
    )
    keepalive_timeout: float = setting(3.0, "time limit for the answer to a ping")
    handshake_timeout: float = setting(10.0, "time limit for the TLS and HTTP/2 handshakes")
    idle_timeout: float = setting(
        60.0,
        "time limit for a network connection without streams",
        least=bounds.SHORTEST_IDLE_SECONDS,
    )
    drain_timeout: float = setting(
        15.0, "time limit for handing off seats and ending streams at shutdown"
    )
    drain_spread: float = setting(
        0.0,
        "most time over which clients' reconnects are spread after a shutdown; "
        "0 means half of --resume-grace",
        least=0,
    )

    def __post_init__(self) -> None:
        """Check everything that can be checked without opening a file or a connection."""
        # Settings of the wrong type cannot be compared with others.
        if found := [*self._invalid()] or [*self._conflicts()]:
            raise ConfigError(*found)

    def _invalid(self) -> Iterator[str]:
        for each in fields(self):
            try:
                check(each, getattr(self, each.name))
            except ConfigError as error:
                yield from error.sentences

    def _conflicts(self) -> Iterator[str]:
        yield from self._key_conflicts()
        if self.redis and self.redis_file:
            yield "Set one of --redis and --redis-file, not both."
        if bool(self.tls_cert) != bool(self.tls_key):
            yield "--tls-cert and --tls-key go together."
        if self.tls_client_ca and not self.tls_cert:
            yield "--tls-client-ca needs --tls-cert and --tls-key."
        if not self.tls_cert and not self.allow_plaintext and not is_loopback(self.host):
            yield (
                f"{self.host} is not loopback and there is no TLS, so tokens would be sent in the "
                "clear. Set --tls-cert and --tls-key, or --allow-plaintext behind a proxy."
            )
        yield from self._web_conflicts()
        yield from self._proxy_conflicts()
        yield from self._time_conflicts()
        if self.workers > 1 and not self.shares_redis:
            yield "--workers needs --redis: two participants may connect to different workers."
        most = bounds.PREFIX_CHARACTERS
        if not re.fullmatch(f"[A-Za-z0-9._-]{{1,{most}}}", self.redis_prefix):
            yield f"--redis-prefix is 1 to {most} letters, digits, dots, hyphens and underscores."
        if self.grpc_api not in ("aio", "auto"):
            yield "--grpc-api is aio or auto."
        if self.log_level not in ("debug", "info", "warning", "error"):
            yield "--log-level is debug, info, warning or error."
        if self.log_format not in ("text", "json"):
            yield "--log-format is text or json."

    def _key_conflicts(self) -> Iterator[str]:
        if self.jwt_secret and self.jwt_secret_file:
            yield "Set one of --jwt-secret and --jwt-secret-file, not both."
        given = [self.jwt_secret or self.jwt_secret_file, self.jwt_public_key, self.jwt_jwks_url]
        if not any(given):
            yield (
                "There is no key to check tokens with. Set DYAD_JWT_SECRET (`openssl rand -hex 32` "
                "makes a secret), DYAD_JWT_PUBLIC_KEY or DYAD_JWT_JWKS_URL."
            )
        if sum(map(bool, given)) > 1:
            yield "Set one of DYAD_JWT_SECRET, DYAD_JWT_PUBLIC_KEY and DYAD_JWT_JWKS_URL, not two."
        if self.jwt_jwks_url and not is_trusted_url(self.jwt_jwks_url):
            # Without TLS, an attacker in between could replace the keys and forge tokens.
            yield "--jwt-jwks-url is not an https URL (http is allowed on loopback)."

    def _web_conflicts(self) -> Iterator[str]:
        if bool(self.web_port) != bool(self.origins()):
            yield (
                "--web-port and --web-origins go together: pages of these origins may call, such "
                "as https://app.example.com."
            )
        for origin in self.origins():
            if not is_origin(origin):
                yield f"--web-origins: {origin} is not an origin. {ORIGIN_FORM}"
        if not self.web_port:
            return
        if self.workers > 1:
            yield "--web-port is for one process. With --workers, run Envoy yourself."
        if self.tls_client_ca:
            yield "--web-port asks browsers for no certificate, so it excludes --tls-client-ca."
        if self.trusted_hops:
            yield (
                "--web-port is one more proxy, but only for browsers: set --trusted-proxies, not "
                "--trusted-hops."
            )
        if self.host != "localhost" and not is_address(self.host):
            yield f"--web-port needs an IP address in --host, not {self.host}."

    def _proxy_conflicts(self) -> Iterator[str]:
        if self.trusted_hops and self.trusted_proxies != _LOOPBACK:
            yield "Set one of --trusted-hops and --trusted-proxies, not both."
        try:
            networks = self.proxies()
        except ConfigError as error:
            yield from error.sentences
            return
        for network in networks:
            if network.prefixlen < bounds.REFUSED_PREFIX_BITS[network.version]:
                yield (
                    f"--trusted-proxies: {network} covers nearly all addresses, so any client "
                    "could pose as any. If your proxies' addresses change, use --trusted-hops."
                )

    def _time_conflicts(self) -> Iterator[str]:
        if self.lease < 2 * self.heartbeat:
            yield "--lease must be at least twice --heartbeat, to leave time for the answer."
        if self.resume_grace and self.drain_spread * bounds.CLIENT_PATIENCE > self.resume_grace:
            yield (
                "--drain-spread is too long for --resume-grace: clients wait up to one and a half "
                "times as long, and their seats would be lost by then."
            )

    @property
    def shares_redis(self) -> bool:
        """Whether several nodes share the rooms."""
        return bool(self.redis or self.redis_file)

    def redis_urls(self) -> str:
        """The URL of Redis, or several, separated by white space.

        Raises:
            ConfigError: its file cannot be read.
        """
        return read_text("redis_file", self.redis_file) if self.redis_file else self.redis

    def spread(self) -> float:
        """The most seconds over which the clients of a drained server reconnect."""
        return self.drain_spread or self.resume_grace / 2 or bounds.SPREAD_WITHOUT_GRACE_SECONDS

    def proxies(self) -> list[Network]:
        """The networks of trusted proxies.

        Raises:
            ConfigError: an entry is not a network.
        """
        try:
            return [ipaddress.ip_network(text) for text in self._trusted_texts() if text != "unix"]
        except ValueError as error:
            raise ConfigError(f"--trusted-proxies: {error}.") from None

    def bracketed_host(self) -> str:
        """`host` as it stands before a port: an IPv6 address is in brackets."""
        host = self.host.strip("[]")
        return f"[{host}]" if ":" in host else host

    def origins(self) -> list[str]:
        """The origins of the pages that may call on the port for browsers."""
        return [text.strip() for text in self.web_origins.split(",") if text.strip()]

    def trusts_unix(self) -> bool:
        """Whether peers on a Unix socket are trusted proxies."""
        # With a port for browsers, that is how Envoy connects.
        return bool(self.web_port) or "unix" in self._trusted_texts()

    def _trusted_texts(self) -> list[str]:
        return [text.strip() for text in self.trusted_proxies.split(",") if text.strip()]

    def warnings(self) -> list[str]:
        """One sentence for each setting that works, but is probably a mistake."""
        return [
            f"--trusted-proxies: any client in {network} can pose as any address."
            for network in self.proxies()
            if network.prefixlen < bounds.NARROW_PREFIX_BITS[network.version]
            and not network.is_loopback
        ]

    def numbers(self) -> dict[str, float]:
        """The settings that are numbers; yes is 1, and no is 0."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        return {name: float(value) for name, value in values.items() if not isinstance(value, str)}

    def changed_numbers(self) -> dict[str, float]:
        """Those of `numbers` that are not at their default; ports do not count."""
        values = {each.name: (getattr(self, each.name), each.default) for each in fields(self)}
        return {
            name: value
            for name, (value, default) in values.items()
            if value != default and not isinstance(value, str) and not name.endswith("port")
        }

    @property
    def key_source(self) -> str:
        """The setting that says where the keys come from."""
        names = ("jwt_jwks_url", "jwt_public_key", "jwt_secret_file", "jwt_secret")
        return next(name for name in names if getattr(self, name))

    @property
    def key_path(self) -> str:
        """The file or folder that holds the keys; empty if the settings themselves hold them."""
        if "-----BEGIN" in self.jwt_public_key:
            return ""
        return self.jwt_secret_file or self.jwt_public_key

    def key_texts(self) -> dict[str, str]:
        """The keys that the settings hold or name: one text, or one for each file of a folder.

        Raises:
            ConfigError: a file cannot be read.
        """
        if not self.key_path:
            return {"": self.jwt_secret or self.jwt_public_key}
        name = "jwt_secret_file" if self.jwt_secret_file else "jwt_public_key"
        return read_texts(name, self.key_path)
