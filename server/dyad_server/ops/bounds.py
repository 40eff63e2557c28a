"""The bounds of `ops`: workers, and the server of the metrics."""

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
