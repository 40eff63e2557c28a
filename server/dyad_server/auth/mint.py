"""Makes tokens for development. In production, the app issues the tokens."""

import time
from typing import Any

import jwt

from dyad_server.auth.keys import secret_key


def mint(
    secret: str,
    *,
    sub: str,
    email: str,
    ttl: int,
    room: str = "",
    kid: str = "",
    issuer: str = "",
    audience: str = "",
    now: float | None = None,
) -> str:
    """Make a token.

    Args:
        secret: signs it.
        sub: the user.
        email: the user's address; empty for none.
        ttl: for how many seconds it is valid.
        room: the room that it is limited to; empty for none.
        kid: the name of the secret, if it has one.
        issuer: its `iss`; empty for none.
        audience: its `aud`; empty for none.
        now: from when on, in Unix seconds; None: from now on.

    Raises:
        ConfigError: the secret is unusable.
    """
    begins = int(time.time() if now is None else now)
    claims: dict[str, Any] = {"sub": sub, "iat": begins, "exp": begins + ttl}
    more = {"email": email, "room": room, "iss": issuer, "aud": audience}
    claims |= {name: value for name, value in more.items() if value}
    headers = {"kid": kid} if kid else None
    return jwt.encode(claims, secret_key(secret), algorithm="HS256", headers=headers)
