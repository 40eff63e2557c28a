"""A whole server: the service with health, reflection and metrics; starts, drains, stops."""

from dyad_server import grpc_environment  # noqa: F401  # isort: skip - before grpc is imported

import asyncio
import contextlib
import errno
import functools
import multiprocessing
import signal
from collections.abc import Callable, Sequence
from typing import Any

import grpc

from dyad_server import bounds
from dyad_server.auth.bounds import KEYS_PATIENCE_SECONDS
from dyad_server.composition import Dyad
from dyad_server.config import Config
from dyad_server.errors import ConfigError
from dyad_server.grpc_api import health
from dyad_server.grpc_api.acceptor import make_server
from dyad_server.grpc_api.aio import AioServer
from dyad_server.grpc_api.client_address import Origin
from dyad_server.grpc_api.connections import AddressBound
from dyad_server.grpc_api.health import Health
from dyad_server.grpc_api.options import grpc_options
from dyad_server.grpc_api.rpc_server import RpcServer
from dyad_server.grpc_api.servicer import SERVICE
from dyad_server.grpc_api.tls import Certificates, TlsFiles, expiry_warning, read_tls_files
from dyad_server.grpc_environment import DEBUG_SIGNAL, LEVEL_SIGNAL, RELOAD_SIGNAL, STOP_SIGNALS
from dyad_server.log_line import Line
from dyad_server.ops.collectors import versions
from dyad_server.ops.heap import glibc_heap, keep_trimmed
from dyad_server.ops.logs import log, set_level
from dyad_server.ops.metrics_http import MetricsServer, pages_of_a_server
from dyad_server.ops.reload import Reloader, Watched
from dyad_server.port_trial import try_port

MakeRpcServer = Callable[[Sequence[tuple[str, int]]], RpcServer]
"""Makes a server with these channel arguments."""

AddServices = Callable[[grpc.aio.Server], None]
"""Adds services of the caller's own to a server that has not started."""


