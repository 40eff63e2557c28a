"""What `--redis` may say, and which Redis has which room."""

import uuid
from collections import Counter

import pytest
from dyad_server.engines.redis.addresses import Address, Use, places, read_addresses
from dyad_server.errors import ConfigError

ROOMS = [str(uuid.UUID(int=number, version=4)) for number in range(3000)]


def homes(text: str) -> list[str]:
    addresses = read_addresses(text)
    return [places(room, addresses)[0].name for room in ROOMS]


def test_one_address_needs_no_name() -> None:
    url = "sentinel://dyad:hush@one,two:26379/calls?sentinel_password=a%23b"
    assert read_addresses(url) == [Address("", url)]


def test_several_addresses_are_separated_by_spaces_or_newlines() -> None:
    text = "redis://one#a\nrediss://two/3?ssl_ca_certs=/ca.pem#b.2:changing  sentinel://x,y/z#c_-"
    assert read_addresses(text) == [
        Address("a", "redis://one"),
        Address("b.2", "rediss://two/3?ssl_ca_certs=/ca.pem", Use.CHANGING),
        Address("c_-", "sentinel://x,y/z"),
    ]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("redis://one redis://two", "needs a name"),
        ("redis://one#a redis://two", "needs a name"),
        ("redis://one#a redis://two#a", "the same name"),
        ("redis://one#a redis://two#hush/hush", "its name"),
        ("redis://one#a redis://two#", "its name"),
        ("redis://one#a redis://two#b:", "its name"),
        ("redis://one#a redis://two#b:open", "its name"),
        (f"redis://one#{'a' * 33}", "its name"),
        ("redis://dyad:hu#sh@one", "its name"),
        ("redis://one#a redis://two#b:closed redis://three#c:closed", "only one address at a time"),
        ("redis://one#a:closed", "must be neither"),
        ("redis://one#a:changing", "must be neither"),
    ],
)
def test_invalid_addresses_are_refused_without_being_quoted(text: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence) as refused:
        read_addresses(text)
    assert "hu" not in str(refused.value)


def test_rooms_are_spread_evenly() -> None:
    counts = Counter(homes("redis://one#a redis://two#b redis://three#c"))
    assert all(900 < counts[name] < 1100 for name in "abc")


def test_a_room_stays_where_it_is_when_hosts_passwords_and_the_order_change() -> None:
    before = homes("redis://one#a redis://two#b redis://three#c")
    assert homes("redis://:new@four/1#c redis://five:1#b sentinel://six#a") == before


def test_a_new_address_takes_rooms_from_all_and_moves_none_between_the_others() -> None:
    before = homes("redis://one#a redis://two#b")
    after = homes("redis://one#a redis://two#b redis://three#c")
    moved = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    assert {new for _, new in moved} == {"c"}
    assert 900 < len(moved) < 1100


def test_the_choice_is_the_same_in_every_version() -> None:
    # Nodes of two versions run side by side: this must never change.
    addresses = read_addresses("redis://one#a redis://two#b redis://three#c")
    rooms = [str(uuid.UUID(int=number)) for number in range(12)]
    assert "".join(places(room, addresses)[0].name for room in rooms) == "cacababcbbcc"


def test_a_room_of_an_address_that_is_not_open_may_also_be_at_the_next_one() -> None:
    open_ = read_addresses("redis://one#a redis://two#b redis://three#c")
    without_b = [address for address in open_ if address.name != "b"]
    for use in ("changing", "closed"):
        addresses = read_addresses(f"redis://one#a redis://two#b:{use} redis://three#c")
        for room in ROOMS:
            names = [address.name for address in places(room, addresses)]
            first = places(room, open_)[0].name
            if first == "b":
                assert names == ["b", places(room, without_b)[0].name]
            else:
                assert names == [first]
