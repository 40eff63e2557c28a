"""The Redis of a fleet, as `--redis` names them, and which of them has which room.

Rooms are spread by rendezvous hashing: for each room the addresses have an order of
their own, by a hash of the room and of the address's name, and the first one has it.
So an address that is added or removed moves no room between the others.

An address is put into use and taken out of use in steps: see `Use`. docs/redis.md says
why nodes whose lists differ by one step agree on every room.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

from dyad_server.engines.redis import bounds
from dyad_server.errors import ConfigError

_NAME = re.compile(r"[A-Za-z0-9._-]{1,32}")


class Use(Enum):
    """How an address is used; its word is in the URL, after the name and a colon."""

    OPEN = ""
    """It has all rooms for which it comes first."""
    CHANGING = "changing"
    """It gets the new ones of these rooms. Others may still be at the next address."""
    CLOSED = "closed"
    """It gets no new rooms; those that it has are found."""


@dataclass(frozen=True, slots=True)
class Address:
    """A Redis, standalone or behind Sentinels.

    Attributes:
        name: spreads the rooms. It stays the same when host or password change.
        url: see `client.connect`.
        use: how it is used.
    """

    name: str
    url: str = field(repr=False)
    use: Use = Use.OPEN


def read_addresses(text: str) -> list[Address]:
    """The addresses in `text`, separated by white space.

    Raises:
        ConfigError: an address has no name among several, or a name is invalid or
            given twice; or more than one address is not open, or none is.
    """
    addresses = [_read(each) for each in text.split()]
    names = [address.name for address in addresses]
    if len(addresses) > 1 and not all(names):
        raise ConfigError(
            "--redis has several addresses: each needs a name, as in redis://one:6379#a. Rooms are "
            "spread by it, so it must stay the same."
        )
    if len(set(names)) < len(names):
        raise ConfigError("--redis has two addresses with the same name.")
    marked = sum(address.use is not Use.OPEN for address in addresses)
    if marked > 1:
        raise ConfigError("--redis: only one address at a time can be changing or closed.")
    if marked == len(addresses):
        raise ConfigError("--redis: one address must be neither changing nor closed.")
    return addresses


def _read(text: str) -> Address:
    url, mark, fragment = text.partition("#")
    name, colon, word = fragment.partition(":")
    uses = {use.value: use for use in Use}
    # Neither is quoted: after a # in a password, they would be a part of it.
    if (mark and not _NAME.fullmatch(name)) or word not in uses or (colon and not word):
        raise ConfigError(
            "--redis: what follows the # of an address is its name (up to 32 letters, digits, "
            "dots, hyphens and underscores), and perhaps :changing or :closed. In a password, "
            "write %23 for #."
        )
    return Address(name, url, uses[word])


def places(room_id: str, addresses: Sequence[Address]) -> list[Address]:
    """Where a room can be: at the first address in its order; if that is not open, or the next."""
    first, *others = sorted(
        addresses, key=lambda address: _weight(room_id, address.name), reverse=True
    )
    return [first] if first.use is Use.OPEN else [first, others[0]]


def _weight(room_id: str, name: str) -> bytes:
    return hashlib.blake2b(f"{name}\0{room_id}".encode(), digest_size=bounds.WEIGHT_BYTES).digest()
