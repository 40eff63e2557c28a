"""What nodes say to each other."""

from typing import Any

import msgpack

Message = list[Any]


def pack(message: Message) -> bytes:
    """A message as it goes into an inbox."""
    packed: bytes = msgpack.packb(message)
    return packed


def pack_entry(_: str, messages: list[bytes]) -> bytes:
    """Messages as one entry of an inbox."""
    header: bytes = msgpack.Packer().pack_array_header(len(messages))
    return header + b"".join(messages)
