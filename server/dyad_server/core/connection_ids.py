"""Ids of connections, which the contract calls `session_id`.

Each is a secret that names its node, so that any node can forward a `Send`.
"""

import secrets

from dyad_server.core import bounds


def new_connection_id(node: str) -> str:
    """An id for a connection to `node`; a single node has no name."""
    return f"{node}." * bool(node) + secrets.token_urlsafe(bounds.ID_BYTES)


def node_of(connection_id: str) -> str:
    """The node that an id names; empty if it names none."""
    return connection_id.partition(".")[0] if "." in connection_id else ""
