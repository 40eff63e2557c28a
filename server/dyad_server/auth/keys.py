"""The keys that verify tokens, and the interface that finds the key for a token."""

import re
from collections.abc import Sequence
from typing import Protocol

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from dyad_server.auth import bounds
from dyad_server.errors import ConfigError

PublicKey = RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey
Key = bytes | PublicKey


class Keys(Protocol):
    """Finds the keys for a token."""

    @property
    def usable(self) -> bool:
        """Whether there is a key now that a token may be signed with."""

    async def find(self, kid: str | None, algorithm: str) -> Sequence[Key]:
        """The keys to try for a token with this `alg` and `kid` in its header; at least one.

        Raises:
            Unauthenticated: there is no such key, or it is for another algorithm.
            Unavailable: the keys are out of reach at present.
        """


def algorithms(key: Key) -> list[str]:
    """The algorithms that `key` may be used with. The token has no say in this."""
    # One key, one family: a public key must never be used as an HMAC secret.
    if isinstance(key, bytes):
        return ["HS256", "HS384", "HS512"]
    if isinstance(key, RSAPublicKey):
        return ["RS256"]
    if isinstance(key, EllipticCurvePublicKey):
        return ["ES256"]
    return ["EdDSA"]


def secret_key(secret: str) -> bytes:
    """The key for HS256, HS384 and HS512.

    Raises:
        ConfigError: the secret is too short, has white space around it or control characters
            in it, or is a key of another kind.
    """
    if secret != secret.strip():
        raise ConfigError("The JWT secret begins or ends with white space, perhaps a newline.")
    if re.search(r"[\x00-\x1f]", secret):
        raise ConfigError("The JWT secret contains control characters.")
    key = secret.encode()
    if b"-----BEGIN" in key:
        raise ConfigError("The JWT secret is a PEM key: use --jwt-public-key for it.")
    if len(key) < bounds.SECRET_BYTES:
        raise ConfigError(
            f"The JWT secret has {len(key)} bytes; it needs at least {bounds.SECRET_BYTES}. "
            "`openssl rand -hex 32` makes a good one."
        )
    try:
        # It refuses public keys and JWKs. A public key is no secret: anybody could sign with it.
        jwt.get_algorithm_by_name("HS256").prepare_key(key)
    except jwt.InvalidKeyError:
        raise ConfigError("The JWT secret is a key of another kind, or a JWK.") from None
    return key


def public_key(pem: str) -> PublicKey:
    """Read a PEM public key: RSA for RS256, P-256 for ES256, Ed25519 for EdDSA.

    Raises:
        ConfigError: `pem` is no such key, or RSA shorter than 2048 bits.
    """
    try:
        key = load_pem_public_key(pem.encode())
    except Exception as error:
        # The library raises many exceptions here, some of which quote the key.
        raise ConfigError("The JWT public key is not a PEM public key.") from error
    usable = fit(key)
    if usable is None:
        raise ConfigError(
            f"The JWT public key must be RSA of at least {bounds.RSA_BITS} bits, EC P-256 or "
            "Ed25519."
        )
    return usable


def fit(key: object) -> PublicKey | None:
    """`key`, if it is a public key of a supported type and length; else None."""
    if isinstance(key, RSAPublicKey):
        return key if key.key_size >= bounds.RSA_BITS else None
    if isinstance(key, EllipticCurvePublicKey):
        return key if isinstance(key.curve, SECP256R1) else None
    return key if isinstance(key, Ed25519PublicKey) else None
