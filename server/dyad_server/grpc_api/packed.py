"""What is in a message, before any of it is parsed.

Parsing 512 KiB of empty frames takes the better part of 100 ms, in which nobody
else is served. The scan here looks at the outermost fields only, and stops once
there are more than a client may send at once.
"""

from collections.abc import Iterator

# https://protobuf.dev/programming-guides/encoding/#structure
_VARINT = 0
_LENGTH = 2
_FIXED_BYTES = {1: 8, 5: 4}
_VARINT_BYTES = 10
_MORE_FOLLOWS = 0x80


Fields = list[tuple[int, slice]]
"""The number of each field, and where in its message the content is."""


def fields(message: bytes, most: int) -> Fields:
    """Find the outermost fields of `message`, and copy nothing of it.

    A field that is neither a text nor a message has an empty content.

    Args:
        message: serialized.
        most: how many fields to look at. Of a message that has more, the list is
            longer than this and not complete.

    Raises:
        ValueError: these bytes are no message.
    """
    found: Fields = []
    position, end = 0, len(message)
    while position < end and len(found) <= most:
        tag, position = _varint(message, position)
        where = slice(0, 0)
        kind = tag & 7
        if kind == _LENGTH:
            length, position = _varint(message, position)
            where = slice(position, position + length)
            position += length
        elif kind == _VARINT:
            _, position = _varint(message, position)
        elif kind in _FIXED_BYTES:
            position += _FIXED_BYTES[kind]
        else:
            raise ValueError("a field of an unknown type")
        found.append((tag >> 3, where))
    if position > end:
        raise ValueError("the message is cut off")
    return found


def contents(message: bytes, found: Fields, number: int) -> Iterator[bytes]:
    """The contents of the fields of this number, each copied when its turn comes.

    Args:
        message: serialized.
        found: its `fields`.
        number: which of them.
    """
    return (message[where] for each, where in found if each == number)


def _varint(message: bytes, position: int) -> tuple[int, int]:
    """The number at `position`, and where it ends."""
    number = shift = 0
    for index in range(position, min(position + _VARINT_BYTES, len(message))):
        byte = message[index]
        number |= (byte & ~_MORE_FOLLOWS) << shift
        if byte < _MORE_FOLLOWS:
            return number, index + 1
        shift += 7
    raise ValueError("a number without an end")
