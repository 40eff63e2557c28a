"""The address that a request counts against, with and without proxies."""

import ipaddress
from collections.abc import Iterator
from typing import Any

import pytest
from dyad_server.grpc_api.client_address import Origin

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
        ("ipv4:10.0.0.1:5000", ["203.0.113.7:51008"], "203.0.113.7"),
        ("ipv4:10.0.0.1:5000", ["198.51.100.7:1, 203.0.113.7:51008"], "203.0.113.7"),
        ("ipv4:10.0.0.1:5000", ["203.0.113.7:51008, 10.0.0.2:80"], "203.0.113.7"),
        ("ipv4:10.0.0.1:5000", ['"203.0.113.7:51008"'], "203.0.113.7"),
        ("ipv4:10.0.0.1:5000", ["[2001:db8::7]:4444"], "2001:db8::/64"),
        ("ipv4:10.0.0.1:5000", ['"[2001:db8:0:7::7]:4444"'], "2001:db8:0:7::/64"),
        ("ipv4:10.0.0.1:5000", ["[2001:db8::7]"], "2001:db8::/64"),
        ("ipv4:10.0.0.1:5000", ["2001:db8::7"], "2001:db8::/64"),
        ("ipv4:10.0.0.1:5000", ["fe80::1%eth0"], "fe80::/64"),
        ("ipv4:10.0.0.1:5000", ["[::ffff:203.0.113.7]:4444"], "203.0.113.7"),
        ("ipv4:10.0.0.1:5000", ["203.0.113.7,"], "10.0.0.1"),
        ("ipv4:10.0.0.1:5000", [""], "10.0.0.1"),
        ("ipv4:10.0.0.1:5000", ["203.0.113.9", "unknown"], "10.0.0.1"),
        ("ipv4:10.0.0.1:5000", [",".join(["203.0.113.9"] + 15 * ["10.0.0.2"])], "203.0.113.9"),
        ("ipv4:10.0.0.1:5000", [",".join(["203.0.113.9"] + 16 * ["10.0.0.2"])], "10.0.0.2"),
    ],
)
def test_the_last_address_that_no_trusted_proxy_added_counts(
    peer: str, forwarded: list[str], address: str
) -> None:
    metadata = [("x-forwarded-for", value) for value in forwarded]
    assert TRUSTED.address(peer, metadata) == address


def test_without_trusted_proxies_the_header_is_ignored() -> None:
    origin = Origin([])
    assert origin.address("ipv4:127.0.0.1:1", [("x-forwarded-for", "192.0.2.1")]) == "127.0.0.1"


@pytest.mark.parametrize("peer", ["ipv4:10.0.0.1:5000", "ipv6:%5B2001:db8::1%5D:5", "unix:"])
@pytest.mark.parametrize(
    ("hops", "forwarded", "address"),
    [
        (1, "203.0.113.9", "203.0.113.9"),
        (1, "198.51.100.7, 203.0.113.9", "203.0.113.9"),
        (2, "198.51.100.7, 203.0.113.9", "198.51.100.7"),
        (2, "192.0.2.1, 198.51.100.7:1, 203.0.113.9:2", "198.51.100.7"),
        # A proxy is missing: the addresses that the others wrote still count.
        (3, "198.51.100.7, 203.0.113.9", "198.51.100.7"),
        (2, "nonsense, 203.0.113.9", "203.0.113.9"),
    ],
)
def test_the_address_that_the_last_trusted_hop_wrote_counts(
    peer: str, hops: int, forwarded: str, address: str
) -> None:
    origin = Origin([ipaddress.ip_network("203.0.113.0/24")], hops=hops)
    assert origin.address(peer, [("x-forwarded-for", forwarded)]) == address


def test_without_the_header_the_address_of_the_peer_counts() -> None:
    origin = Origin([], hops=1)
    assert origin.address("ipv4:192.0.2.1:5", []) == "192.0.2.1"
    assert origin.address("unix:", None) == "unix"


def test_the_header_of_a_unix_peer_counts_if_unix_is_trusted() -> None:
    forwarded = [("x-forwarded-for", "203.0.113.9:1")]
    assert Origin([], unix=True).address("unix:/run/dyad", forwarded) == "203.0.113.9"
    assert Origin([], unix=False).address("unix:/run/dyad", forwarded) == "unix"
    assert Origin([], unix=True).address("unix:/run/dyad", []) == "unix"


def test_the_header_of_an_untrusted_peer_is_ignored() -> None:
    class Unread:
        def __iter__(self) -> Iterator[tuple[str, str | bytes]]:
            raise AssertionError("the header was read")

    assert TRUSTED.address("ipv4:192.0.2.1:5000", Unread()) == "192.0.2.1"


def test_only_a_bounded_part_of_a_long_header_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[str] = []
    parse = ipaddress.ip_address

    def parse_and_note(text: str) -> Any:
        parsed.append(text)
        return parse(text)

    monkeypatch.setattr(ipaddress, "ip_address", parse_and_note)
    for header in (",".join(1500 * ["10.0.0.2"]), 15000 * ",", 15000 * "1", f"{15000 * ' '}1::2"):
        parsed.clear()
        for origin in (TRUSTED, Origin([], hops=16)):
            origin.address("ipv4:10.0.0.1:5000", [("x-forwarded-for", header)])
        assert len(parsed) <= 2 * 17
        assert max(map(len, parsed)) <= 80
