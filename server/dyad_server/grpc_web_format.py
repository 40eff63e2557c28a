"""The wire format of grpc-web, for the commands that speak it as a browser does.

Source: PROTOCOL-WEB.md of gRPC. A body is a series of pieces: a flag, the length, and then a
message, or after the last message the trailers.
"""

import struct

from dyad_server import bounds

CONTENT_TYPE = "application/grpc-web+proto"

HEAD = struct.Struct(">BI")
"""The flags of a piece, and its length in bytes."""


def envelope(message: bytes) -> bytes:
    """The body that carries one message."""
    return HEAD.pack(0, len(message)) + message


def is_trailers(flags: int) -> bool:
    """Whether a piece with these flags has the trailers, and not a message."""
    return bool(flags & bounds.GRPC_WEB_TRAILERS)


def parse_trailers(content: bytes) -> dict[str, str]:
    """The trailers in a piece, by their names in lower case."""
    pairs = [line.partition(":") for line in content.decode("utf-8", "replace").splitlines()]
    return {name.strip().lower(): value.strip() for name, _, value in pairs}
