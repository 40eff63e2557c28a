"""The names of nodes."""

import re
import secrets

from dyad_server.engines.redis import bounds

NODE_NAME = re.compile(f"[0-9a-f]{{{2 * bounds.NODE_BYTES}}}")
"""What a node's name looks like."""


def new_node() -> str:
    """A name for a node that starts."""
    return secrets.token_hex(bounds.NODE_BYTES)
