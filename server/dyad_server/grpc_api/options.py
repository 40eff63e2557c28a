"""What Dyad asks of gRPC: limits, keepalive, connections."""

from dyad_server.config import Config
from dyad_server.grpc_api.connections import room

_METADATA_BYTES = 16384
# A replay of all that may stand unacknowledged fits into one message.
_MESSAGE_BYTES = 524288
_FRAMES_A_MESSAGE = 4
# Of a channel argument.
_LARGEST = 2**31 - 1
# Calls of one method that wait for the loop. gRPC's own bound is 3,000, which an attacker
# without a token can turn into 100 MiB a method. Past it a call ends with CANCELLED, at
# which every client here tries again.
_WAITING_CALLS = 1000


def grpc_options(config: Config) -> list[tuple[str, int]]:
    """The channel arguments that Dyad's limits and keepalive need."""
    return [
        # On by default, and then a second server steals half the calls.
        ("grpc.so_reuseport", int(config.workers > 1)),
        (
            "grpc.max_receive_message_length",
            max(_MESSAGE_BYTES, _FRAMES_A_MESSAGE * config.max_frame_bytes),
        ),
        # Against abuse only: past it a caller waits without a word. All the streams
        # that there may be can come over one connection, a proxy's, each with a `Send`.
        ("grpc.max_concurrent_streams", min(2 * config.max_streams, _LARGEST)),
        ("grpc.server.max_pending_requests", _WAITING_CALLS),
        ("grpc.server.max_pending_requests_hard_limit", _WAITING_CALLS),
        # Equal, or what lies between is refused at random.
        ("grpc.max_metadata_size", _METADATA_BYTES),
        ("grpc.absolute_max_metadata_size", _METADATA_BYTES),
        # Measured, it opens windows of megabytes, for clients without a token too.
        ("grpc.http2.bdp_probe", 0),
        # Else a client without a token fills the process with connections.
        ("grpc.max_allowed_incoming_connections", room()),
        ("grpc.max_connection_idle_ms", int(config.idle_timeout * 1000)),
        ("grpc.server_handshake_timeout_ms", int(config.handshake_timeout * 1000)),
        ("grpc.keepalive_time_ms", int(config.keepalive_time * 1000)),
        # Either alone does not do it.
        ("grpc.keepalive_timeout_ms", int(config.keepalive_timeout * 1000)),
        ("grpc.http2.ping_timeout_ms", int(config.keepalive_timeout * 1000)),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.http2.min_ping_interval_without_data_ms", 1000),
    ]
