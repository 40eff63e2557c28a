"""Session ids: secrets that name their node, so that any node can forward a `Send`."""

import secrets

from dyad_server.core import bounds


def new_session_id(node: str) -> str:
    """An id for a session on `node`; a single node has no name."""
    return f"{node}." * bool(node) + secrets.token_urlsafe(bounds.ID_BYTES)


def node_of(session_id: str) -> str:
    """The node that a session id names; empty if it names none."""
    return session_id.partition(".")[0] if "." in session_id else ""
