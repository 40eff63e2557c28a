"""Who is calling: the verifier and the claims of the app's JWTs."""

import base64
import hashlib
import json
import math
import time
import warnings
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import jwt

from dyad_server.auth.keys import Key, Keys, algorithms, secret_key
from dyad_server.core.commands import Identity
from dyad_server.errors import Ended, Unauthenticated

LEEWAY_SECONDS = 30
# As many as one process has participants, and some more.
_CACHED_TOKENS = 16384
# Later than any connection lives, and still a number that timers can count with.
_FOREVER = float(2**40)
_CLAIM_CHARACTERS = 256


@dataclass(frozen=True, slots=True)
class Token:
    """A token that was checked.

    Attributes:
        identity: who it names.
        digest: a hash of its text.
        until: when it expires, with the leeway, in Unix seconds.
        stale: it was good once and is not now: it has expired, or its key was
            withdrawn.
    """

    identity: Identity
    digest: bytes
    until: float
    stale: bool = False

    @property
    def account(self) -> str:
        """Whose limits a call with it counts for: with a stale one not its user's.

        Or an expired token that somebody found would use up what its user may do.
        """
        return f"{self.identity.user_id}\0stale" if self.stale else self.identity.user_id


@dataclass(frozen=True, slots=True)
class _Proof:
    """What a token proved, and by which key."""

    token: Token
    kid: str | None
    algorithm: str
    key: Key


class Verifier:
    """Checks tokens against the app's keys.

    `sub` and `exp` are required; `iss` and `aud` where configured; times are
    taken with 30 s leeway. A token that proved good is remembered by its hash,
    because checking it costs a tenth of a call; that it has not expired and its
    key is still there is checked each time. A bad token costs less than the call
    that brings it, so no number of them shuts anybody out.
    """

    def __init__(
        self, keys: Keys, *, issuer: str = "", audience: str = "", token_bytes: int = 6144
    ) -> None:
        self._keys = keys
        self._issuer = issuer
        self._audience = audience
        self._token_bytes = token_bytes
        # The longest unused one first.
        self._known: OrderedDict[bytes, _Proof] = OrderedDict()

    async def verify_metadata(
        self, metadata: Iterable[tuple[str, str | bytes]] | None, *, stale: bool = False
    ) -> Token:
        """The token in a call's `authorization` metadata.

        Args:
            metadata: the call's.
            stale: take one that was good once, too.

        Raises:
            Unauthenticated: there is none, more than one, or it is not good.
            Unavailable: the keys to check it with are out of reach.
        """
        values = [value for key, value in metadata or () if key == "authorization"]
        if not values:
            raise Unauthenticated("There is no token: send authorization: Bearer <token>.")
        if len(values) > 1:
            raise Unauthenticated("There is more than one authorization.")
        value = values[0]
        scheme, _, token = (
            value if isinstance(value, str) else value.decode("ascii", "replace")
        ).partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Unauthenticated("The authorization is not: Bearer <token>.")
        return await self.verify(token, stale=stale)

    async def verify(self, token: str, *, stale: bool = False) -> Token:
        """Check a token.

        Args:
            token: its text.
            stale: take one that was good once, too: one that has expired, or of
                which this verifier remembers that it was good.

        Raises:
            Unauthenticated: it is not good; the sentence says in which way.
            Unavailable: the keys to check it with are out of reach.
        """
        if len(token) > self._token_bytes:
            raise Unauthenticated(f"The token is longer than {self._token_bytes} bytes.")
        digest = hashlib.blake2b(token.encode("utf-8", "replace"), digest_size=16).digest()
        proof = self._known.get(digest)
        good = False
        if proof is not None:
            try:
                good = await self._still_good(proof)
            except Ended:
                if not stale:
                    raise
        if proof is None or not (good or stale):
            proof = await self._check(token, digest)
            good = time.time() < proof.token.until
            if not (good or stale):
                raise Unauthenticated("The token has expired.")
        self._known[digest] = proof
        self._known.move_to_end(digest)
        if len(self._known) > _CACHED_TOKENS:
            self._known.popitem(last=False)
        return proof.token if good else replace(proof.token, stale=True)

    async def _still_good(self, proof: _Proof) -> bool:
        return (
            time.time() < proof.token.until
            and await self._keys.find(proof.kid, proof.algorithm) is proof.key
        )

    async def _check(self, token: str, digest: bytes) -> _Proof:
        signed = _Signed(token)
        key = await self._keys.find(signed.kid, signed.algorithm)
        if not signed.by(key):
            raise Unauthenticated("The token's signature does not match the key.")
        claims = self._claims(token, key)
        exp = _check_times(claims)
        identity = Identity(
            _text(claims, "sub"),
            # Some issuers write an empty text for a user without an address.
            _text(claims, "email") if claims.get("email") not in (None, "") else "",
            _text(claims, "room").lower() if claims.get("room") is not None else None,
        )
        until = min(exp, _FOREVER) + LEEWAY_SECONDS
        return _Proof(Token(identity, digest, until), signed.kid, signed.algorithm, key)

    def _claims(self, token: str, key: Key) -> dict[str, Any]:
        required = ["sub", "exp"]
        required += ["iss"] if self._issuer else []
        required += ["aud"] if self._audience else []
        try:
            with warnings.catch_warnings():
                # HS512 would like 64 bytes; 32 are what this server promises to take.
                warnings.simplefilter("ignore", jwt.warnings.InsecureKeyLengthWarning)
                return jwt.decode(
                    token,
                    key,
                    algorithms=algorithms(key),
                    issuer=self._issuer or None,
                    audience=self._audience or None,
                    options={
                        "require": required,
                        "verify_aud": bool(self._audience),
                        "strict_aud": False,
                        # Checked here, in sentences that name the claim.
                        "verify_exp": False,
                        "verify_nbf": False,
                        "verify_iat": False,
                        "verify_sub": False,
                        "verify_jti": False,
                    },
                )
        except jwt.MissingRequiredClaimError as error:
            raise Unauthenticated(f"The token has no claim {error.claim}.") from None
        except jwt.InvalidIssuerError:
            raise Unauthenticated("The token's iss is not the issuer configured here.") from None
        except jwt.InvalidAudienceError:
            raise Unauthenticated("The token's aud does not name this server.") from None
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
            # From None, here and above: the library's own text may quote the token.
            raise Unauthenticated(_MALFORMED) from None


