"""The keys that settings and files hold: several at once, by `kid` or tried in turn.

In a folder, the file `2026-11` or `2026-11.pem` is the key whose `kid` is `2026-11`, and
`2026-11.until` says when that key ends. A key outside a folder has no `kid`, and does not end.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Generic, TypeVar

from dyad_server.auth import bounds
from dyad_server.auth.keys import Key, PublicKey, algorithms, public_key, secret_key
from dyad_server.core.clock import Clock
from dyad_server.errors import ConfigError, Reason, Unauthenticated

K_co = TypeVar("K_co", bound=Key, covariant=True)

_PEM = ".pem"
_UNTIL = ".until"


@dataclass(frozen=True, slots=True)
class NamedKey(Generic[K_co]):
    """A key of a `KeyRing`.

    Attributes:
        key: the key.
        kid: its name, if it has one.
        until: when it ends, in Unix seconds.
    """

    key: K_co
    kid: str | None = None
    until: float = float("inf")


class KeyRing:
    """`Keys` that are known at any time; they can be replaced while the server runs.

    A token whose `kid` is the name of a key is checked with that key only, any other token
    with each key in turn.
    """

    def __init__(self, clock: Clock, keys: Sequence[NamedKey[Key]] = ()) -> None:
        self._clock = clock
        self.replace(keys)

    @property
    def usable(self) -> bool:
        """See `keys.Keys.usable`."""
        now = self._clock.unix_time()
        return any(now < each.until for each in self._keys)

    def replace(self, keys: Sequence[NamedKey[Key]]) -> None:
        """Use these keys from now on."""
        self._keys = keys
        self._drop_ended()

    async def find(self, kid: str | None, algorithm: str) -> Sequence[Key]:
        """See `keys.Keys.find`."""
        if self._clock.unix_time() >= self._next_end:
            self._drop_ended()
        keys = self._any if kid is None else self._named.get(kid, self._any)
        if not keys:
            raise Unauthenticated(
                "The token is signed with a key that is no longer accepted.", Reason.TOKEN_KEY
            )
        fit = keys.get(algorithm)
        if fit is None:
            raise Unauthenticated("The key is not for the token's algorithm.", Reason.TOKEN_KEY)
        return fit

    def _drop_ended(self) -> None:
        """Find the keys that have not ended; to be repeated when the next one ends."""
        now = self._clock.unix_time()
        lasting = [each for each in self._keys if now < each.until]
        self._next_end = min((each.until for each in lasting), default=float("inf"))
        self._any = _by_algorithm(lasting)
        # A key that has ended is still known by its name, so that no other key is tried.
        self._named: dict[str, dict[str, list[Key]]] = {
            each.kid: _by_algorithm([each] if each in lasting else [])
            for each in self._keys
            if each.kid is not None
        }


def _by_algorithm(keys: Sequence[NamedKey[Key]]) -> dict[str, list[Key]]:
    found: dict[str, list[Key]] = {}
    for each in keys:
        for algorithm in algorithms(each.key):
            found.setdefault(algorithm, []).append(each.key)
    return found


def secret_keys(texts: Mapping[str, str]) -> list[NamedKey[bytes]]:
    """The secrets in the text of one setting or file, one a line, or in the files of a folder.

    Args:
        texts: the text under an empty name, or the text of each file under its name.

    Raises:
        ConfigError: a secret is unusable, or names and end dates do not fit together.
    """
    return _keys(texts, _lines, secret_key)


def public_keys(texts: Mapping[str, str]) -> list[NamedKey[PublicKey]]:
    """The PEM public keys in one text, or in the files of a folder; as `secret_keys`."""
    return _keys(texts, _pem_blocks, public_key)


def _keys(
    texts: Mapping[str, str], split: Callable[[str], list[str]], read: Callable[[str], K_co]
) -> list[NamedKey[K_co]]:
    if "" in texts:
        found = [NamedKey(read(text)) for text in split(texts[""])]
    else:
        found = _folder(texts, split, read)
    if len(found) > bounds.KEYS_AT_ONCE:
        raise ConfigError(f"There are more than {bounds.KEYS_AT_ONCE} keys.")
    return found


def _folder(
    texts: Mapping[str, str], split: Callable[[str], list[str]], read: Callable[[str], K_co]
) -> list[NamedKey[K_co]]:
    ends = {name.removesuffix(_UNTIL): name for name in texts if name.endswith(_UNTIL)}
    found: dict[str, NamedKey[K_co]] = {}
    for name, text in texts.items():
        if name.endswith(_UNTIL):
            continue
        kid = name.removesuffix(_PEM)
        if kid in found:
            raise ConfigError(f"Two files hold a key named {kid}: {kid} and {kid}{_PEM}.")
        end = ends.pop(kid, "")
        try:
            until = _time(texts[end]) if end else float("inf")
        except ValueError:
            raise ConfigError(
                f"{end} holds no time such as 2026-12-01T00:00:00Z, or no time zone."
            ) from None
        if len(split(text)) > 1:
            raise ConfigError(f"{name} holds more than one key; each needs a file of its own.")
        try:
            found[kid] = NamedKey(read(text), kid, until)
        except ConfigError as error:
            raise ConfigError(f"{name}: {error}") from error
    if ends:
        unknown = ", ".join(sorted(ends.values()))
        raise ConfigError(f"There is no key for {unknown}.")
    if not found:
        raise ConfigError("There is no key in the folder.")
    return [*found.values()]


def _time(text: str) -> float:
    """Unix seconds; a date alone is its first moment in UTC.

    Raises:
        ValueError: this is no time of ISO 8601, or has no time zone.
    """
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
        return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise ValueError(text)
    return time.timestamp()


def _lines(text: str) -> list[str]:
    return [line for line in re.split(r"\r?\n", text) if line]


def _pem_blocks(text: str) -> list[str]:
    blocks = re.split(r"(?=-----BEGIN )", text)
    # Before the first block there may be a comment.
    return blocks[1:] or blocks
