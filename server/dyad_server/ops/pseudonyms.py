"""Users and rooms in log lines and traces: recognizable, but only within this process."""

import hashlib
import secrets

from dyad_server.ops import bounds


class Pseudonyms:
    """Hashes texts with a key that only this process has.

    So what belongs to the same user can be found, and nobody can be recognized.
    """

    def __init__(self) -> None:
        self._key = secrets.token_bytes(bounds.LOG_KEY_BYTES)

    def of(self, text: str) -> str | None:
        """The hash of a text; None if it is empty."""
        if not text:
            return None
        size = bounds.LOG_HASH_BYTES
        return hashlib.blake2b(text.encode(), digest_size=size, key=self._key).hexdigest()
