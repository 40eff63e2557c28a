"""Whose address a call comes from, where a proxy may stand in between."""

import ipaddress
from collections.abc import Iterable
from urllib.parse import unquote

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_IPV6 = 6
_SUBSCRIBER_BITS = 64


class Origin:
    """Believes `x-forwarded-for` of trusted proxies, and of nobody else."""

    def __init__(self, trusted: Iterable[Network]) -> None:
        self._trusted = tuple(trusted)

    def address(self, peer: str, metadata: Iterable[tuple[str, str | bytes]] | None) -> str:
        """The address to hold to account: the last that a trusted proxy did not add.

        Of an IPv6 address its first 64 bits: that much is one subscriber's.

        Args:
            peer: as gRPC names it: `ipv4:1.2.3.4:5`, `ipv6:%5B::1%5D:5`, `unix:…`.
            metadata: the call's.
        """
        found = _parsed(_host(peer))
        if found is None:
            return _host(peer)
        hops = [
            hop.strip()
            for key, value in metadata or ()
            if key == "x-forwarded-for" and isinstance(value, str)
            for hop in value.split(",")
        ]
        while hops and self._trusts(found):
            before = _parsed(hops.pop())
            if before is None:
                break
            found = before
        if found.version == _IPV6:
            return str(ipaddress.ip_network((found, _SUBSCRIBER_BITS), strict=False))
        return str(found)

    def _trusts(self, address: Address) -> bool:
        return any(address in network for network in self._trusted)


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
