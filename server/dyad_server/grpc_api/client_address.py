"""The address of a client, also behind proxies."""

import ipaddress
from collections.abc import Iterable, Iterator
from urllib.parse import unquote

from dyad_server.bounds import MOST_HOPS
from dyad_server.grpc_api import bounds

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# How a peer on a Unix socket is called, here and in --trusted-proxies.
UNIX = "unix"

_IPV6 = 6


class Origin:
    """Determines a client's address; trusts the `x-forwarded-for` of trusted proxies only.

    The header is read from its right end, where the nearest proxy writes, and only as far
    as trusted proxies wrote it. What a client put into it is ignored.
    """

    def __init__(self, trusted: Iterable[Network], *, unix: bool = False, hops: int = 0) -> None:
        """Trust proxies by their address, or by their number.

        Args:
            trusted: the networks of trusted proxies.
            unix: whether peers on a Unix socket are trusted proxies.
            hops: the number of trusted proxies in front, the peer included, whatever
                their addresses. If it is not 0, the other arguments are ignored.
        """
        self._trusted = tuple(trusted)
        self._unix = unix
        self._hops = hops

    def address(self, peer: str, metadata: Iterable[tuple[str, str | bytes]] | None) -> str:
        """The address that a request counts against: the nearest that is no trusted proxy.

        An IPv6 address is reduced to its first 64 bits, which belong to one subscriber.

        Args:
            peer: gRPC's name of the peer: `ipv4:1.2.3.4:5`, `ipv6:%5B::1%5D:5`, `unix:…`.
            metadata: the request's metadata.
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
            return str(ipaddress.ip_network((int(found), bounds.SUBSCRIBER_BITS), strict=False))
        return str(found)

    def is_proxy(self, host: str) -> bool:
        """Whether a peer with this address is a trusted proxy."""
        return self._believes(_parsed(host), 0)

    def of_host(self, host: str) -> str:
        """As `address`, for a direct connection from `host`."""
        return self.address(f"ipv6:[{host}]:0" if ":" in host else f"ipv4:{host}:0", None)

    def _believes(self, address: Address | None, hop: int) -> bool:
        """Whether `address`, `hop` hops before the peer, is a trusted proxy; None: not an IP."""
        if self._hops:
            return hop < self._hops
        if address is None:
            return self._unix
        return any(address in network for network in self._trusted)


def _from_the_right(metadata: Iterable[tuple[str, str | bytes]] | None) -> Iterator[str]:
    """The entries of `x-forwarded-for`, last first, up to a bound."""
    left = MOST_HOPS
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
            yield value[max(comma + 1, end - bounds.FORWARDED_FOR_CHARACTERS) : end].strip()
            end = comma


def _without_port(entry: str) -> str:
    """The address in an entry: gateways write `1.2.3.4:5` or `[::1]:5`, also in quotes."""
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
