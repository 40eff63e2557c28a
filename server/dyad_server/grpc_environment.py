"""The environment that gRPC needs, and the signals that stop a server.

Import this module before gRPC, which reads GRPC_EXPERIMENTS when it is imported.

gRPC's new listener costs more here: without it, a call takes 16 % less CPU and a frame 23 %
less (grpcio 1.85). gRPC is about to remove such experiments one by one. A version that does
not know this one logs "Unknown experiment" when it starts, and is slower; nothing else
changes. `tests/unit/grpc_api/test_options.py` notices it: then delete this setting, and
measure again with `make bench ONLY=dyad`.
"""

import os
import signal

# A value set by the user stays.
os.environ.setdefault("GRPC_EXPERIMENTS", "-event_engine_listener")


def stopping_signals() -> list[signal.Signals]:
    """The signals that drain a server: SIGTERM, SIGINT, and SIGHUP unless `nohup` ignores it."""
    ended_by = [signal.SIGTERM, signal.SIGINT]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        ended_by.append(signal.SIGHUP)
    return ended_by
