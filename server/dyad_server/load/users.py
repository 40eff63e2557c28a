"""The users that call: their tokens, and that each of them is in one call at a time."""

import base64
import json
import math
import secrets
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from dyad_server.auth.mint import mint
from dyad_server.errors import ConfigError
from dyad_server.load import bounds

_PARTS_OF_A_JWT = ("header", "claims", "signature")


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who can call.

    Attributes:
        name: the `sub` of the token.
        token: the JWT.
    """

    name: str
    token: str


Pair = tuple[User, User]


class Users(Protocol):
    """Where the two users of each call come from."""

    def take(self, now: float) -> Pair | None:
        """Two users that are in no call; None if there are none now."""

    def give_back(self, pair: Pair, now: float) -> None:
        """Note that their call is over."""


class MintedUsers:
    """New users for each call, with tokens that are signed here."""

    def __init__(
        self, secret: str, *, kid: str, hold: float, issuer: str = "", audience: str = ""
    ) -> None:
        """Sign with the server's secret, for calls that last `hold` seconds."""
        self._mint = partial(
            mint,
            secret,
            email="",
            ttl=math.ceil(hold) + bounds.TTL_MARGIN_SECONDS,
            kid=kid,
            issuer=issuer,
            audience=audience,
        )
        # Runs at the same time must not share users.
        self._run = secrets.token_hex(4)
        self._count = 0

    def take(self, now: float) -> Pair:
        """See `Users.take`."""
        del now
        self._count += 1
        return self._user("a"), self._user("b")

    def give_back(self, pair: Pair, now: float) -> None:
        """See `Users.give_back`."""

    def _user(self, side: str) -> User:
        name = f"load-{self._run}-{self._count}{side}"
        return User(name, self._mint(sub=name))


class ListedUsers:
    """The users of a file of tokens, in turn. Each rests between two calls."""

    def __init__(self, users: Sequence[User]) -> None:
        self._free = deque((user, float("-inf")) for user in users)

    def take(self, now: float) -> Pair | None:
        """See `Users.take`."""
        # They came back in order, so the second has rested least.
        if len(self._free) <= 1 or self._free[1][1] > now:
            return None
        return self._free.popleft()[0], self._free.popleft()[0]

    def give_back(self, pair: Pair, now: float) -> None:
        """See `Users.give_back`."""
        self._free.extend((user, now + bounds.USER_REST_SECONDS) for user in pair)


def read_users(path: str) -> list[User]:
    """The users of a file with tokens, one a line; of two tokens of a user, the last counts.

    Raises:
        ConfigError: the file cannot be read, or a line is no JWT.
    """
    try:
        if Path(path).stat().st_size > bounds.LARGEST_TOKEN_FILE_BYTES:
            raise ConfigError(f"--tokens: {path} is too large.")
        lines = Path(path).read_text().splitlines()
    except UnicodeDecodeError:
        raise ConfigError(f"--tokens: {path} is not UTF-8 text.") from None
    except OSError as error:
        raise ConfigError(f"--tokens: {path}: {error.strerror}.") from None
    found: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        if token := line.strip():
            found[_subject(token, f"--tokens: {path}: line {number}")] = token
    return [User(name, token) for name, token in found.items()]


def _subject(token: str, where: str) -> str:
    """The user that a token names. Only the server can tell whether it is valid."""
    parts = token.split(".")
    if len(parts) != len(_PARTS_OF_A_JWT) or not token.isascii():
        raise ConfigError(f"{where} is no JWT.")
    text = parts[1] + "=" * (-len(parts[1]) % 4)
    try:
        claims = json.loads(base64.urlsafe_b64decode(text))
    except ValueError:
        raise ConfigError(f"{where} is no JWT.") from None
    name = claims.get("sub") if isinstance(claims, dict) else None
    if not isinstance(name, str) or not name:
        raise ConfigError(f"{where} is a JWT without `sub`.")
    return name
