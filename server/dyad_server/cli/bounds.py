"""The bounds of `cli`: the server's process, tokens for development, and the demo."""

NEW_OBJECTS = 10_000
"""New objects before Python looks for garbage; 700 by default.

A hundred calls that are served at once make more, all of them in use. Python would look
through all participants again and again: a fifth of an idle participant's CPU.
"""
LONGEST_TTL_SECONDS = 100 * 365 * 24 * 3600
"""Of a token for development: a century, which dates can still express."""

DEMO_CALL_SECONDS = 20
"""How long a call of the demo may take; it takes a second."""
DEMO_TTL_SECONDS = 12 * 3600
"""How long the links of the demo work: for a day's work."""

ENVOY_START_SECONDS = 30.0
"""How long Envoy may take to listen, on a busy machine."""
ENVOY_POLL_SECONDS = 0.05
"""How often it is tried whether Envoy listens."""
ENVOY_STOP_SECONDS = 5.0
"""How long Envoy may take to end before it is killed."""
ENVOY_CHUNK_BYTES = 65536
"""How much of Envoy's output is read at once."""
ENVOY_OUTPUT_BYTES = 2000
"""How much of Envoy's last output is quoted when it fails."""
