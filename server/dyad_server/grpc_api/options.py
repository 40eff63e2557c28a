"""The gRPC options of the server: limits, keepalive, connections."""

from dyad_server.config import Config
from dyad_server.grpc_api import bounds
from dyad_server.grpc_api.connections import room


def grpc_options(config: Config) -> list[tuple[str, int]]:
    """The channel arguments for these settings."""
    return [
        # The default is on: then a second server on the port takes half of the clients.
        ("grpc.so_reuseport", int(config.workers > 1)),
        (
            "grpc.max_receive_message_length",
            max(bounds.MESSAGE_BYTES, bounds.FRAMES_A_MESSAGE * config.max_frame_bytes),
        ),
        # While a connection has data to read, gRPC writes no answer, and a stream keeps its
        # headers until it is answered: up to 30 KiB. gRPC counts streams that have just ended,
        # too, and resets one beyond the limit, so proxies should keep below it.
        ("grpc.max_concurrent_streams", config.max_streams_per_connection),
        ("grpc.server.max_pending_requests", bounds.WAITING_REQUESTS),
        ("grpc.server.max_pending_requests_hard_limit", bounds.WAITING_REQUESTS),
        # Both equal: metadata between the two limits is refused at random.
        ("grpc.max_metadata_size", bounds.METADATA_BYTES),
        ("grpc.absolute_max_metadata_size", bounds.METADATA_BYTES),
        # It would open windows of megabytes (measured), also for clients without a token.
        ("grpc.http2.bdp_probe", 0),
        # Otherwise a client without a token could use up all descriptors.
        ("grpc.max_allowed_incoming_connections", room()),
        ("grpc.max_connection_idle_ms", int(config.idle_timeout * 1000)),
        ("grpc.server_handshake_timeout_ms", int(config.handshake_timeout * 1000)),
        ("grpc.keepalive_time_ms", int(config.keepalive_time * 1000)),
        # Each of the two alone has no effect.
        ("grpc.keepalive_timeout_ms", int(config.keepalive_timeout * 1000)),
        ("grpc.http2.ping_timeout_ms", int(config.keepalive_timeout * 1000)),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.http2.min_ping_interval_without_data_ms", bounds.PING_INTERVAL_MS),
    ]
