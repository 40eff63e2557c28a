"""The routing key, by which a proxy sends both participants of a room to the same node."""

import base64
import json
import re
import secrets
from typing import Final

HEADER: Final = "dyad-routing-key"
UUID: Final = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_DIGITS: Final = 8


def routing_key(room_id: str, token: str) -> str:
    """Return the key to connect with: the last digits of the room's id.

    If the room is to be created, the key is random, and the server makes an id that ends
    with it.

    Args:
        room_id: the room, or empty to enter the one that the token names, or a new one.
        token: the app's JWT.
    """
    known = room_id or _room_of(token)
    return known[-_DIGITS:].lower() if known else secrets.token_hex(_DIGITS // 2)


def _room_of(token: str) -> str:
    """Return the room that a token names, or nothing. The server is what checks tokens."""
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        room = claims["room"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return ""
    return room if isinstance(room, str) and UUID.fullmatch(room) else ""
