"""Connections to Redis, standalone or through Sentinel."""

import asyncio
import contextlib
import logging
import re
import ssl
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import hiredis
import redis.asyncio as redis
from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    NoPermissionError,
    RedisError,
    ResponseError,
)

from dyad_server.engines.redis import bounds
from dyad_server.errors import ConfigError

log = logging.getLogger("dyad.redis")

Words = tuple[str | bytes | int, ...]
"""A command and its arguments."""

# A command as it travels. Its type stub wrongly asks for a tuple of one word.
_packed: Callable[[Words], bytes] = hiredis.pack_command  # type: ignore[assignment]

_SENTINEL_PORT = 26379
# RuntimeError: what uvloop says of a connection that was reset. AttributeError: what redis-py
# says of a connection that is closed just before it writes.
FAILURES = (RedisError, OSError, TimeoutError, ValueError, RuntimeError, AttributeError)
"""What it is when Redis is out of reach."""

_CLUSTER = (
    "This is a Redis Cluster. Dyad needs a standalone Redis or Sentinel: rooms and leases must be "
    "seen in one step."
)


_REDIS_REFUSES = "Redis refuses this node: wrong user, wrong password, or a missing right"
_SENTINEL_REFUSES = (
    "A Sentinel refuses its login: give it as ?sentinel_password=… (and sentinel_username=…) in "
    "--redis. The login before the @ is for Redis."
)
_NO_SERVICE = "The Sentinels know no service of the name that --redis gives after the slash."
# NoPermissionError and wrong scripts are answers too, and others than an outage.
_REFUSALS = (AuthenticationError, AuthorizationError, NoPermissionError)
# What a script says of a right that it lacks, in Redis 7.0 and later.
_SCRIPT_LACKS = ("The user executing the script can't", "ACL failure in script")


def connect(url: str, timeout: float | None) -> Any:
    """A client for the Redis at `url`; it connects when it is first used.

    Args:
        url: `redis://`, `rediss://`, or `sentinel://host:port,[::1]:port/service`,
            with `?sentinel_username=…&sentinel_password=…` where the Sentinels
            ask for a login of their own.
        timeout: seconds that an answer may take; None where a `Wire` sees to that.

    Raises:
        ConfigError: that is no such URL.
    """
    settings: dict[str, Any] = {
        "socket_timeout": timeout,
        "socket_connect_timeout": bounds.CONNECT_SECONDS,
        # Asking again is the pipeline's own business: it knows the order.
        "retry": Retry(NoBackoff(), 0),
        "client_name": "dyad",
        # Version 3 takes one more round trip to connect, and gives nothing that is needed here.
        "protocol": 2,
    }
    try:
        if url.startswith("sentinel://"):
            return _through_sentinel(url, settings)
        return redis.from_url(url, **settings)
    except ValueError:
        # Its own words may quote a part of the password.
        raise ConfigError("--redis is not a URL of Redis.") from None


def _through_sentinel(url: str, settings: dict[str, Any]) -> Any:
    # By hand: it names several hosts.
    address, _, asked = url.removeprefix("sentinel://").partition("?")
    authority, _, service = address.partition("/")
    login, _, hosts = authority.rpartition("@")
    sentinels = [_address(text) for text in hosts.split(",")]
    # Of Redis; the Sentinels have their own, in the query.
    credentials = parse_url(f"redis://{login}@redis")
    names = {name: credentials[name] for name in ("username", "password") if name in credentials}
    query = dict(parse_qsl(asked, keep_blank_values=True, strict_parsing=bool(asked)))
    own = {name: query.pop(f"sentinel_{name}", None) for name in ("username", "password")}
    if query:
        raise ValueError
    sentinel: Any = Sentinel
    kept = {name: value for name, value in settings.items() if name != "client_name"}
    kept["socket_timeout"] = bounds.CONNECT_SECONDS
    return sentinel(sentinels, sentinel_kwargs=kept | own, **settings).master_for(
        service or "mymaster", **names
    )


