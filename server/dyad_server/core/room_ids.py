"""Ids of rooms: makes and checks them."""

import uuid


def new_room_id(routing_key: str) -> str:
    """A random UUID; its last digits are the key's, if there is one.

    The other digits are this server's own, so nobody can choose or guess a room's id.
    """
    room_id = str(uuid.uuid4())
    return room_id[: len(room_id) - len(routing_key)] + routing_key


def is_room_id(text: str) -> bool:
    """Whether a room can have this id: a UUID, in any case."""
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False
