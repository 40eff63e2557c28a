"""The composition root: builds a server, starts it, drains it, stops it."""

from dyad_server import runtime  # isort: skip - before grpc is imported

import asyncio
import contextlib
import logging
import multiprocessing
import time
from types import ModuleType
from typing import NoReturn

import grpc

from dyad_server import draining, health, servicer
from dyad_server.acceptor import make_server
from dyad_server.auth import Verifier
from dyad_server.broker_memory import MemoryBroker
from dyad_server.config import Config
from dyad_server.draining import Drained
from dyad_server.errors import ConfigError
from dyad_server.health import Health
from dyad_server.hub import Hub
from dyad_server.jwks import PATIENCE_SECONDS, Jwks
from dyad_server.keys import Keys, OneKey, public_key, secret_key
from dyad_server.limits import Limits
from dyad_server.logs import LogObserver, log
from dyad_server.metrics import MetricsObserver
from dyad_server.metrics_http import MetricsServer
from dyad_server.observer import Observers
from dyad_server.origin import Origin
from dyad_server.reflection import Reflection
from dyad_server.runtime import stopping_signals
from dyad_server.servicer import SERVICE, SignalingServicer, Terms
from dyad_server.tls import server_credentials

__all__ = ["Dyad", "Server", "add_to_server", "grpc_options", "runtime"]

_METADATA_BYTES = 16384
# A replay of all that may stand unacknowledged fits into one message.
_MESSAGE_BYTES = 524288
_FRAMES_A_MESSAGE = 4
_REPORT_SECONDS = 0.5
_OTHERS_SECONDS = 1.0
# For the statuses to be written, also where the hand-over took all the time there was.
_LAST_WORDS_SECONDS = 1.0


class Dyad:
    """Dyad on a `grpc.aio.Server`: what `add_to_server` returns.

    Attributes:
        hub: the participants here; `len(dyad.hub)` says how many.
        metrics: counts, in `metrics.registry`.
        ready: set once there are keys to check tokens with; unset at first
            only where they are fetched.
    """

    def __init__(self, config: Config) -> None:
        self.ready = asyncio.Event()
        self._keeping: asyncio.Task[NoReturn] | None = None
        self._drain_timeout = config.drain_timeout
        verifier = Verifier(
            self._keys(config),
            issuer=config.jwt_issuer,
            audience=config.jwt_audience,
            token_bytes=config.max_token_bytes,
        )
        self.metrics = MetricsObserver()
        several = _several_nodes() if config.redis else None
        broker = several.broker(config.redis) if several else MemoryBroker()
        limits = Limits(
            join_timeout=config.join_timeout,
            lone_timeout=config.lone_timeout,
            resume_grace=config.resume_grace,
            drain_spread=config.spread(),
            waiting_bytes=config.max_waiting_bytes,
            waiting_frames=config.max_waiting_frames,
            frames_per_second=config.max_frames_per_second,
            bytes_per_second=config.max_bytes_per_second,
            streams=config.max_streams,
            streams_per_user=config.max_streams_per_user,
            streams_per_address=config.max_streams_per_address,
        )
        self._observers = Observers((self.metrics, LogObserver()))
        self.hub = Hub(broker, limits, self._observers)
        self.servicer = SignalingServicer(
            self.hub,
            verifier,
            Origin(config.proxies(), unix=config.trusts_unix(), hops=config.trusted_hops),
            Terms(
                config.max_frame_bytes,
                config.write_timeout,
                config.heartbeat,
                config.lease,
                config.max_bytes_per_second,
                limits.frames_at_once,
                limits.calls_per_user,
            ),
        )
        self._fleet = (
            several.join(self.hub, self.servicer, broker, config.resume_grace) if several else None
        )

    async def start(self) -> None:
        """Reach the engine, where one is configured; before the server starts.

        Raises:
            ConfigError: it is not there, or is not fit.
        """
        await self.hub.start()

    async def stop(self) -> None:
        """Let go of the engine; after the server stopped."""
        if self._fleet is not None:
            await self._fleet.finish()
        await self.hub.stop()

    async def drain(self) -> Drained:
        """End every call with UNAVAILABLE and take no more; then stop the server.

        Where there are other nodes, the seats of those who may resume are handed
        over to them, within `drain_timeout`.

        Returns:
            How many were handed over, and how many were not.
        """
        began = time.monotonic()
        drained = await draining.drain(self.hub, self._observers, self._drain_timeout)
        if self._keeping is not None:
            self._keeping.cancel()
        log.log(
            logging.WARNING if drained.lost else logging.INFO,
            "drained handed_over=%d lost=%d ended=%d seconds=%.1f",
            drained.handed_over,
            drained.lost,
            drained.ended,
            time.monotonic() - began,
        )
        return drained

    def _keys(self, config: Config) -> Keys:
        if config.jwt_jwks_url:
            jwks = Jwks(config.jwt_jwks_url, timeout=config.jwks_timeout)
            self.ready = jwks.ready
            self._keeping = asyncio.get_running_loop().create_task(jwks.keep(), name="dyad-keys")
            return jwks
        self.ready.set()
        if config.jwt_secret:
            return OneKey(secret_key(config.jwt_secret))
        return OneKey(public_key(config.public_key_pem()))


