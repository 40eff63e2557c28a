"""Connections to Redis, standalone or through Sentinel."""

import contextlib
from typing import Any

import redis.asyncio as redis
from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from dyad_server.errors import ConfigError

CONNECT_SECONDS = 1.0
# RuntimeError: what uvloop says of a connection that was reset.
FAILURES = (RedisError, OSError, TimeoutError, ValueError, RuntimeError)
"""What it is when Redis is out of reach."""

_CLUSTER = (
    "This is a Redis Cluster. Dyad needs a standalone Redis or Sentinel: rooms and leases must be "
    "seen in one step."
)


def connect(url: str, timeout: float) -> Any:
    """A client for the Redis at `url`; it connects when it is first used.

    Args:
        url: `redis://`, `rediss://`, or `sentinel://host:port,host:port/service`.
        timeout: seconds that an answer may take.

    Raises:
        ConfigError: that is no such URL.
    """
    settings: dict[str, Any] = {
        "socket_timeout": timeout,
        "socket_connect_timeout": CONNECT_SECONDS,
        # Asking again is the pipeline's own business: it knows the order.
        "retry": Retry(NoBackoff(), 0),
        "client_name": "dyad",
    }
    try:
        if url.startswith("sentinel://"):
            return _through_sentinel(url.removeprefix("sentinel://"), settings)
        return redis.from_url(url, **settings)
    except ValueError:
        # Its own words may quote a part of the password.
        raise ConfigError("--redis is not a URL of Redis.") from None


def _through_sentinel(address: str, settings: dict[str, Any]) -> Any:
    authority, _, service = address.partition("/")
    login, _, hosts = authority.rpartition("@")
    sentinels = [
        (host, int(port or 26379))
        for host, _, port in (pair.partition(":") for pair in hosts.split(","))
    ]
    # Of Redis, not of the Sentinels.
    credentials = parse_url(f"redis://{login}@{hosts.partition(',')[0]}")
    names = {name: credentials[name] for name in ("username", "password") if name in credentials}
    sentinel: Any = Sentinel
    return sentinel(sentinels, **settings).master_for(service or "mymaster", **names)


async def refuse_cluster(client: Any) -> None:
    """See that it is none.

    Raises:
        ConfigError: it is.
    """
    if (await client.info("cluster"))["cluster_enabled"]:
        raise ConfigError(_CLUSTER)


async def hang_up(client: Any) -> None:
    """Close its connections; it makes new ones when it is used again."""
    # What was reset already fails to close.
    with contextlib.suppress(*FAILURES):
        await client.connection_pool.disconnect(inuse_connections=True)
