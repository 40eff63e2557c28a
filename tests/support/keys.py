"""Keys for verifiers."""

from dyad_server.auth.key_ring import KeyRing, NamedKey
from dyad_server.auth.keys import Key
from dyad_server.ops.clock import LoopClock


def only(key: Key) -> KeyRing:
    """A single key without a name."""
    return KeyRing(LoopClock(), [NamedKey(key)])
