"""Whose address a call comes from, where a proxy may stand in between."""

import ipaddress
from collections.abc import Iterable
from urllib.parse import unquote

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Origin:
    """Believes `x-forwarded-for` of trusted proxies, and of nobody else."""

    def __init__(self, trusted: Iterable[Network]) -> None:
        self._trusted = tuple(trusted)

    def address(self, peer: str, metadata: Iterable[tuple[str, str | bytes]] | None) -> str:
        """The address to hold to account: the last that a trusted proxy did not add.

        Args:
            peer: as gRPC names it: `ipv4:1.2.3.4:5`, `ipv6:%5B::1%5D:5`, `unix:…`.
            metadata: the call's.
        """
        address = _host(peer)
        if not self._trusts(address):
            return address
        hops = [
            hop.strip()
            for key, value in metadata or ()
            if key == "x-forwarded-for" and isinstance(value, str)
            for hop in value.split(",")
        ]
        for hop in reversed(hops):
            address = hop
            if not self._trusts(hop):
                break
        return address

    def _trusts(self, address: str) -> bool:
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(parsed in network for network in self._trusted)


def _host(peer: str) -> str:
    kind, _, rest = unquote(peer).partition(":")
    if kind not in ("ipv4", "ipv6"):
        return kind
    return rest.rpartition(":")[0].strip("[]")
