"""How tokens are signed, for `dyad token` and `dyad load`."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from dyad_server.auth.key_ring import NamedKey, secret_keys
from dyad_server.cli.environment import signing
from dyad_server.errors import ConfigError


class Signing(NamedTuple):
    """How to make tokens that the server accepts.

    Attributes:
        keys: the secrets; the one that lasts longest is the first.
        issuer: the `iss` that the settings require; empty if none.
        audience: the same for `aud`.
    """

    keys: list[NamedKey[bytes]]
    issuer: str
    audience: str


def read_signing(options: Mapping[str, Any], environment: Mapping[str, str]) -> Signing:
    """Read it from the settings of the server.

    Raises:
        ConfigError: there is none, or the settings cannot be read.
    """
    texts, issuer, audience = signing(options, environment)
    if not texts:
        raise ConfigError(
            "There is no secret to sign with. Set DYAD_JWT_SECRET to the server's secret. "
            "`dyad dev` prints it; for a new server, `openssl rand -hex 32` makes one."
        )
    keys = sorted(secret_keys(texts), key=lambda each: each.until, reverse=True)
    return Signing(keys, issuer, audience)
