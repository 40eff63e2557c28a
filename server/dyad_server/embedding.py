"""The server in a program of your own: `serving`."""

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
        """The port that it listens on; a free one if `Config.port` is 0."""
        return self._server.port

    @property
    def ready(self) -> bool:
        """Whether participants can join now: it has keys, and its engine can be reached."""
        return self._server.ready

    @property
    def participants(self) -> int:
        """How many participants there are, including those with reserved seats."""
        return len(self._server.dyad.hub)

    @property
    def metrics(self) -> CollectorRegistry:
        """Its metrics, for your own Prometheus endpoint."""
        return self._server.dyad.metrics.registry


@asynccontextmanager
async def serving(
    config: Config,
    *,
    interceptors: Sequence[grpc.aio.ServerInterceptor] = (),
    add_services: AddServices | None = None,
) -> AsyncIterator[RunningServer]:
    """Serve in the running loop while the context lasts, then drain and stop.

    The server listens on `config.host` and `config.port`, and serves
    `dyad.v1.Signaling` and `grpc.health.v1.Health`. Signals and logging belong to your
    program. Leaving the context tells every participant to reconnect elsewhere, and
    waits until streams end, at most `config.drain_timeout`.

    Args:
        config: the settings; `workers`, `web_port`, `log_level` and `log_format` have no effect.
        interceptors: gRPC's; they see every stream and request, Dyad's too.
        add_services: adds your services to the server, which has not started yet.

    Yields:
        The running server.

    Raises:
        ConfigError: the server cannot start: the key is unfit, the port is taken, or
            a service was added twice.
    """
    server = Server(config, interceptors=interceptors, add_services=add_services)
    await server.start()
    try:
        yield RunningServer(server)
    finally:
        await server.stop()