def _several_nodes() -> ModuleType:
    try:
        from dyad_server import several_nodes  # noqa: PLC0415 - its dependencies are an extra's
    except ModuleNotFoundError as error:
        raise ConfigError(
            "--redis needs more: in the checkout, pip install '.[server,redis]'."
        ) from error
    return several_nodes


def add_to_server(server: grpc.aio.Server, config: Config) -> Dyad:
    """Add Dyad to an existing server; call it in the loop that runs it.

    Args:
        server: not started yet; made with `grpc_options(config)`, so that
            limits and keepalive hold.
        config: its host, port, TLS, reflection and log settings are yours to
            act on; all others take effect.

    Returns:
        What to `drain` before the server stops.

    Raises:
        ConfigError: the key is not fit.
    """
    dyad = Dyad(config)
    servicer.add(dyad.servicer, server)
    return dyad


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
        ("grpc.max_concurrent_streams", 2 * config.max_streams),
        # Equal, or what lies between is refused at random.
        ("grpc.max_metadata_size", _METADATA_BYTES),
        ("grpc.absolute_max_metadata_size", _METADATA_BYTES),
        # Measured, it opens windows of megabytes, for clients without a token too.
        ("grpc.http2.bdp_probe", 0),
        ("grpc.keepalive_time_ms", int(config.keepalive_time * 1000)),
        # Either alone does not do it.
        ("grpc.keepalive_timeout_ms", int(config.keepalive_timeout * 1000)),
        ("grpc.http2.ping_timeout_ms", int(config.keepalive_timeout * 1000)),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.http2.min_ping_interval_without_data_ms", 1000),
    ]


class Server:
    """A whole server: Dyad, health and, if asked for, reflection, on one port."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._server = make_server(grpc_options(config))
        self.dyad = add_to_server(self._server, config)
        self._metrics = MetricsServer(self.dyad.metrics.registry)
        origin = Origin(config.proxies())
        self._health = Health(SERVICE, origin)
        self._health.add(self._server)
        if config.reflection:
            Reflection((SERVICE, health.SERVICE), origin).add(self._server)
        self.port = 0
        self._reporting: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listen, and say SERVING to health checks of the service once there are keys.

        Raises:
            ConfigError: the port is taken, or TLS files are not fit.
        """
        config = self._config
        for warning in config.warnings():
            log.warning("%s", warning)
        host = f"[{config.host}]" if ":" in config.host.strip("[]") else config.host
        address = f"{host}:{config.port}"
        try:
            self.port = (
                self._server.add_secure_port(address, server_credentials(config))
                if config.tls_cert
                else self._server.add_insecure_port(address)
            )
        except RuntimeError:
            raise ConfigError(
                f"Cannot listen on {address}: the port is taken or the address is not this host's."
            ) from None
        if config.metrics_port:
            try:
                await self._metrics.start(config.metrics_host, config.metrics_port)
            except OSError:
                raise ConfigError(
                    f"Cannot serve metrics on {config.metrics_host}:{config.metrics_port}: "
                    "the port is taken or the address is not this host's."
                ) from None
        await self.dyad.start()
        await self._server.start()
        self._health.tell(health.WHOLE_SERVER, serving=True)
        # Whoever looks right after the start should see what is so.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self.dyad.ready.wait()
        self._say_health()
        self._reporting = asyncio.create_task(self._report(), name="dyad-health")
        log.info("listening address=%s:%d tls=%s", host, self.port, bool(config.tls_cert))

    async def stop(self) -> None:
        """Say so to health checks and clients, wait for calls to end, stop."""
        log.info("draining participants=%d", len(self.dyad.hub))
        if self._reporting is not None:
            self._reporting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._reporting
        self._health.finish()
        began = time.monotonic()
        await self.dyad.drain()
        left = self._config.drain_timeout - (time.monotonic() - began)
        await self._let_calls_end(max(_LAST_WORDS_SECONDS, left))
        await self._metrics.stop()
        await self.dyad.stop()

    async def _let_calls_end(self, seconds: float) -> None:
        """Wait for the participants' calls, at most so long, and for others only a moment.

        Calls that need no token are not worth waiting for, and one whose client
        does not read never ends by itself.
        """
        stopping = asyncio.create_task(self._server.stop(seconds))
        empty = asyncio.create_task(self.dyad.hub.roster.empty.wait())
        await asyncio.wait({stopping, empty}, return_when=asyncio.FIRST_COMPLETED)
        empty.cancel()
        await self._server.stop(min(_OTHERS_SECONDS, seconds))
        await stopping

    async def _report(self) -> None:
        while True:
            await asyncio.sleep(_REPORT_SECONDS)
            self._say_health()

    def _say_health(self) -> None:
        """Tell health checks of the service whether rooms can be entered here now."""
        ready = self.dyad.ready.is_set() and self.dyad.hub.ready
        self._health.tell(SERVICE, serving=ready)

    async def run(self) -> None:
        """Serve until one of `runtime.stopping_signals`, then stop.

        Raises:
            ConfigError: as `start`.
        """
        stopping = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in stopping_signals():
            loop.add_signal_handler(number, stopping.set)
        supervisor = multiprocessing.parent_process()
        if supervisor is not None:
            # A worker does not outlive who would drain it.
            loop.add_reader(supervisor.sentinel, stopping.set)
        await self.start()
        await stopping.wait()
        await self.stop()
