"""Who is calling: the verifier and the claims of the app's JWTs."""

import hashlib
import time
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import jwt

from dyad_server.errors import Overloaded, Unauthenticated
from dyad_server.inputs import Identity
from dyad_server.keys import Key, Keys, algorithms, secret_key

LEEWAY_SECONDS = 30
_CACHED_TOKENS = 4096
_CLAIM_CHARACTERS = 256
_TIMES = {"exp", "nbf", "iat"}


@dataclass(frozen=True, slots=True)
class _Proof:
    """What a token proved: by which key, and until when, in Unix seconds."""

    identity: Identity
    kid: str | None
    key: Key
    until: float


class Verifier:
    """Checks tokens against the app's keys.

    `sub` and `exp` are required; `iss` and `aud` where configured; times are
    taken with 30 s leeway. What held once is remembered by the token's hash
    until it expires or its key is gone, because checking a signature is a tenth
    of a call.
    """

    def __init__(
        self, keys: Keys, *, issuer: str = "", audience: str = "", token_bytes: int = 6144
    ) -> None:
        self._keys = keys
        self._issuer = issuer
        self._audience = audience
        self._token_bytes = token_bytes
        self._known: dict[bytes, _Proof] = {}

    async def verify_metadata(
        self, metadata: Iterable[tuple[str, str | bytes]] | None, *, known_only: bool = False
    ) -> Identity:
        """The identity in a call's `authorization` metadata.

        Args:
            metadata: the call's.
            known_only: take only a token that held before, which costs little.

        Raises:
            Unauthenticated: there is none, more than one, or it does not hold.
            Overloaded: it is not known, and no other is looked at.
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
        return await self.verify(token, known_only=known_only)

    async def verify(self, token: str, *, known_only: bool = False) -> Identity:
        """The identity that `token` proves.

        Raises:
            Unauthenticated: it does not hold; the sentence says in which way.
            Overloaded: it is not known, and no other is looked at.
            Unavailable: the keys to check it with are out of reach.
        """
        if len(token) > self._token_bytes:
            raise Unauthenticated(f"The token is longer than {self._token_bytes} bytes.")
        digest = hashlib.blake2b(token.encode("utf-8", "replace"), digest_size=16).digest()
        proof = self._known.get(digest)
        if (
            proof is not None
            and time.time() < proof.until
            and await self._keys.find(proof.kid) is proof.key
        ):
            return proof.identity
        if known_only:
            raise Overloaded("Too many bad tokens came from this address: wait a while.")
        proof = await self._check(token)
        if len(self._known) >= _CACHED_TOKENS:
            self._known.pop(next(iter(self._known)))
        self._known[digest] = proof
        return proof.identity

    async def _check(self, token: str) -> _Proof:
        try:
            kid: str | None = jwt.get_unverified_header(token).get("kid")
        except (jwt.PyJWTError, ValueError):
            # From None, here and below: the library's own text may quote the token.
            raise Unauthenticated("The token does not hold.") from None
        key = await self._keys.find(kid)
        claims = self._claims(token, key)
        # The library takes texts and truth for times too.
        if any(type(claims[name]) not in (int, float) for name in _TIMES & claims.keys()):
            raise Unauthenticated("The token's times are not numbers.")
        identity = Identity(
            _text(claims, "sub"),
            _text(claims, "email") if claims.get("email") is not None else "",
            _text(claims, "room") if claims.get("room") is not None else None,
        )
        return _Proof(identity, kid, key, int(claims["exp"]) + LEEWAY_SECONDS)

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
                    leeway=LEEWAY_SECONDS,
                    options={
                        "require": required,
                        "verify_aud": bool(self._audience),
                        "strict_aud": False,
                    },
                )
        except jwt.ExpiredSignatureError:
            raise Unauthenticated("The token has expired.") from None
        except jwt.MissingRequiredClaimError as error:
            raise Unauthenticated(f"The token has no claim {error.claim}.") from None
        except (jwt.InvalidIssuerError, jwt.InvalidAudienceError):
            raise Unauthenticated("The token was issued by or for somebody else.") from None
        except jwt.ImmatureSignatureError:
            raise Unauthenticated("The token is not valid yet.") from None
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError):
            raise Unauthenticated("The token does not hold.") from None


def _text(claims: dict[str, Any], name: str) -> str:
    value = claims[name]
    if isinstance(value, str) and 0 < len(value) <= _CLAIM_CHARACTERS and _is_unicode(value):
        return value
    raise Unauthenticated(
        f"The token's {name} is not a text of 1 to {_CLAIM_CHARACTERS} characters."
    )


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
