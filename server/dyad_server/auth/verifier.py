"""Verifies the app's JWTs and reads their claims."""

import base64
import hashlib
import json
import math
import warnings
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import jwt

from dyad_server.auth import bounds
from dyad_server.auth.keys import Key, Keys, algorithms
from dyad_server.core.clock import Clock
from dyad_server.core.commands import Identity
from dyad_server.errors import Ended, Reason, Unauthenticated


@dataclass(frozen=True, slots=True)
class Token:
    """A verified token.

    Attributes:
        identity: the user that it names.
        digest: a hash of its text.
        until: when it expires, leeway included, in Unix seconds.
        stale: it was good once, and has since expired or lost its key.
    """

    identity: Identity
    digest: bytes
    until: float
    stale: bool = False

    @property
    def account(self) -> str:
        """Whose limits a request with this token counts against.

        A stale token has an account of its own. Otherwise a leaked, expired token could
        exhaust its user's limits.
        """
        return f"{self.identity.user_id}\0stale" if self.stale else self.identity.user_id


@dataclass(frozen=True, slots=True)
class _Proof:
    """A verified token and the key that verified it."""

    token: Token
    kid: str | None
    algorithm: str
    key: Key


class Verifier:
    """Checks tokens against the app's keys.

    `sub` and `exp` are required, `iss` and `aud` if they are configured. Times have 30 s of
    leeway. Good tokens are cached by their hash, because verifying one costs a tenth of a
    call's CPU; expiry and key are checked on every use. Refusing a bad token costs less
    than the request that carries it, so bad tokens cannot keep others out.
    """

    def __init__(
        self,
        keys: Keys,
        clock: Clock,
        *,
        issuer: str = "",
        audience: str = "",
        token_bytes: int = 6144,
    ) -> None:
        self._keys = keys
        self._clock = clock
        self._issuer = issuer
        self._audience = audience
        self._token_bytes = token_bytes
        # The least recently used entry first.
        self._known: OrderedDict[bytes, _Proof] = OrderedDict()

    async def verify_metadata(
        self, metadata: Iterable[tuple[str, str | bytes]] | None, *, stale: bool = False
    ) -> Token:
        """Verify the token in the `authorization` metadata.

        Args:
            metadata: the request's metadata.
            stale: whether to accept a stale token.

        Raises:
            Unauthenticated: there is no token, more than one, or an invalid one.
            Unavailable: the keys are out of reach.
        """
        values = [value for key, value in metadata or () if key == "authorization"]
        if not values:
            sentence = "There is no token. Send the metadata authorization: Bearer <token>."
            raise Unauthenticated(sentence, Reason.TOKEN_MISSING)
        if len(values) > 1:
            raise Unauthenticated("There is more than one authorization in the metadata.")
        value = values[0]
        scheme, _, token = (
            value if isinstance(value, str) else value.decode("ascii", "replace")
        ).partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Unauthenticated("The authorization is not of the form: Bearer <token>.")
        return await self.verify(token, stale=stale)

    async def verify(self, token: str, *, stale: bool = False) -> Token:
        """Verify a token.

        Args:
            token: its text.
            stale: whether to accept a token that has expired, or that this verifier
                knows to have been good before its key was withdrawn.

        Raises:
            Unauthenticated: the token is invalid; the message says why.
            Unavailable: the keys are out of reach.
        """
        if len(token) > self._token_bytes:
            sentence = f"The token is longer than {self._token_bytes} bytes."
            raise Unauthenticated(sentence, Reason.TOKEN_TOO_LONG)
        digest = hashlib.blake2b(
            token.encode("utf-8", "replace"), digest_size=bounds.TOKEN_DIGEST_BYTES
        ).digest()
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
            good = self._clock.unix_time() < proof.token.until
            if not (good or stale):
                raise Unauthenticated("The token has expired.", Reason.TOKEN_EXPIRED)
        self._known[digest] = proof
        self._known.move_to_end(digest)
        if len(self._known) > bounds.CACHED_TOKENS:
            self._known.popitem(last=False)
        return proof.token if good else replace(proof.token, stale=True)

    async def _still_good(self, proof: _Proof) -> bool:
        if self._clock.unix_time() >= proof.token.until:
            return False
        return proof.key in await self._keys.find(proof.kid, proof.algorithm)

    async def _check(self, token: str, digest: bytes) -> _Proof:
        signed = _Signed(token)
        keys = await self._keys.find(signed.kid, signed.algorithm)
        key = next((key for key in keys if signed.by(key)), None)
        if key is None:
            sentence = "The token's signature does not match the key."
            raise Unauthenticated(sentence, Reason.TOKEN_SIGNATURE)
        claims = self._claims(token, key)
        exp = _check_times(claims, self._clock.unix_time())
        identity = Identity(
            _text(claims, "sub"),
            # Some issuers write an empty string for a user without an address.
            _text(claims, "email") if claims.get("email") not in (None, "") else "",
            _text(claims, "room").lower() if claims.get("room") is not None else None,
        )
        until = min(exp, bounds.LATEST_EXPIRY_SECONDS) + bounds.LEEWAY_SECONDS
        return _Proof(Token(identity, digest, until), signed.kid, signed.algorithm, key)

    def _claims(self, token: str, key: Key) -> dict[str, Any]:
        required = ["sub", "exp"]
        required += ["iss"] if self._issuer else []
        required += ["aud"] if self._audience else []
        try:
            with warnings.catch_warnings():
                # The library recommends 64 bytes for HS512; this server accepts 32.
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
                        # Checked here, with messages that name the claim.
                        "verify_exp": False,
                        "verify_nbf": False,
                        "verify_iat": False,
                        "verify_sub": False,
                        "verify_jti": False,
                    },
                )
        except jwt.MissingRequiredClaimError as error:
            sentence = f"The token has no claim {error.claim}."
            raise Unauthenticated(sentence, Reason.TOKEN_CLAIM) from None
        except jwt.InvalidIssuerError:
            sentence = "The token's iss is not the configured issuer."
            raise Unauthenticated(sentence, Reason.TOKEN_ISSUER) from None
        except jwt.InvalidAudienceError:
            sentence = "The token's aud does not name this server."
            raise Unauthenticated(sentence, Reason.TOKEN_AUDIENCE) from None
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
            # `from None`, because the library's message may quote the token.
            raise Unauthenticated(_MALFORMED) from None


