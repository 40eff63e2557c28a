"""The keys that an issuer publishes at a URL (a JWK Set, RFC 7517), as they change.

PyJWT's own client of such URLs asks again on every call while the URL is away,
holds a lock while it waits, and forgets its keys when it cannot renew them.
"""

import asyncio
import contextlib
import json
import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any, NoReturn
from urllib.parse import urlsplit

import jwt

from dyad_server.errors import Unauthenticated, Unavailable
from dyad_server.keys import Key, PublicKey, algorithms, fit

RENEW_SECONDS = 300.0
PAUSE_SECONDS = 30.0
PATIENCE_SECONDS = 2.0
KEPT_SECONDS = 3600.0
_LARGEST_BYTES = 256 * 1024

_log = logging.getLogger("dyad.jwks")


@dataclass(frozen=True, slots=True)
class KeySet:
    """The keys of a JWK Set that tokens are checked with.

    Attributes:
        named: those with a `kid`.
        only: the one there is, if it is only one.
    """

    named: dict[str, PublicKey] = field(default_factory=dict)
    only: PublicKey | None = None

    def find(self, kid: str | None) -> PublicKey | None:
        """The key to a token with this `kid`, or without one."""
        return self.only if kid is None else self.named.get(kid)


class Jwks:
    """`Keys` that are fetched from one URL.

    They are fetched again every 5 minutes while `keep` runs, and at once when a
    token names one that is not there; but at most once in 30 s, whoever asks,
    and whoever needs a fetch waits for the one under way, at most 2 s. A key
    that the URL shows no longer is good no longer. While the URL is away, the
    keys it showed last are good for an hour.

    Attributes:
        ready: set once there are keys.
    """

    def __init__(self, url: str, clock: Callable[[], float] = time.monotonic) -> None:
        """Fetch from `url`, and from nowhere else, by a `clock` in seconds."""
        self.ready = asyncio.Event()
        self._source = _Source(url)
        self._clock = clock
        self._keys = KeySet()
        self._tried = self._fetched = float("-inf")
        self._fetching: asyncio.Task[None] | None = None

    async def find(self, kid: str | None) -> Key:
        """See `keys.Keys.find`."""
        key = self._find(kid)
        if key is None:
            await self.fetch()
            key = self._find(kid)
        if key is not None:
            return key
        if self._fetched != self._tried:
            raise Unavailable("The keys to check tokens with cannot be had at present.")
        raise Unauthenticated("The token was not signed with a key that is known.")

    async def fetch(self) -> None:
        """Fetch, unless that was tried in the last 30 s; wait at most 2 s for its end."""
        now = self._clock()
        if self._fetching is None and now - self._tried >= PAUSE_SECONDS:
            self._tried = now
            self._fetching = asyncio.create_task(self._fetch(now))
        if self._fetching is not None:
            await asyncio.wait({self._fetching}, timeout=PATIENCE_SECONDS)

    async def keep(self) -> NoReturn:
        """Fetch now, and over and over: until cancelled."""
        while True:
            await self.fetch()
            away = self._fetched != self._tried
            await asyncio.sleep(PAUSE_SECONDS if away else RENEW_SECONDS)

    def _find(self, kid: str | None) -> PublicKey | None:
        kept = self._clock() - self._fetched <= KEPT_SECONDS
        return self._keys.find(kid) if kept else None

    async def _fetch(self, began: float) -> None:
        try:
            keys = await asyncio.to_thread(self._source.read)
        except (OSError, HTTPException, ValueError) as error:
            _log.warning("keys not fetched why=%s: %.200s", type(error).__name__, error)
        else:
            # The same keys stay the same objects: what they proved need not be proved again.
            self._keys = keys if keys != self._keys else self._keys
            self._fetched = began
            self.ready.set()
        finally:
            self._fetching = None


class _Source:
    """The URL. Blocks, so it is read in a thread."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host = parts.hostname or ""
        self._port = parts.port
        self._path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None

    def read(self) -> KeySet:
        """The keys there.

        Raises:
            OSError: it cannot be reached, or not in time.
            HTTPException: what is there does not speak HTTP.
            ValueError: what it answered is not a set of keys.
        """
        return key_set(self._body())

    def _body(self) -> bytes:
        with contextlib.closing(self._connection()) as connection:
            connection.connect()
            # The connection's own timeout starts anew with each byte that comes.
            cut = threading.Timer(PATIENCE_SECONDS, _cut, (connection.sock,))
            cut.daemon = True
            cut.start()
            try:
                connection.request("GET", self._path, headers={"Accept": "application/json"})
                answer = connection.getresponse()
                # A redirect is no answer either: it could lead anywhere.
                if answer.status != HTTPStatus.OK:
                    raise ValueError(f"the status is {answer.status}")
                body = answer.read(_LARGEST_BYTES + 1)
            finally:
                cut.cancel()
        if len(body) > _LARGEST_BYTES:
            raise ValueError(f"the answer is longer than {_LARGEST_BYTES} bytes")
        return body

    def _connection(self) -> HTTPConnection:
        if self._tls is None:
            return HTTPConnection(self._host, self._port, timeout=PATIENCE_SECONDS)
        return HTTPSConnection(self._host, self._port, timeout=PATIENCE_SECONDS, context=self._tls)


def _cut(connection: socket.socket) -> None:
    # It may be over this very moment.
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def key_set(text: bytes) -> KeySet:
    """The keys in a JWK Set that are for signatures and fit; all others are passed over.

    Raises:
        ValueError: it is not a JWK Set, or none of its keys is fit.
    """
    try:
        members = json.loads(text)["keys"]
    except (KeyError, TypeError, RecursionError) as error:
        raise ValueError("it is not a JWK Set") from error
    found = [
        (member.get("kid"), key)
        for member in (members if isinstance(members, list) else [])
        if isinstance(member, dict)
        and isinstance(member.get("kid", ""), str)
        and (key := _key(member)) is not None
    ]
    if not found:
        raise ValueError("it has no key that tokens can be checked with")
    named = {kid: key for kid, key in found if kid is not None}
    return KeySet(named, found[0][1] if len(found) == 1 else None)


def _key(member: dict[str, Any]) -> PublicKey | None:
    try:
        if member.get("use", "sig") != "sig" or "verify" not in member.get("key_ops", ["verify"]):
            return None
        key = fit(jwt.PyJWK(member).key)
    except Exception:  # noqa: BLE001 - a key that the library chokes on takes no other with it
        return None
    if key is None or member.get("alg", *algorithms(key)) not in algorithms(key):
        return None
    return key
