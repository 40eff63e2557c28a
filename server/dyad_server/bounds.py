"""Bounds of the settings, and of a server's start and stop. Each package has its own `bounds`.

A number that an operator may want to change is a setting instead: see `config`.
"""

# Settings.

LARGEST_NUMBER = 2**31 - 1
"""gRPC and the system's timers accept signed 32-bit numbers, also of milliseconds."""
LEAST_SECONDS = 0.001
"""Timers count milliseconds."""
MOST_SECONDS = LARGEST_NUMBER // 1000
"""The most that a timer can count."""
FILE_BYTES = 65536
"""The largest key, certificate or secret; a wrong path may name a file of any size."""
FILES = 64
"""The most files in a folder of keys: sixteen keys, their end dates, and as many again."""
LARGEST_PORT = 65535
"""The largest port number that TCP has."""
LARGEST_FRAME_BYTES = 2**28
"""A message carries four such frames: its size is still a signed 32-bit number."""
LARGEST_TOKEN_BYTES = 15 * 1024
"""gRPC accepts 16 KiB of metadata: the token, and the headers of proxies."""
PREFIX_CHARACTERS = 32
"""The prefix is a part of each key and each command."""
MOST_WORKERS = 1024
"""More than any machine has cores for."""
MOST_HOPS = 16
"""More proxies than any deployment has; also the most that are read from a header."""
SHORTEST_HEARTBEAT_SECONDS = 0.1
"""With less, a server would do little else; a test may want as little as this."""
LONGEST_HEARTBEAT_SECONDS = 10
"""In a browser, 15 s of silence count as a broken connection."""
SHORTEST_IDLE_SECONDS = 1.0
"""In a few milliseconds no client can open a stream. Those of gRPC 1.85 then try again without a
pause, until they have used up all memory."""
REFUSED_PREFIX_BITS = {4: 8, 6: 16}
"""By IP version: a shorter prefix covers nearly all addresses, and no proxies can have it."""
NARROW_PREFIX_BITS = {4: 24, 6: 64}
"""By IP version: a shorter prefix is probably a mistake."""

# Reconnects.

SPREAD_SECONDS = 2.0
"""Over how long clients reconnect, where nothing else is known."""
SPREAD_WITHOUT_GRACE_SECONDS = 5.0
"""The longest spread after a drain, where no reserved seat sets one."""
CLIENT_PATIENCE = 1.5
"""Clients wait up to this many times as long as `retry-after-ms` says."""

# Start and stop.

HEALTH_REPORT_SECONDS = 0.5
"""How often health checks learn whether rooms can be entered."""
TOKENLESS_STOP_SECONDS = 1.0
"""How long a stop waits for streams that need no token: one that is not read never ends."""
LAST_STATUSES_SECONDS = 1.0
"""How long a stop waits for statuses to be written, when handing off has taken all the time."""

# Reading metrics.

METRICS_SECONDS = 5.0
"""How long a node may take to answer with its metrics."""

# grpc-web.

GRPC_WEB_TRAILERS = 0x80
"""Marks the trailers among the messages."""

# The command line.

INTERRUPTED_STATUS = 130
"""The exit status after Ctrl-C: what shells report for it."""