def _address(text: str) -> tuple[str, int]:
    parts = urlsplit(f"//{text}")
    if not parts.hostname:
        raise ValueError
    return parts.hostname, parts.port or _SENTINEL_PORT


async def explain(client: Any, error: Exception) -> ConfigError | None:
    """Why Redis refuses this node until somebody changes that; None: Redis may only be away.

    Args:
        client: from `connect`.
        error: what its first question met.
    """
    manager = getattr(client.connection_pool, "sentinel_manager", None)
    if manager is not None:
        for sentinel in manager.sentinels:
            with contextlib.suppress(OSError, TimeoutError, redis.TimeoutError):
                try:
                    masters = await sentinel.sentinel_masters()
                except _REFUSALS:
                    return ConfigError(_SENTINEL_REFUSES)
                except redis.ConnectionError:
                    continue
                if client.connection_pool.service_name not in masters:
                    return ConfigError(_NO_SERVICE)
    if isinstance(error.__cause__ or error.__context__, ssl.SSLCertVerificationError):
        return ConfigError("The certificate of Redis is not trusted.")
    if isinstance(error, _REFUSALS):
        more = " `dyad doctor` says which." if isinstance(error, NoPermissionError) else ""
        return ConfigError(f"{_REDIS_REFUSES} ({type(error).__name__}).{more}")
    return None


class Wire:
    """One connection of a client, which is kept.

    A client of redis-py takes a connection from its pool for each command. That costs more than
    the command itself.
    """

    def __init__(self, client: Any, seconds: float) -> None:
        """Ask through `client`, from `connect`; a round trip may take so many seconds."""
        self._client = client
        self._seconds = seconds
        self._connection: Any = None

    async def ask(self, commands: Sequence[Words]) -> list[Any]:
        """Send commands in one write, and wait for all answers; errors of Redis are among them.

        Raises:
            RedisError: Redis is out of reach.
            OSError: the same.
            TimeoutError: the same.
        """
        connection = self._connection
        if connection is None or not connection.is_connected:
            connection = await self._connect()
        async with asyncio.timeout(self._seconds):
            packed = b"".join(map(_packed, commands))
            await connection.send_packed_command(packed, check_health=False)
            return [await _answer(connection) for _ in commands]

    async def _connect(self) -> Any:
        async with asyncio.timeout(self._seconds):
            if self._connection is None:
                self._connection = await self._client.connection_pool.get_connection()
            if not self._connection.is_connected:
                await self._connection.connect()
        return self._connection


async def _answer(connection: Any) -> Any:
    try:
        return await connection.read_response()
    except ResponseError as error:
        said = str(error)
        # redis-py knows this error only where a command has it.
        lacks = any(part in said for part in _SCRIPT_LACKS)
        return NoPermissionError(said) if lacks else error


async def check(wire: Wire) -> None:
    """See that this Redis is fit, and warn where it may lose what it is told.

    Raises:
        ConfigError: it is a cluster.
        ResponseError: it refuses to say.
    """
    said = b""
    for answer in await wire.ask([("INFO", "cluster"), ("INFO", "memory")]):
        if isinstance(answer, Exception):
            raise answer
        said += answer
    if b"cluster_enabled:1" in said:
        raise ConfigError(_CLUSTER)
    found = re.search(rb"maxmemory_policy:(\S+)", said)
    policy = found[1].decode() if found else "unknown"
    if policy != "noeviction":
        log.warning(
            "redis may evict rooms, and so end calls: its maxmemory-policy is %s. Set noeviction.",
            policy,
        )


async def hang_up(client: Any) -> None:
    """Close its connections; it makes new ones when it is used again."""
    # What was reset already fails to close.
    with contextlib.suppress(*FAILURES):
        await client.connection_pool.disconnect(inuse_connections=True)
