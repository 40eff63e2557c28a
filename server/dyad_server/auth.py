"""Who is calling: the key, the verifier and the claims of the app's JWTs."""

import hashlib
import time
import warnings
from collections.abc import Iterable
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from dyad_server.errors import ConfigError, Overloaded, Unauthenticated
from dyad_server.inputs import Identity

LEEWAY_SECONDS = 30
_SECRET_BYTES = 32
_RSA_BITS = 2048
_CACHED_TOKENS = 4096
_CLAIM_CHARACTERS = 256

Key = bytes | RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey


def secret_key(secret: str) -> bytes:
    """A secret for HS256, HS384 and HS512.

    Raises:
        ConfigError: it is too short, or a PEM key, which is no secret.
    """
    key = secret.encode()
    if b"-----BEGIN" in key:
        raise ConfigError("The JWT secret is a PEM key: give it as --jwt-public-key.")
    if len(key) < _SECRET_BYTES:
        raise ConfigError(
            f"The JWT secret has {len(key)} bytes; it needs at least {_SECRET_BYTES}. "
            "`openssl rand -hex 32` makes one."
        )
    return key


def public_key(pem: str) -> Key:
    """A PEM public key: RSA for RS256, P-256 for ES256, Ed25519 for EdDSA.

    Raises:
        ConfigError: it is none of these, or RSA shorter than 2048 bits.
    """
    try:
        key = load_pem_public_key(pem.encode())
    except Exception as error:
        # The library raises many kinds here, some with the key's text in them.
        raise ConfigError("The JWT public key is not a PEM public key.") from error
    if isinstance(key, RSAPublicKey):
        if key.key_size < _RSA_BITS:
            raise ConfigError(f"The JWT public key has {key.key_size} bits; 2048 is the least.")
        return key
    if isinstance(key, Ed25519PublicKey):
        return key
    if isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1):
        return key
    raise ConfigError("The JWT public key must be RSA, EC P-256 or Ed25519.")


def _algorithms(key: Key) -> list[str]:
    # One key, one family: a public key must never be taken for an HMAC secret.
    if isinstance(key, bytes):
        return ["HS256", "HS384", "HS512"]
    if isinstance(key, RSAPublicKey):
        return ["RS256"]
    if isinstance(key, EllipticCurvePublicKey):
        return ["ES256"]
    return ["EdDSA"]


class Verifier:
    """Checks tokens against one key.

    `sub` and `exp` are required; `iss` and `aud` where configured; times are
    taken with 30 s leeway. What held once is remembered by the token's hash
    until it expires, because checking a signature is a tenth of a call.
    """

    def __init__(
        self, key: Key, *, issuer: str = "", audience: str = "", token_bytes: int = 6144
    ) -> None:
        self._key = key
        self._algorithms = _algorithms(key)
        self._issuer = issuer
        self._audience = audience
        self._token_bytes = token_bytes
        self._known: dict[bytes, tuple[float, Identity]] = {}

    def verify_metadata(
        self, metadata: Iterable[tuple[str, str | bytes]] | None, *, known_only: bool = False
    ) -> Identity:
        """The identity in a call's `authorization` metadata.

        Args:
            metadata: the call's.
            known_only: take only a token that held before, which costs little.

        Raises:
            Unauthenticated: there is none, more than one, or it does not hold.
            Overloaded: it is not known, and no other is looked at.
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
        return self.verify(token, known_only=known_only)

    def verify(self, token: str, *, known_only: bool = False) -> Identity:
        """The identity that `token` proves.

        Raises:
            Unauthenticated: it does not hold; the sentence says in which way.
            Overloaded: it is not known, and no other is looked at.
        """
        if len(token) > self._token_bytes:
            raise Unauthenticated(f"The token is longer than {self._token_bytes} bytes.")
        digest = hashlib.blake2b(token.encode("utf-8", "replace"), digest_size=16).digest()
        now = time.time()
        known = self._known.get(digest)
        if known is not None and now < known[0]:
            return known[1]
        if known_only:
            raise Overloaded("Too many bad tokens came from this address: wait a while.")
        until, identity = self._check(token)
        if len(self._known) >= _CACHED_TOKENS:
            self._known.pop(next(iter(self._known)))
        self._known[digest] = (until, identity)
        return identity

    def _check(self, token: str) -> tuple[float, Identity]:
        required = ["sub", "exp"]
        required += ["iss"] if self._issuer else []
        required += ["aud"] if self._audience else []
        try:
            with warnings.catch_warnings():
                # HS512 would like 64 bytes; 32 are what this server promises to take.
                warnings.simplefilter("ignore", jwt.warnings.InsecureKeyLengthWarning)
                claims: dict[str, Any] = jwt.decode(
                    token,
                    self._key,
                    algorithms=self._algorithms,
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
            # From None: the library's own text may quote the token.
            raise Unauthenticated("The token does not hold.") from None
        identity = Identity(
            _text(claims, "sub"),
            _text(claims, "email") if claims.get("email") is not None else "",
            _text(claims, "room") if claims.get("room") is not None else None,
        )
        return float(claims["exp"]) + LEEWAY_SECONDS, identity


def _text(claims: dict[str, Any], name: str) -> str:
    value = claims[name]
    if not isinstance(value, str) or not 0 < len(value) <= _CLAIM_CHARACTERS:
        raise Unauthenticated(
            f"The token's {name} is not a text of 1 to {_CLAIM_CHARACTERS} characters."
        )
    return value


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
