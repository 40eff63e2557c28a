"""Makes tokens for development. In production, the app issues the tokens."""

import time
from typing import Any

import jwt

from dyad_server.auth.keys import secret_key


def mint(secret: str, *, sub: str, email: str, ttl: int, room: str = "", kid: str = "") -> str:
    """Make a token that is valid for `ttl` seconds; with a `kid` if the secret has a name.

    Raises:
        ConfigError: the secret is unusable.
    """
    now = int(time.time())
    claims: dict[str, Any] = {"sub": sub, "iat": now, "exp": now + ttl}
    claims |= {"email": email} if email else {}
    claims |= {"room": room} if room else {}
    headers = {"kid": kid} if kid else None
    return jwt.encode(claims, secret_key(secret), algorithm="HS256", headers=headers)
