"""Dyad in a program of your own: `serving`."""

from dyad_server import grpc_environment  # noqa: F401  # isort: skip - before grpc is imported

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import grpc
from prometheus_client import CollectorRegistry

from dyad_server.config import Config
from dyad_server.server import AddServices, Server


class RunningServer:
    """A server that `serving` has started."""

    def __init__(self, server: Server) -> None:
        self._server = server

    @property
    def port(self) -> int:
        """The port that it listens on; the one that was picked where `Config.port` is 0."""
        return self._server.port

    @property
    def ready(self) -> bool:
        """Whether it lets participants in now: it has keys, and its engine is in reach."""
        return self._server.ready

    @property
    def participants(self) -> int:
        """How many participants there are, those who may come back included."""
        return len(self._server.dyad.hub)

    @property
    def metrics(self) -> CollectorRegistry:
        """Dyad's counts, for your own Prometheus endpoint."""
        return self._server.dyad.metrics.registry


@asynccontextmanager
async def serving(
    config: Config,
    *,
    interceptors: Sequence[grpc.aio.ServerInterceptor] = (),
    add_services: AddServices | None = None,
) -> AsyncIterator[RunningServer]:
    """Serve calls in the running loop while the context lasts, then drain and stop.

    The server is Dyad's own: it listens on `config.host` and `config.port`, and
    serves `dyad.v1.Signaling` and `grpc.health.v1.Health`. Signals and logging
    are the program's. Leaving the context tells every participant to come back
    elsewhere, and waits for calls to end, `config.drain_timeout` at the most.

    Args:
        config: how it runs, except for `workers` and `log_level`.
        interceptors: gRPC's; they see every call, Dyad's own too.
        add_services: is given the server, not started yet, to add your services to.

    Yields:
        The running server.

    Raises:
        ConfigError: it cannot start like this: the key is not fit, the port is
            taken, a service is there twice.
    """
    server = Server(config, interceptors=interceptors, add_services=add_services)
    await server.start()
    try:
        yield RunningServer(server)
    finally:
        await server.stop()
