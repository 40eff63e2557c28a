"""What must be set before grpc is imported: import this module first."""

import os

# A third less CPU a frame with grpcio 1.85. Left alone where the user set it.
os.environ.setdefault("GRPC_EXPERIMENTS", "-event_engine_listener")
