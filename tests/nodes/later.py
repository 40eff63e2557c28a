"""`dyad`, as a later version would be: `python -m tests.nodes.later serve ...`.

What this version sends to other nodes is changed as docs/node-messages.md allows it:
the version number is higher, and each map has fields that this version does not know,
also in what is handed off. What it receives it reads as this version does.
"""

import sys
from typing import Any

import msgpack
from dyad_server.cli.main import main

VERSION = 2


def with_more(data: Any) -> Any:
    """The same with one more field in each map."""
    if isinstance(data, dict):
        more = {name: with_more(value) for name, value in data.items()} | {"later": ["new"]}
        return more | ({"version": VERSION} if "version" in more else {})
    return [with_more(value) for value in data] if isinstance(data, list) else data


def plant() -> None:
    """Make every message of this process one of the later version."""
    pack = msgpack.packb

    def pack_more(data: Any) -> Any:
        return pack(with_more(data))

    msgpack.packb = pack_more


if __name__ == "__main__":
    plant()
    sys.exit(main())
