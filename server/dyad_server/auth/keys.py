"""The keys that tokens are checked with, and where the key to a token comes from."""

from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from dyad_server.errors import ConfigError, Unauthenticated

_SECRET_BYTES = 32
_RSA_BITS = 2048

PublicKey = RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey
Key = bytes | PublicKey


class Keys(Protocol):
    """Where the key to a token comes from."""

    async def find(self, kid: str | None, algorithm: str) -> Key:
        """The key to a token with this `alg` in its header, and this `kid` or without one.

        Raises:
            Unauthenticated: there is none, or the one there is is not for this algorithm.
            Unavailable: whether there is one cannot be said at present.
        """


class OneKey:
    """`Keys` of just one, whatever a token names."""

    def __init__(self, key: Key) -> None:
        self._key = key

    async def find(self, kid: str | None, algorithm: str) -> Key:
        """See `Keys.find`."""
        del kid
        if algorithm not in algorithms(self._key):
            raise Unauthenticated("The key is not for the token's algorithm.")
        return self._key


def algorithms(key: Key) -> list[str]:
    """The algorithms that `key` is for, whatever a token says."""
    # One key, one family: a public key must never be taken for an HMAC secret.
    if isinstance(key, bytes):
        return ["HS256", "HS384", "HS512"]
    if isinstance(key, RSAPublicKey):
        return ["RS256"]
    if isinstance(key, EllipticCurvePublicKey):
        return ["ES256"]
    return ["EdDSA"]


def secret_key(secret: str) -> bytes:
    """A secret for HS256, HS384 and HS512.

    Raises:
        ConfigError: it is too short, has white space around it, or is a PEM key, which is no
            secret.
    """
    if secret != secret.strip():
        raise ConfigError("The JWT secret begins or ends with white space: a newline, perhaps?")
    key = secret.encode()
    if b"-----BEGIN" in key:
        raise ConfigError("The JWT secret is a PEM key: give it as --jwt-public-key.")
    if len(key) < _SECRET_BYTES:
        raise ConfigError(
            f"The JWT secret has {len(key)} bytes; it needs at least {_SECRET_BYTES}. "
            "`openssl rand -hex 32` makes one."
        )
    return key


def public_key(pem: str) -> PublicKey:
    """A PEM public key: RSA for RS256, P-256 for ES256, Ed25519 for EdDSA.

    Raises:
        ConfigError: it is none of these, or RSA shorter than 2048 bits.
    """
    try:
        key = load_pem_public_key(pem.encode())
    except Exception as error:
        # The library raises many kinds here, some with the key's text in them.
        raise ConfigError("The JWT public key is not a PEM public key.") from error
    fitting = fit(key)
    if fitting is None:
        raise ConfigError(
            f"The JWT public key must be RSA of at least {_RSA_BITS} bits, EC P-256 or Ed25519."
        )
    return fitting


def fit(key: object) -> PublicKey | None:
    """`key`, if it is public and of a kind and length that tokens are checked with."""
    if isinstance(key, RSAPublicKey):
        return key if key.key_size >= _RSA_BITS else None
    if isinstance(key, EllipticCurvePublicKey):
        return key if isinstance(key.curve, SECP256R1) else None
    return key if isinstance(key, Ed25519PublicKey) else None