class Server:
    """A whole server: the service and health, with reflection and metrics if configured.

    Attributes:
        dyad: the service.
        port: the port that it listens on, once it has started.
    """

    def __init__(
        self,
        config: Config,
        *,
        interceptors: Sequence[grpc.aio.ServerInterceptor] = (),
        add_services: AddServices | None = None,
        make_rpc_server: MakeRpcServer | None = None,
        for_proxy: str = "",
    ) -> None:
        """Make a server; see `embedding.serving`.

        `make_rpc_server` makes what serves RPCs, without interceptors and services of the
        caller's own; None: `grpc.aio` does. `for_proxy` is an address to listen on too, without
        TLS.

        Raises:
            ConfigError: the key is unfit, or a service was added twice.
        """
        self._config = config
        self._for_proxy = for_proxy
        self._has_others = add_services is not None
        if make_rpc_server is None:
            server = make_server(grpc_options(config), interceptors)
            if add_services is not None:
                add_services(server)
            self._server: RpcServer = AioServer(server)
        else:
            self._server = make_rpc_server(grpc_options(config))
        self._origin = Origin(config.proxies(), unix=config.trusts_unix(), hops=config.trusted_hops)
        self._health = Health(SERVICE, self._origin)
        self.dyad = Dyad(config)
        for methods in (self._health.methods, self.dyad.servicer.methods):
            self._server.add(methods)
        if config.reflection:
            from dyad_server.grpc_api.reflection import Reflection  # noqa: PLC0415 - few need it

            self._server.add(Reflection(self._server.services, self._origin).methods)
        self._metrics = MetricsServer(pages_of_a_server(self.dyad.metrics.registry, self.not_ready))
        self._certificates = Certificates()
        self._reloader = Reloader()
        self._reloader.watch(*self.dyad.watched)
        metrics = self.dyad.metrics
        metrics.watch_files(self._reloader)
        if config.tls_cert:
            metrics.watch_certificate(lambda: self._certificates.expires)
        self._engine = "redis" if config.shares_redis else "memory"
        metrics.describe(type(self._server).__name__, self._engine, config.numbers())
        self.port = 0
        self._started = self._stopping = False
        self._beside: list[asyncio.Task[None]] = []

    @property
    def ready(self) -> bool:
        """Whether rooms can be entered now."""
        return not self.not_ready()

    def not_ready(self) -> list[str]:
        """Why rooms cannot be entered now; empty if they can."""
        if self._stopping:
            return ["the server is draining"]
        reasons = [] if self._started else ["the server is starting"]
        if not self.dyad.has_keys:
            reasons.append("there are no keys to check tokens with")
        if not self.dyad.hub.ready:
            reasons.append("Redis is out of reach, or this node has just reached it")
        return reasons

    async def start(self) -> None:
        """Listen; health checks of the service see SERVING once there are keys.

        Raises:
            ConfigError: the port is taken, or TLS files are unfit.
        """
        for warning in self._config.warnings():
            log.warning("%s", warning)
        async with contextlib.AsyncExitStack() as undo:
            undo.callback(self.dyad.stop_keys)
            undo.push_async_callback(self._metrics.stop)
            await self._listen()
            await self.dyad.start()
            undo.push_async_callback(self.dyad.stop)
            await self._server.start()
            undo.push_async_callback(self._server.stop, None)
            self._health.tell(health.WHOLE_SERVER, serving=True)
            # A health check right after the start should see the truth.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(KEYS_PATIENCE_SECONDS):
                    await self.dyad.ready.wait()
            undo.pop_all()
        self._started = True
        self._say_health()
        most = self._config.max_connections_per_address
        clock = self.dyad.hub.clock
        bound = AddressBound(self._origin, self.port, most, clock)
        self._beside = [
            asyncio.create_task(self._report(), name="dyad-health"),
            asyncio.create_task(bound.keep(), name="dyad-connections"),
            asyncio.create_task(self._reloader.keep(), name="dyad-reload"),
            asyncio.create_task(self.dyad.metrics.measure_lag(clock), name="dyad-lag"),
        ]
        if (heap := glibc_heap()) is not None:
            self._beside.append(asyncio.create_task(keep_trimmed(heap), name="dyad-heap"))
        log.info(self._summary())

    def _summary(self) -> Line:
        config = self._config
        return Line(
            "listening",
            address=f"{config.bracketed_host()}:{self.port}",
            tls=bool(config.tls_cert),
            rpc=type(self._server).__name__,
            **versions(),
            engine=self._engine,
            node=self.dyad.hub.node or None,
            redis_prefix=config.redis_prefix if config.shares_redis else None,
            keys=config.key_source,
            **config.changed_numbers(),
        )

    async def _listen(self) -> None:
        config = self._config
        address = f"{config.bracketed_host()}:{config.port}"
        # gRPC finds that out too, but then it writes lines of its own. Workers share the port.
        if config.workers == 1:
            obstacle = try_port(config.host.strip("[]"), config.port)
            if obstacle is not None and obstacle.errno == errno.EADDRINUSE:
                raise ConfigError(
                    f"Cannot listen on {address}: the port is taken. --port names another."
                )
        self.port = self._bind(address, self._credentials())
        if self._for_proxy:
            self._bind(self._for_proxy, None)
        if config.metrics_port:
            # `ops.workers` has reserved a port for each worker.
            shared = config.workers > 1
            await self._metrics.start(config.metrics_host, config.metrics_port, shared=shared)

    def _bind(self, address: str, credentials: grpc.ServerCredentials | None) -> int:
        try:
            return self._server.listen(address, credentials)
        except RuntimeError:
            raise ConfigError(
                f"Cannot listen on {address}: the port is taken or the address is not this host's."
            ) from None

    def _credentials(self) -> grpc.ServerCredentials | None:
        config = self._config
        if not config.tls_cert:
            return None
        read = functools.partial(read_tls_files, config)
        self._reloader.watch(Watched("certificate", read, self._use_certificate))
        return self._certificates.credentials(require_clients=bool(config.tls_client_ca))

    def _use_certificate(self, files: TlsFiles) -> None:
        self._certificates.use(files)
        if warning := expiry_warning(files, self.dyad.hub.clock.unix_time()):
            log.warning("%s", warning)

    def watch(self, watched: Watched[Any]) -> None:
        """Read these files again too, when they change and on `reload`."""
        self._reloader.watch(watched)

    def reload(self) -> None:
        """Read keys and certificates again, without waiting for it; the log says what changed.

        Changed files are also noticed without this, within a few seconds.
        """
        log.info("reloading")
        self.dyad.fetch_keys()
        self._reloader.look_now()

    async def stop(self) -> None:
        """Tell health checks and clients, wait until streams end, stop."""
        self._stopping = True
        log.info(Line("draining", participants=len(self.dyad.hub)))
        for task in self._beside:
            task.cancel()
        await asyncio.gather(*self._beside, return_exceptions=True)
        self._health.finish()
        clock = self.dyad.hub.clock
        deadline = clock.monotonic() + self._config.drain_timeout
        await self.dyad.drain()
        left = deadline - clock.monotonic()
        await self._let_streams_end(max(bounds.LAST_STATUSES_SECONDS, left))
        await self._metrics.stop()
        await self.dyad.stop()

    async def _let_streams_end(self, seconds: float) -> None:
        """Wait for the streams of participants, at most `seconds`; for others only a moment.

        Streams that need no token are not worth waiting for: if its client does not
        read, such a stream never ends by itself. The caller's own services have all of
        the drain's time.
        """
        stopping = asyncio.create_task(self._server.stop(seconds))
        empty = asyncio.create_task(self.dyad.hub.registry.empty.wait())
        await asyncio.wait({stopping, empty}, return_when=asyncio.FIRST_COMPLETED)
        empty.cancel()
        if not self._has_others:
            await self._server.stop(min(bounds.TOKENLESS_STOP_SECONDS, seconds))
        await stopping

    async def _report(self) -> None:
        while True:
            await asyncio.sleep(bounds.HEALTH_REPORT_SECONDS)
            self._say_health()

    def _say_health(self) -> None:
        """Tell health checks of the service whether rooms can be entered now."""
        self._health.tell(SERVICE, serving=self.ready)

    async def run(self, stopping: asyncio.Event | None = None) -> None:
        """Serve until one of `STOP_SIGNALS`, then stop; other signals reload, or change the log.

        Args:
            stopping: is set by those signals; whoever sets it stops the server too.

        Raises:
            ConfigError: see `start`.
        """
        stopping = stopping or asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in STOP_SIGNALS:
            loop.add_signal_handler(number, stopping.set)
        loop.add_signal_handler(RELOAD_SIGNAL, self.reload)
        loop.add_signal_handler(DEBUG_SIGNAL, set_level, "debug")
        loop.add_signal_handler(LEVEL_SIGNAL, set_level, self._config.log_level)
        # A worker begins with them blocked: see `ops.workers`.
        unblocked = (RELOAD_SIGNAL, DEBUG_SIGNAL, LEVEL_SIGNAL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, unblocked)
        supervisor = multiprocessing.parent_process()
        if supervisor is not None:
            # A worker stops with the supervisor, which would have drained it.
            loop.add_reader(supervisor.sentinel, stopping.set)
        await self.start()
        await stopping.wait()
        await self.stop()
