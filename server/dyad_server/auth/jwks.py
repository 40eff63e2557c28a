"""The keys that an issuer publishes at a URL as a JWK Set (RFC 7517), with rotation.

PyJWT has a client for such URLs too. It fetches for every token while the URL is out of
reach, blocks all of them with one lock, and drops its keys when a fetch fails.
"""

import asyncio
import base64
import contextlib
import json
import logging
import socket
import ssl
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any, NamedTuple, NoReturn
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

import jwt

from dyad_server.auth import bounds
from dyad_server.auth.keys import Key, PublicKey, algorithms, fit
from dyad_server.core.clock import Clock
from dyad_server.core.limits import Bucket
from dyad_server.errors import Reason, Unauthenticated, Unavailable
from dyad_server.log_line import Line

# Some issuers refuse requests without a User-Agent, or with a library's.
_HEADERS = {"Accept": "application/json", "User-Agent": "dyad-server"}

_log = logging.getLogger("dyad.jwks")


@dataclass(frozen=True, slots=True)
class KeySet:
    """The usable keys of a JWK Set.

    Attributes:
        named: keys with a `kid`, by `kid` and algorithm. Keys of different types may
            share a `kid`.
        only: the key, if the set has exactly one.
    """

    named: dict[tuple[str, str], PublicKey] = field(default_factory=dict)
    only: PublicKey | None = None

    def find(self, kid: str | None, algorithm: str) -> PublicKey | None:
        """The key for a token with this `alg` and `kid`; a token may have no `kid`."""
        if kid is not None:
            return self.named.get((kid, algorithm))
        only = self.only
        return only if only is not None and algorithm in algorithms(only) else None


class Jwks:
    """`Keys` from one URL.

    While `keep` runs, the keys are fetched every 5 minutes. They are also fetched when
    a token names an unknown key: 5 times in a row, then at most every 10 s, no matter
    how many tokens do so. A stream that needs the fetch waits for it, at most 1 s. A key
    that the URL no longer lists is no longer accepted. While the URL is out of reach, the
    last keys stay valid for an hour.

    Attributes:
        ready: set once there are keys.
        fetches: how many fetches were `done`, and how many `failed`.
    """

    def __init__(
        self, url: str, clock: Clock, *, timeout: float = bounds.KEYS_TIMEOUT_SECONDS
    ) -> None:
        """Fetch from `url`, each time within `timeout` seconds."""
        self.ready = asyncio.Event()
        self.fetches = {"done": 0, "failed": 0}
        self._source = Source(url, timeout)
        self._clock = clock
        self._keys = KeySet()
        self._fetched = float("-inf")
        self._away = True
        self._unknown = Bucket(bounds.UNKNOWN_PER_SECOND, bounds.UNKNOWN_AT_ONCE, clock.monotonic())
        self._fetching: asyncio.Task[None] | None = None

    @property
    def usable(self) -> bool:
        """See `keys.Keys.usable`."""
        return self.age <= bounds.KEYS_KEPT_SECONDS

    @property
    def age(self) -> float:
        """Seconds since the last fetch that succeeded; infinite if none has."""
        return self._clock.monotonic() - self._fetched

    async def find(self, kid: str | None, algorithm: str) -> Sequence[Key]:
        """See `keys.Keys.find`."""
        key = self._find(kid, algorithm)
        if key is None:
            await self._fetch_unknown()
            key = self._find(kid, algorithm)
        if key is not None:
            return (key,)
        if self._away or self._fetching is not None:
            sentence = "The keys to check tokens with are out of reach at present."
            raise Unavailable(sentence, Reason.KEYS_AWAY)
        raise Unauthenticated("The token is not signed with a known key.", Reason.TOKEN_KEY)

    async def keep(self) -> NoReturn:
        """Fetch now and periodically, until cancelled."""
        while True:
            await asyncio.wait({self.fetch()})
            await asyncio.sleep(
                bounds.KEYS_RETRY_SECONDS if self._away else bounds.KEYS_RENEW_SECONDS
            )

    def fetch(self) -> asyncio.Task[None]:
        """Start a fetch, or return the one that is under way."""
        if self._fetching is None:
            self._fetching = asyncio.create_task(self._fetch(self._clock.monotonic()))
        return self._fetching

    async def _fetch_unknown(self) -> None:
        if self._fetching is not None or self._unknown.take(1, self._clock.monotonic()):
            await asyncio.wait({self.fetch()}, timeout=bounds.KEYS_PATIENCE_SECONDS)

    def _find(self, kid: str | None, algorithm: str) -> PublicKey | None:
        return self._keys.find(kid, algorithm) if self.usable else None

    async def _fetch(self, began: float) -> None:
        try:
            keys, _ = await asyncio.to_thread(self._source.read)
        except (OSError, HTTPException, ValueError) as error:
            self._away = True
            self.fetches["failed"] += 1
            sentence = str(error)[: bounds.LOGGED_CHARACTERS]
            _log.warning(Line("keys not fetched", reason=type(error).__name__, error=sentence))
        else:
            # The same objects are compared sooner.
            self._keys = keys if keys != self._keys else self._keys
            self._fetched = began
            self._away = False
            self.fetches["done"] += 1
            self.ready.set()
        finally:
            self._fetching = None


