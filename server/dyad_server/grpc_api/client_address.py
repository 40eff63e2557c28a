"""Whose address a call comes from, where proxies may stand in between."""

import ipaddress
from collections.abc import Iterable, Iterator
from urllib.parse import unquote

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# What a peer on a Unix socket is called, here and in --trusted-proxies.
UNIX = "unix"

_IPV6 = 6
_SUBSCRIBER_BITS = 64
# More proxies than anybody has, and longer than any address with its port.
_MOST_HOPS = 16
_ENTRY_CHARACTERS = 80


class Origin:
    """Believes `x-forwarded-for` of trusted proxies, and of nobody else.

    The header is read from its right end, where the nearest proxy writes, and
    no further than the trusted proxies reach: what a client puts into it before
    them is not looked at.
    """

    def __init__(self, trusted: Iterable[Network], *, unix: bool = False, hops: int = 0) -> None:
        """Trust proxies by where they are, or by how many there are.

        Args:
            trusted: the networks that trusted proxies are in.
            unix: whether peers on a Unix socket are trusted proxies.
            hops: how many trusted proxies stand in front, the peer included,
                wherever they are. Other than 0, this alone counts.
        """
        self._trusted = tuple(trusted)
        self._unix = unix
        self._hops = hops

    def address(self, peer: str, metadata: Iterable[tuple[str, str | bytes]] | None) -> str:
        """The address to hold to account: the last that a trusted proxy did not add.

        Of an IPv6 address its first 64 bits: that much is one subscriber's.

        Args:
            peer: as gRPC names it: `ipv4:1.2.3.4:5`, `ipv6:%5B::1%5D:5`, `unix:…`.
            metadata: the call's.
        """
        name = _host(peer)
        found = _parsed(name)
        if self._believes(found, 0):
            for hop, entry in enumerate(_from_the_right(metadata), start=1):
                before = _parsed(_without_port(entry))
                if before is None:
                    break
                found = before
                if not self._believes(found, hop):
                    break
        if found is None:
            return name
        if found.version == _IPV6:
            return str(ipaddress.ip_network((int(found), _SUBSCRIBER_BITS), strict=False))
        return str(found)

    def is_proxy(self, host: str) -> bool:
        """Whether who connects from this address is a trusted proxy."""
        return self._believes(_parsed(host), 0)

    def of_host(self, host: str) -> str:
        """As `address`, of one that connects from this address and says nothing of others."""
        return self.address(f"ipv6:[{host}]:0" if ":" in host else f"ipv4:{host}:0", None)

    def _believes(self, address: Address | None, hop: int) -> bool:
        """Whether this one, so many hops before the server, is a trusted proxy; None: no IP."""
        if self._hops:
            return hop < self._hops
        if address is None:
            return self._unix
        return any(address in network for network in self._trusted)


def _from_the_right(metadata: Iterable[tuple[str, str | bytes]] | None) -> Iterator[str]:
    """The entries of `x-forwarded-for`, the last one first; a bounded number of them."""
    left = _MOST_HOPS
    values = [value for key, value in metadata or () if key == "x-forwarded-for"]
    for value in reversed(values):
        if not isinstance(value, str):
            return
        end = len(value)
        while end >= 0:
            if not left:
                return
            left -= 1
            comma = value.rfind(",", 0, end)
            yield value[max(comma + 1, end - _ENTRY_CHARACTERS) : end].strip()
            end = comma


def _without_port(entry: str) -> str:
    """The address of an entry: gateways write `1.2.3.4:5`, `[::1]:5`, also in quotes."""
    entry = entry.strip('"')
    if entry.startswith("["):
        return entry[1:].partition("]")[0]
    return entry.partition(":")[0] if entry.count(":") == 1 else entry


def _host(peer: str) -> str:
    kind, _, rest = unquote(peer).partition(":")
    if kind not in ("ipv4", "ipv6"):
        return kind
    return rest.rpartition(":")[0].strip("[]")


def _parsed(text: str) -> Address | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address
