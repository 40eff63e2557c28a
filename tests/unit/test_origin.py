"""Whose address is held to account, with and without proxies in between."""

import ipaddress

import pytest
from dyad_server.origin import Origin

TRUSTED = Origin([ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("::1/128")])


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("ipv4:192.0.2.1:5000", [], "192.0.2.1"),
        ("ipv4:192.0.2.1:5000", ["203.0.113.9"], "192.0.2.1"),
        ("ipv4:10.0.0.1:5000", [], "10.0.0.1"),
        ("ipv4:10.0.0.1:5000", ["203.0.113.9"], "203.0.113.9"),
        ("ipv4:10.0.0.1:5000", ["198.51.100.7, 203.0.113.9"], "203.0.113.9"),
        ("ipv4:10.0.0.1:5000", ["198.51.100.7, 203.0.113.9, 10.0.0.2"], "203.0.113.9"),
        ("ipv4:10.0.0.1:5000", ["198.51.100.7", "203.0.113.9"], "203.0.113.9"),
        ("ipv4:10.0.0.1:5000", ["x" * 9000], "10.0.0.1"),
        ("ipv4:10.0.0.1:5000", ["203.0.113.9, nonsense"], "10.0.0.1"),
        ("ipv6:%5B::1%5D:5000", ["2001:db8:1:2:3::4"], "2001:db8:1:2::/64"),
        ("ipv6:%5B2001:db8:1:2:3::4%5D:5000", ["203.0.113.9"], "2001:db8:1:2::/64"),
        ("ipv6:%5B::ffff:10.0.0.1%5D:5000", ["203.0.113.9"], "203.0.113.9"),
        ("unix:/run/dyad", ["203.0.113.9"], "unix"),
    ],
)
def test_the_last_address_that_no_trusted_proxy_added_counts(
    peer: str, forwarded: list[str], address: str
) -> None:
    metadata = [("x-forwarded-for", value) for value in forwarded]
    assert TRUSTED.address(peer, metadata) == address


def test_where_no_proxy_is_trusted_nobody_is_believed() -> None:
    origin = Origin([])
    assert origin.address("ipv4:127.0.0.1:1", [("x-forwarded-for", "192.0.2.1")]) == "127.0.0.1"