_MALFORMED = "The token is not a well-formed JWT."


class _Signed:
    """A token's header and signature, read in a tenth of the library's time.

    This is only a filter: the library still decodes each token that passes. So refusing a
    token with a wrong signature costs little more than checking the signature.

    Attributes:
        kid: the `kid` in the header, if there is one.
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
        """Whether `key`, which must be for this algorithm, made the signature."""
        algorithm = jwt.get_algorithm_by_name(self.algorithm)
        return algorithm.verify(self._message, key, self._signature)


def _base64url(text: bytes) -> bytes:
    return base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4))


def _check_times(claims: dict[str, Any], now: float) -> float:
    """Check `nbf` and `iat`, and that all times are numbers; return `exp`."""
    for name in ("exp", "nbf", "iat"):
        # Python's JSON parser also yields true, NaN and Infinity here.
        value = claims.get(name, 0)
        if type(value) not in (int, float) or (type(value) is float and not math.isfinite(value)):
            sentence = f"The token's claim {name} is not a number of seconds."
            raise Unauthenticated(sentence, Reason.TOKEN_CLAIM)
    if max(claims.get("nbf", 0), claims.get("iat", 0)) > now + bounds.LEEWAY_SECONDS:
        raise Unauthenticated("The token is not valid yet.", Reason.TOKEN_EARLY)
    exp: float = claims["exp"]
    return exp


def _text(claims: dict[str, Any], name: str) -> str:
    value = claims[name]
    if not isinstance(value, str):
        wrong = f"is {_kind(value)}: it must be text"
    elif not value:
        wrong = "is empty"
    elif len(value) > bounds.CLAIM_CHARACTERS:
        wrong = f"is longer than {bounds.CLAIM_CHARACTERS} characters"
    elif not _is_unicode(value):
        wrong = "is not valid Unicode"
    else:
        return value
    raise Unauthenticated(f"The token's claim {name} {wrong}.", Reason.TOKEN_CLAIM)


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return "true or false"
    return {int: "a number", float: "a number", list: "a list"}.get(type(value), "an object")


def _is_unicode(text: str) -> bool:
    # JSON can contain half of a surrogate pair, which protobuf cannot encode.
    return not any("\ud800" <= character <= "\udfff" for character in text)
