"""What is in a message, before any of it is parsed.

Parsing 512 KiB of empty frames takes the better part of 100 ms, in which nobody
else is served. The scan here looks at the outermost fields only, and stops once
there are more than a client may send at once.
"""

# https://protobuf.dev/programming-guides/encoding/#structure
_VARINT = 0
_LENGTH = 2
_FIXED_BYTES = {1: 8, 5: 4}
_VARINT_BYTES = 10
_MORE_FOLLOWS = 0x80


def fields(message: bytes, most: int) -> list[tuple[int, bytes]]:
    """The outermost fields of `message`: the number of each, and its content.

    The content of a field that is neither a text nor a message is left out.

    Args:
        message: serialized.
        most: how many fields to look at. Of a message that has more, the list is
            longer than this and not complete.

    Raises:
        ValueError: these bytes are no message.
    """
    found: list[tuple[int, bytes]] = []
    position, end = 0, len(message)
    while position < end and len(found) <= most:
        tag, position = _varint(message, position)
        content = b""
        kind = tag & 7
        if kind == _LENGTH:
            length, position = _varint(message, position)
            content = message[position : position + length]
            position += length
        elif kind == _VARINT:
            _, position = _varint(message, position)
        elif kind in _FIXED_BYTES:
            position += _FIXED_BYTES[kind]
        else:
            raise ValueError("a field of an unknown type")
        found.append((tag >> 3, content))
    if position > end:
        raise ValueError("the message is cut off")
    return found


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
