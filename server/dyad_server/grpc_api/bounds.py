"""The bounds of `grpc_api`: messages, requests without a token, network connections."""

# Messages.

METADATA_BYTES = 16384
"""Of a request: the largest token and the headers of proxies fit."""
MESSAGE_BYTES = 524288
"""The largest message: all frames that may be unacknowledged fit into one."""
FRAMES_A_MESSAGE = 4
"""At least so many frames of the largest size fit into a message."""
ENCODINGS = 4096
"""Encoded senders and numbers that are kept, for the frames to come."""
ROOM_ID_CHARACTERS = 36
"""The length of a UUID."""
FIRST_MESSAGE_SECONDS = 5.0
"""How long a `Listen` or `Send` may take from its headers to its message."""
RETRY_AFTER_MS = 200
"""The least that a client waits before it reconnects, so that its tries are few."""

# The address of a client.

SUBSCRIBER_BITS = 64
"""The part of an IPv6 address that belongs to one subscriber."""
FORWARDED_FOR_CHARACTERS = 80
"""An entry of `x-forwarded-for`: more than any address and port has."""

# Requests without a token.

HEALTH_MESSAGE_SECONDS = 1.0
"""How long a health check may take from its headers to its message."""
HEALTH_CHECKS = 1000
"""`Check` requests at one time: each ends within `HEALTH_MESSAGE_SECONDS`."""
HEALTH_CHECKS_PER_ADDRESS = 50
"""Of one address: more than any load balancer has under way."""
HEALTH_WATCHES = 200
"""`Watch` streams at one time, which last."""
HEALTH_WATCHES_PER_ADDRESS = 20
"""Of one address."""
REFLECTION_STREAMS = 50
"""Streams at one time: people use them, not programs."""
REFLECTION_STREAMS_PER_ADDRESS = 10
"""Of one address."""
REFLECTION_MESSAGE_SECONDS = 5.0
"""How long a reflection stream may be silent."""
REFLECTION_REQUEST_BYTES = 1024
"""The largest request, because an answer repeats its request."""
WAITING_REQUESTS = 100
"""Requests of one method that wait for the event loop. Others end with CANCELLED, after which the
clients here try again.

The server begins about 1,000 requests a second, so the wait is short. gRPC's default is 3,000.
With 1,000 or more, a flood without tokens delays every `Send` for seconds. With 3,000, it also
takes 100 MiB for each method. The price: when 1,500 clients reconnect at once, the last is back
after 3 to 4 s instead of 2.5 s, with the same CPU.
"""
PING_INTERVAL_MS = 1000
"""The least time between two pings of a client without streams: proxies ping every 30 s."""

# Network connections.

RESERVED_DESCRIPTORS = 100
"""File descriptors for Redis, keys, metrics, files and gRPC itself."""
LOOK_PAUSE_SECONDS = 0.25
"""The least pause between two checks of all connections."""
LOOK_PAUSE_RATIO = 50
"""A pause is so many times as long as the check: checks take at most 2 % of the time.

A check of 10,000 descriptors takes 100 ms of CPU.
"""
LOOK_SELDOM_SECONDS = 10.0
"""The pause between checks while no address can have exceeded its bound."""

CERTIFICATE_SECONDS = 7 * 24 * 3600
"""How long before its certificate expires the server warns. Programs that renew certificates do
so weeks before, so it must have failed several times by then.
"""

TRACE_STATE_CHARACTERS = 512
"""The longest `tracestate` that is passed on: what W3C asks for at least."""
