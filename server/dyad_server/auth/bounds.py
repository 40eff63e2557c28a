"""The bounds of `auth`: tokens, and the keys that verify them."""

# Tokens.

LEEWAY_SECONDS = 30
"""How far the clocks of this server and the issuer may differ."""
CACHED_TOKENS = 16384
"""More than the participants of one process."""
CLAIM_CHARACTERS = 256
"""The longest id, address or room: each is kept for as long as its participant."""
LATEST_EXPIRY_SECONDS = float(2**40)
"""Unix time: later than any connection lives, and small enough for timers."""
SECRET_BYTES = 32
"""The shortest secret: as long as the hash of HS256 (RFC 7518, section 3.2)."""
RSA_BITS = 2048
"""The shortest RSA key for RS256 (RFC 7518, section 3.3)."""
KEYS_AT_ONCE = 16
"""A token without a known `kid` is checked with each key in turn, at the cost of each."""
TOKEN_DIGEST_BYTES = 16
"""Enough that no two tokens have the same digest."""

# Keys from a URL. Each time limit is shorter than the next, and a test holds that.

KEYS_PATIENCE_SECONDS = 1.0
"""How long a stream or request waits for a fetch."""
KEYS_TIMEOUT_SECONDS = 10.0
"""How long a fetch may take, where no setting says otherwise."""
KEYS_RETRY_SECONDS = 30.0
"""When a failed fetch is repeated."""
KEYS_RENEW_SECONDS = 300.0
"""When the keys are fetched again: a withdrawn key is accepted for this long."""
KEYS_KEPT_SECONDS = 3600.0
"""How long the last keys stay valid while the URL is out of reach."""
KEYS_BYTES = 256 * 1024
"""The largest JWK Set; those of large issuers have a few kilobytes."""
UNKNOWN_AT_ONCE = 5
"""Fetches in a row that tokens with an unknown `kid` may cause."""
UNKNOWN_PER_SECOND = 0.1
"""Such fetches after that: one every 10 s."""
LOGGED_CHARACTERS = 200
"""Of why a fetch failed: a server out of our control may have written it."""
