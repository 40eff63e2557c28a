"""The bounds of `core`. What an operator may want to change is a setting: see `limits`."""

# Rates and quotas.

BURST_SECONDS = 5
"""A user may send this many seconds of its rate at once."""
REQUESTS_PER_STREAM = 4
"""A user has one `Send` under way for each stream; others may still be on their way."""
OPENS_PER_STREAM = 2
"""All streams of a user may break at once, reconnect, and break again."""
OPENS_AT_ONCE = 10
"""Even where a user may have few streams, a stream may break again and again."""
USERS_PER_STREAM = 2
"""The rates of a user are remembered for some time after its last stream."""
KEYS_FORGOTTEN_AT_ONCE = 2
"""Two for each new key: the table of a throttle shrinks, and no check takes long."""

# Sessions.

ACK_FRAMES = 32
"""Each side acknowledges after this many frames at the latest; see docs/protocol.md."""
ACK_BYTES = 32 * 1024
"""The same in bytes."""
FORWARDED_BYTES = 192
"""Memory of a frame that waits, without its payload; 168 measured with CPython 3.11."""
TOLD_BYTES = 512
"""Memory of any other output that waits; 260 to 480 measured with CPython 3.11."""
ID_BYTES = 24
"""Session and member ids: too many to guess, and each is used once."""
STREAM_ID_BYTES = 8
"""An id that a user may read to support: short, and different for all streams in a log."""
RESUME_TOKEN_BYTES = 32
"""A resume token gives a seat away, so it is as long as a key."""

# Time.

HEARTBEAT_TICKS = 8
"""Ticks in a heartbeat interval; a heartbeat may be one tick late.

Heartbeats that are sent and answered together cost half as much: gRPC's threads wake
less often.
"""
CONNECTIONS_A_TURN = 100
"""Connections that a tick looks at in one turn, so that other work need not wait."""
TURN_PAUSE_SECONDS = 0.01
"""The pause until the next turn."""
EXPIRY_LOOK_SECONDS = 60.0
"""How often expiry is checked: an administrator may set the clock by which tokens expire."""

# Draining.

DRAIN_BATCH = 200
"""Participants in a batch: few enough that other work waits only milliseconds."""
HANG_UP_SECONDS = 1.5
"""How long a drain waits, in all, for hang-ups under way: a little longer than Redis may take."""
HANG_UP_PAUSE_SECONDS = 0.01
"""How often it looks whether they are answered."""
RECONNECTS_PER_SECOND = 1000
"""Clients that the next node can accept after a drain."""

# Metrics.

DELAYS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Seconds that a message or a round trip may take: the buckets in which these are counted."""
