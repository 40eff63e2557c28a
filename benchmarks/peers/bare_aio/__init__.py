"""A bare relay on grpc.aio: what Dyad's transport costs before any rule."""
