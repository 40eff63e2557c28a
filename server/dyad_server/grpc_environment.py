"""The environment that gRPC needs, and the signals that a server reacts to.

Import this module before gRPC, which reads these variables when it is imported.

gRPC's new listener costs more here: without it, a call takes 16 % less CPU and a frame 23 %
less (grpcio 1.85). gRPC is about to remove such experiments one by one. A version that does
not know this one logs "Unknown experiment" when it starts, and is slower; nothing else
changes. `tests/unit/grpc_api/test_options.py` notices it: then delete this setting, and
measure again with `make bench ONLY=dyad`.
"""

import os
import signal

# Values set by the user stay.
# By default, gRPC writes a line for each TLS handshake that fails: anybody could fill the log.
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
os.environ.setdefault("GRPC_EXPERIMENTS", "-event_engine_listener")

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
"""They drain a server, then end it."""
RELOAD_SIGNAL = signal.SIGHUP
"""It lets a server read its keys and certificates again."""
DEBUG_SIGNAL = signal.SIGUSR1
"""It sets the log level to `debug`."""
LEVEL_SIGNAL = signal.SIGUSR2
"""It sets the log level to that of the settings."""
