"""The bounds of `cli`: the server's process, and what is for development."""

NEW_OBJECTS = 10_000
"""New objects before Python looks for garbage; 700 by default.

A hundred calls that are served at once make more, all of them in use. Python would look
through all participants again and again: a fifth of an idle participant's CPU.
"""
LONGEST_TTL_SECONDS = 100 * 365 * 24 * 3600
"""Of a token for development: a century, which dates can still express."""

DEV_TTL_SECONDS = 12 * 3600
"""How long the tokens of `dyad dev` are good: for a day's work."""
LAN_CERTIFICATE_DAYS = 30
"""How long the certificate of `dyad dev --lan` is good."""

ENVOY_START_SECONDS = 30.0
"""How long Envoy may take to listen, on a busy machine."""
ENVOY_POLL_SECONDS = 0.05
"""How often it is tried whether Envoy listens."""
ENVOY_STOP_SECONDS = 5.0
"""How long Envoy may take to end before it is killed."""
ENVOY_LINGER_SECONDS = 0.5
"""How long Envoy may pass on the last statuses of a server that has ended."""
ENVOY_CHUNK_BYTES = 65536
"""How much of Envoy's output is read at once."""
ENVOY_OUTPUT_BYTES = 2000
"""How much of Envoy's last output is quoted when it fails."""

TOP_INTERVAL_SECONDS = 2.0
"""How often nodes are asked, unless said otherwise."""
SHORTEST_TOP_SECONDS = 0.2
"""More often would be load by itself: a page takes a node some milliseconds."""
LONGEST_TOP_SECONDS = 3600.0
"""A longer interval is a mistake."""
LOG_COLUMNS = 140
"""How wide tables are where there is no terminal."""
