"""The keys that tokens are checked with, and where they come from."""

import asyncio
from collections.abc import Iterator, Sequence
from http.client import HTTPException
from urllib.parse import urlsplit

from dyad_server.auth.jwks import Fetched, KeySet, Source
from dyad_server.auth.key_ring import KeyRing
from dyad_server.auth.keys import Key, Keys
from dyad_server.composition import read_keys
from dyad_server.config import Config
from dyad_server.core.clock import Clock
from dyad_server.doctor import bounds, clock
from dyad_server.doctor.findings import Finding, error, ok, quoted, warning
from dyad_server.errors import Reason, Unauthenticated


class _Published:
    """`Keys` of a JWK Set that was fetched once."""

    usable = True

    def __init__(self, keys: KeySet) -> None:
        self._keys = keys

    async def find(self, kid: str | None, algorithm: str) -> Sequence[Key]:
        """See `auth.keys.Keys.find`."""
        key = self._keys.find(kid, algorithm)
        if key is None:
            raise Unauthenticated("The token is not signed with a known key.", Reason.TOKEN_KEY)
        return (key,)


async def look(config: Config, now: Clock) -> tuple[Keys | None, list[Finding]]:
    """Read or fetch the keys.

    Returns:
        The keys, if there are any, and the findings.
    """
    if not config.jwt_jwks_url:
        ring = KeyRing(now, read_keys(config, config.key_texts()))
        if not ring.usable:
            # `check.examine` has said so.
            return ring, []
        return ring, [ok("keys", "There are keys to check tokens with.")]
    host = urlsplit(config.jwt_jwks_url).hostname or ""
    began = now.monotonic()
    try:
        source = Source(config.jwt_jwks_url, min(config.jwks_timeout, bounds.CHECK_SECONDS))
        fetched = await asyncio.to_thread(source.read)
    except (OSError, HTTPException, ValueError) as failure:
        return None, [not_fetched(host, failure)]
    took = now.monotonic() - began
    found = [*published(host, fetched, now.unix_time(), took, config.jwks_timeout)]
    return _Published(fetched.keys), found


def not_fetched(host: str, failure: Exception) -> Finding:
    """The URL gives no keys."""
    return error(
        "keys_away",
        f"The keys cannot be fetched from {host}: {quoted(failure) or type(failure).__name__}.",
        "Until the first keys arrive, a server refuses all streams: look at the issuer, at the "
        "network on the way, and at HTTPS_PROXY.",
    )


def published(
    host: str, fetched: Fetched, now: float, took: float, limit: float
) -> Iterator[Finding]:
    """The URL gives keys.

    Args:
        host: of the URL.
        fetched: the answer.
        now: when it came, in Unix seconds.
        took: how many seconds it took.
        limit: how many it may take.
    """
    sentence = f"The keys come from {host} in {1000 * took:.0f} ms"
    if took > limit / 2:
        yield warning(
            "keys_slow",
            f"{sentence}, which is more than half of --jwks-timeout.",
            "Raise --jwks-timeout, or ask the issuer why it is slow.",
            took_ms=1000 * took,
        )
    else:
        yield ok("keys", f"{sentence}.", took_ms=1000 * took)
    yield from clock.by_date(f"the issuer at {host}", fetched.date, now, took)
