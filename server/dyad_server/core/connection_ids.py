"""Ids of connections: one that is a secret, and one for logs.

The contract calls the secret one `session_id`. It names its node, so that any node can
forward a `Send`.
"""

import secrets

from dyad_server.core import bounds


def new_connection_id(node: str) -> str:
    """An id for a connection to `node`; a single node has no name."""
    return f"{node}." * bool(node) + secrets.token_urlsafe(bounds.ID_BYTES)


def new_stream_id() -> str:
    """An id that the log and the client's user may show: it gives no access to anything."""
    return secrets.token_hex(bounds.STREAM_ID_BYTES)


def node_of(connection_id: str) -> str:
    """The node that an id names; empty if it names none."""
    return connection_id.partition(".")[0] if "." in connection_id else ""
