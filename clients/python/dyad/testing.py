"""For the tests of apps: a real Dyad server in the same process.

It needs the server's distribution, `dyad-signaling-server`.
"""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from dyad_server import Config, serving
from dyad_server.auth.mint import mint

from dyad.connection import Connection, connect

_TOKEN_SECONDS: Final = 3600


@dataclass(frozen=True, slots=True)
class LocalServer:
    """A server on this machine, in plain text.

    Attributes:
        target: its address, for `dyad.connect`.
    """

    target: str
    _secret: str = field(repr=False)

    def token(
        self, user_id: str, *, email: str = "", room: str = "", ttl: int = _TOKEN_SECONDS
    ) -> str:
        """Make a token, as the app's own server does in production.

        Args:
            user_id: the user's `sub`.
            email: shown to the peer.
            room: a UUID that limits the token to that room, or empty.
            ttl: for how many seconds it is valid. The server accepts it 30 s longer.
        """
        return mint(self._secret, sub=user_id, email=email, ttl=ttl, room=room)

    def connect(self, user_id: str, **options: Any) -> Connection:
        """Return the connection of a user.

        Args:
            user_id: the user's `sub`.
            options: see `dyad.connect`.
        """
        return connect(self.target, self.token(user_id), plaintext=True, **options)


@asynccontextmanager
async def local_server(**settings: Any) -> AsyncIterator[LocalServer]:
    """Run a server on a free port while the context lasts.

    Args:
        settings: settings of the server in place of its defaults, such as `resume_grace=0.5`.
    """
    secret = secrets.token_hex(32)
    async with serving(Config(port=0, jwt_secret=secret, **settings)) as server:
        yield LocalServer(f"127.0.0.1:{server.port}", secret)