class Fetched(NamedTuple):
    """An answer of the URL.

    Attributes:
        keys: the keys.
        date: the `Date` header; empty if there is none, or if a cache has answered.
    """

    keys: KeySet
    date: str


class Source:
    """The URL. Reading it blocks, so it happens in a thread.

    HTTPS_PROXY and NO_PROXY are respected. The proxy only tunnels: TLS is between this
    server and the issuer.
    """

    def __init__(self, url: str, timeout: float) -> None:
        """Read `url` within `timeout` seconds."""
        parts = urlsplit(url)
        self._timeout = timeout
        self._host = parts.hostname or ""
        self._port = parts.port
        self._path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None

    def read(self) -> Fetched:
        """Fetch the keys.

        Raises:
            OSError: the URL is out of reach, or too slow.
            HTTPException: the answer is not HTTP.
            ValueError: the answer is not a JWK Set.
        """
        body, date = self._answer()
        return Fetched(key_set(body), date)

    def _answer(self) -> tuple[bytes, str]:
        late = threading.Event()
        with contextlib.closing(self._connection()) as connection:
            connection.connect()
            # The connection's own timeout restarts with each byte.
            cut = threading.Timer(self._timeout, _cut, (connection.sock, late))
            cut.daemon = True
            cut.start()
            try:
                connection.request("GET", self._path, headers=_HEADERS)
                answer = connection.getresponse()
                # Redirects are refused too: they could lead anywhere.
                if answer.status != HTTPStatus.OK:
                    raise ValueError(f"the status is {answer.status}")
                body = answer.read(bounds.KEYS_BYTES + 1)
            except (OSError, HTTPException):
                # Otherwise the reason would be what the cut has caused.
                self._must_be_whole(late)
                raise
            finally:
                cut.cancel()
        # Without a Content-Length, the part that has come looks like a whole answer.
        self._must_be_whole(late)
        if len(body) > bounds.KEYS_BYTES:
            raise ValueError(f"the answer is longer than {bounds.KEYS_BYTES} bytes")
        # A cache repeats the date of the issuer's own answer.
        return body, "" if answer.getheader("Age") else answer.getheader("Date", "")

    def _must_be_whole(self, late: threading.Event) -> None:
        if late.is_set():
            raise TimeoutError(f"there was no whole answer within {self._timeout:g} s") from None

    def _connection(self) -> HTTPConnection:
        if self._tls is None:
            # http is allowed on loopback only, where no proxy is needed.
            return HTTPConnection(self._host, self._port, timeout=self._timeout)
        proxy = None if proxy_bypass(self._host) else getproxies().get("https")
        if not proxy:
            return HTTPSConnection(self._host, self._port, timeout=self._timeout, context=self._tls)
        parts = _proxy(proxy)
        connection = HTTPSConnection(
            parts.hostname or "", parts.port or 80, timeout=self._timeout, context=self._tls
        )
        headers = {}
        if parts.username is not None:
            user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            headers["Proxy-Authorization"] = f"Basic {base64.b64encode(user.encode()).decode()}"
        connection.set_tunnel(self._host, self._port, headers)
        return connection


def _proxy(address: str) -> SplitResult:
    with contextlib.suppress(ValueError):
        parts = urlsplit(address if "//" in address else f"//{address}", "http")
        if parts.scheme == "http" and parts.hostname and parts.port != 0:
            return parts
    # The value is not quoted, because it may contain a password.
    raise ValueError("HTTPS_PROXY is not http://host:port")


def _cut(connection: socket.socket, late: threading.Event) -> None:
    late.set()
    # The connection may have been closed meanwhile.
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def key_set(text: bytes) -> KeySet:
    """The usable signature keys of a JWK Set; other keys are ignored.

    Raises:
        ValueError: `text` is not a JWK Set, or has no usable key.
    """
    try:
        members = json.loads(text)["keys"]
    except (KeyError, TypeError, RecursionError) as error:
        raise ValueError("it is not a JWK Set") from error
    found: list[tuple[str | None, PublicKey]] = [
        (member.get("kid"), key)
        for member in (members if isinstance(members, list) else [])
        if isinstance(member, dict)
        and isinstance(member.get("kid", ""), str)
        and (key := _key(member)) is not None
    ]
    if not found:
        raise ValueError("it has no usable key")
    named = {
        (kid, algorithm): key
        for kid, key in found
        if kid is not None
        for algorithm in algorithms(key)
    }
    return KeySet(named, found[0][1] if len(found) == 1 else None)


def _key(member: dict[str, Any]) -> PublicKey | None:
    try:
        if member.get("use", "sig") != "sig" or "verify" not in member.get("key_ops", ["verify"]):
            return None
        key = fit(jwt.PyJWK(member).key)
    except Exception:  # noqa: BLE001 - one key that the library cannot read must not affect the others
        return None
    if key is None or member.get("alg", *algorithms(key)) not in algorithms(key):
        return None
    return key
