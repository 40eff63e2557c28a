"""The key that tokens are signed with, for `dyad token` and `dyad load`."""

from collections.abc import Mapping
from typing import Any

from dyad_server.auth.key_ring import NamedKey, secret_keys
from dyad_server.cli.environment import secret_texts
from dyad_server.errors import ConfigError


def signing_keys(
    options: Mapping[str, Any], environment: Mapping[str, str]
) -> list[NamedKey[bytes]]:
    """The secrets that the settings hold; the one that lasts longest is the first.

    Raises:
        ConfigError: there is none, or the settings cannot be read.
    """
    texts = secret_texts(options, environment)
    if not texts:
        raise ConfigError(
            "There is no secret to sign with. Set DYAD_JWT_SECRET to the server's secret "
            "(`openssl rand -hex 32` makes one)."
        )
    return sorted(secret_keys(texts), key=lambda each: each.until, reverse=True)
