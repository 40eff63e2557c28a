"""The bounds of `ops`: workers, the server of the metrics, logs, traces."""

EARLY_END_SECONDS = 5.0
"""A worker that ends this soon has failed to start."""
EARLY_ENDS = 5
"""After so many failed starts in a row, the supervisor gives up."""
KILL_SECONDS = 5.0
"""How long after `--drain-timeout` a worker is killed; it may still write statuses by then."""

METRICS_CONNECTIONS = 16
"""At one time: more than any monitoring opens. The oldest gives way."""
METRICS_REQUEST_BYTES = 8192
"""The largest head of a request."""
METRICS_SECONDS = 5.0
"""How long a connection may last; it carries one request."""
WORKER_ANSWER_SECONDS = 2.0
"""How long a worker may take to answer its supervisor: shorter than a connection lasts."""

RELOAD_SECONDS = 2.0
"""How often the files of keys and certificates are read: two looks agree before a change counts."""

TRIM_SECONDS = 1.0
"""How often the heap is looked at."""
TRIM_BYTES = 8 * 1024 * 1024
"""So much growth, and so much free memory, are worth a trim: it takes 40 ms for 600 MiB."""

# Logs and metrics.

LOG_KEY_BYTES = 16
"""Of the key with which users and rooms are hashed."""
LOG_HASH_BYTES = 4
"""Of such a hash: enough to tell the users of a node apart."""
LAG_SECONDS = 0.5
"""How often the lag of the event loop is measured."""
STALL_SECONDS = 2.0
"""A lag that the log tells: Redis and peers seem to be away after it."""
PEER_WAITS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
"""Seconds that a participant may be alone: the buckets in which these are counted."""
STREAM_LIVES = (1, 5, 15, 60, 300, 900, 1800, 3600, 7200, 14400)
"""The same for how long a stream lasts."""
LAGS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
"""The same for the lag of the event loop."""

# Traces.

MEMBER_HASH_BYTES = 8
"""Of the hash by which the two ends of a call, perhaps on two nodes, are found in traces."""
EXPORT_LINE_SECONDS = 60.0
"""At most one log line in this time says that the collector does not take the spans."""
EXPORT_STOP_SECONDS = 2.0
"""How long a server that stops waits until the collector has the last spans."""