_MALFORMED = "The token is not a well-formed JWT."


class _Signed:
    """A token's header and signature, read in a tenth of the time that the library takes.

    It can only refuse: a token that passes is still decoded by the library. So
    a token whose signature is wrong costs about as much as the signature does.

    Attributes:
        kid: the key that the header names, if it names one.
        algorithm: the `alg` in the header.
    """

    def __init__(self, token: str) -> None:
        try:
            self._message, signature = token.encode("ascii").rsplit(b".", 1)
            header = json.loads(_base64url(self._message.split(b".", 1)[0]))
            self._signature = _base64url(signature)
            self.algorithm = header["alg"]
            self.kid = header.get("kid")
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            raise Unauthenticated(_MALFORMED) from None
        named = "kid" in header
        if not isinstance(self.algorithm, str) or (named and not isinstance(self.kid, str)):
            raise Unauthenticated(_MALFORMED)

    def by(self, key: Key) -> bool:
        """Whether `key`, which is one for its algorithm, made the signature."""
        algorithm = jwt.get_algorithm_by_name(self.algorithm)
        return algorithm.verify(self._message, key, self._signature)


def _base64url(text: bytes) -> bytes:
    return base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4))


def _check_times(claims: dict[str, Any]) -> float:
    """Check `nbf` and `iat`, and that all times are numbers; the `exp`."""
    for name in ("exp", "nbf", "iat"):
        # Neither text nor true is a number, nor are JSON's NaN and Infinity, which Python reads.
        value = claims.get(name, 0)
        if type(value) not in (int, float) or (type(value) is float and not math.isfinite(value)):
            raise Unauthenticated(f"The token's claim {name} is not a number of seconds.")
    if max(claims.get("nbf", 0), claims.get("iat", 0)) > time.time() + LEEWAY_SECONDS:
        raise Unauthenticated("The token is not valid yet.")
    exp: float = claims["exp"]
    return exp


def _text(claims: dict[str, Any], name: str) -> str:
    value = claims[name]
    if not isinstance(value, str):
        raise Unauthenticated(f"The token's claim {name} is {_kind(value)}: it must be a text.")
    if not value:
        raise Unauthenticated(f"The token's claim {name} is empty.")
    if len(value) > _CLAIM_CHARACTERS:
        raise Unauthenticated(
            f"The token's claim {name} is longer than {_CLAIM_CHARACTERS} characters."
        )
    if not _is_unicode(value):
        raise Unauthenticated(f"The token's claim {name} is not valid Unicode.")
    return value


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return "true or false"
    return {int: "a number", float: "a number", list: "a list"}.get(type(value), "an object")


def _is_unicode(text: str) -> bool:
    # JSON can spell half of a surrogate pair, and then nothing can be sent with it.
    return not any("\ud800" <= character <= "\udfff" for character in text)


def mint(secret: str, *, sub: str, email: str, ttl: int, room: str = "") -> str:
    """A token for development, good for `ttl` seconds.

    Raises:
        ConfigError: the secret is not fit.
    """
    now = int(time.time())
    claims: dict[str, Any] = {"sub": sub, "iat": now, "exp": now + ttl}
    claims |= {"email": email} if email else {}
    claims |= {"room": room} if room else {}
    return jwt.encode(claims, secret_key(secret), algorithm="HS256")
