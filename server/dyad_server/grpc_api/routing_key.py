"""The routing key, by which a proxy sends both participants of a room to the same node.

It is the last eight digits of the room's id. A participant that creates a room has chosen
them at random before it connects, so the id of its room must end with them. Nothing else
depends on the key: without one, or with a wrong one, a call crosses nodes and works.
"""

import re

from dyad_server.grpc_api.rpc_stream import Metadata, only_value

HEADER = "dyad-routing-key"
_KEY = re.compile("[0-9a-f]{8}")


def routing_key(metadata: Metadata) -> str:
    """The key in the metadata of a request; empty unless there is exactly one, well-formed."""
    value = only_value(metadata, HEADER)
    return value if _KEY.fullmatch(value) else ""
