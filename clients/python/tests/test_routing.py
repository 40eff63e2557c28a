"""The routing key that the client connects with."""

import base64
import json
from typing import Any

import pytest
from dyad.routing import routing_key

ROOM = "6c1f3c3e-9d2c-4b7e-8f53-0d6f3f9f7a10"
OTHER = "00000000-0000-4000-8000-00000000abcd"
NONE = "not.a.jwt"


def token(claims: Any) -> str:
    """A token with these claims, and without a signature."""
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"e30.{payload}.signature"


def test_all_who_enter_a_room_have_the_same_key() -> None:
    keys = {
        routing_key(ROOM, NONE),
        routing_key(ROOM.upper(), NONE),
        routing_key(ROOM, token({"room": OTHER})),
        routing_key("", token({"room": ROOM})),
        routing_key("", token({"room": ROOM.upper(), "sub": "J\u00f6rg\u2019s \U0001f600"})),
    }
    assert keys == {"3f9f7a10"}


def test_each_new_room_has_another_key() -> None:
    keys = {routing_key("", token({"sub": "alice"})) for _ in range(100)}
    assert len(keys) == 100
    assert all(len(key) == 8 and set(key) <= set("0123456789abcdef") for key in keys)


@pytest.mark.parametrize(
    "bad",
    [
        *("", "a", "a.b", "a.b.c", "..", "a.\u00fc.c", "a." + "W" * 10_000 + ".c"),
        *map(token, (None, [], 7, {})),
        *(token({"room": room}) for room in (None, "", 7, "lobby", f" {ROOM}", {"room": ROOM})),
        "e30." + base64.urlsafe_b64encode(b"[" * 100_000).decode() + ".c",
    ],
)
def test_a_token_that_names_no_room_gives_a_random_key(bad: str) -> None:
    assert len({routing_key("", bad) for _ in range(100)}) == 100
