"""The composition root: joins the engine, the hub, the keys and the service."""

from dyad_server import grpc_environment  # noqa: F401  # isort: skip - before grpc is imported

import asyncio
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from types import ModuleType
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from dyad_server.auth.jwks import Jwks
from dyad_server.auth.key_ring import KeyRing, NamedKey, public_keys, secret_keys
from dyad_server.auth.keys import Key, Keys
from dyad_server.auth.verifier import Verifier
from dyad_server.config import Config
from dyad_server.core import draining
from dyad_server.core.clock import Clock
from dyad_server.core.draining import Drained
from dyad_server.core.hub import Hub, MakeEngine
from dyad_server.core.limits import Limits
from dyad_server.core.participant import Participant
from dyad_server.core.ports import Observer, Observers
from dyad_server.engines.memory import in_memory
from dyad_server.errors import ConfigError, Ended, the_extra
from dyad_server.grpc_api.client_address import Origin
from dyad_server.grpc_api.inbound_messages import Inbound, Terms
from dyad_server.grpc_api.servicer import SignalingServicer
from dyad_server.grpc_api.status import STATUS
from dyad_server.log_line import Line
from dyad_server.ops.clock import LoopClock
from dyad_server.ops.collectors import versions
from dyad_server.ops.logs import LogObserver, log
from dyad_server.ops.metrics import MetricsObserver
from dyad_server.ops.pseudonyms import Pseudonyms
from dyad_server.ops.reload import Watched
from dyad_server.ops.trace_environment import asks_for_traces, problem

if TYPE_CHECKING:
    from dyad_server.ops.traces import TraceExport

T = TypeVar("T", Limits, Terms)


class Dyad:
    """The service: the hub, the keys, the engine.

    Attributes:
        hub: the participants of this process; `len(dyad.hub)` is their number.
        metrics: the metrics, in `metrics.registry`.
        ready: set once there are keys to check tokens with. Only keys from a URL
            take a while.
        watched: the files of the keys, if there are any.
    """

    def __init__(self, config: Config) -> None:
        self.ready = asyncio.Event()
        self.watched: list[Watched[Any]] = []
        self._jwks: Jwks | None = None
        self._keeping: asyncio.Task[NoReturn] | None = None
        self._drain_timeout = config.drain_timeout
        self._clock = LoopClock()
        self.metrics = MetricsObserver(_status_of)
        self._keys = self._make_keys(config)
        verifier = Verifier(
            self._keys,
            self._clock,
            issuer=config.jwt_issuer,
            audience=config.jwt_audience,
            token_bytes=config.max_token_bytes,
        )
        limits = _by_name(Limits, config, drain_spread=config.spread())
        terms = _by_name(
            Terms,
            config,
            frames_at_once=limits.frames_at_once,
            requests_per_user=limits.requests_per_user,
        )
        self._export = _trace_export(self._clock)
        self._observers = Observers(self.metrics, *self._log_and_traces())
        make_engine = _in_redis(config, terms, self._clock) if config.shares_redis else in_memory
        self.hub = Hub(make_engine, limits, self._observers, self._clock)
        self.metrics.watch(self.hub)
        self.servicer = SignalingServicer(
            self.hub,
            Inbound(self.hub, terms),
            verifier,
            Origin(config.proxies(), unix=config.trusts_unix(), hops=config.trusted_hops),
            terms,
            traced=self._export is not None,
        )

    async def start(self) -> None:
        """Start the engine; before the server starts.

        Raises:
            ConfigError: the engine cannot be reached, or is unfit.
        """
        await self.hub.start()
        if self._export is not None:
            self._export.start()

    async def stop(self) -> None:
        """Stop the engine; after the server has stopped."""
        await self.hub.stop()
        if self._export is not None:
            await self._export.stop()

    async def drain(self) -> Drained:
        """End every stream with UNAVAILABLE, accept no new streams, then stop the server.

        Where there are other nodes, participants that may resume are handed off to
        them within `drain_timeout`.

        Returns:
            How many participants were handed off, lost, and ended.
        """
        began = self._clock.monotonic()
        drained = await draining.drain(self.hub, self._observers, self._clock, self._drain_timeout)
        self.stop_keys()
        log.log(
            logging.WARNING if drained.lost else logging.INFO,
            Line(
                "drained",
                handed_off=drained.handed_off,
                lost=drained.lost,
                ended=drained.ended,
                seconds=round(self._clock.monotonic() - began, 1),
            ),
        )
        return drained

    def stop_keys(self) -> None:
        """Stop fetching keys."""
        if self._keeping is not None:
            self._keeping.cancel()

    @property
    def has_keys(self) -> bool:
        """Whether there are keys now; some end, and some are out of reach for too long."""
        return self._keys.usable

    def fetch_keys(self) -> None:
        """Fetch the keys now, if they come from a URL."""
        if self._jwks is not None:
            self._jwks.fetch()

    def _log_and_traces(self) -> Iterator[Observer]:
        pseudonyms = Pseudonyms()
        yield LogObserver(_status_of, pseudonyms)
        if self._export is not None:
            from dyad_server.ops.traces import TraceObserver  # noqa: PLC0415 - needs an extra

            yield TraceObserver(
                self._export.tracer, _status_of, pseudonyms, self._clock, self._remote_peer
            )

    def _remote_peer(self, participant: Participant) -> str:
        # The hub is made after its observers.
        return self.hub.remote_peer(participant)

    def _make_keys(self, config: Config) -> Keys:
        if config.jwt_jwks_url:
            self._jwks = Jwks(config.jwt_jwks_url, self._clock, timeout=config.jwks_timeout)
            self.ready = self._jwks.ready
            self.metrics.watch_keys(self._jwks)
            keeping = self._jwks.keep()
            self._keeping = asyncio.get_running_loop().create_task(keeping, name="dyad-keys")
            return self._jwks
        ring = KeyRing(self._clock)

        def use(texts: Mapping[str, str]) -> None:
            ring.replace(read_keys(config, texts))
            if not ring.usable:
                log.warning("All keys have ended: no token is accepted.")

        watched = Watched("keys", config.key_texts, use)
        if config.key_path:
            self.watched.append(watched)
        self.ready.set()
        return ring


def read_keys(config: Config, texts: Mapping[str, str]) -> Sequence[NamedKey[Key]]:
    """The keys in `Config.key_texts`.

    Raises:
        ConfigError: a key is unfit.
    """
    return public_keys(texts) if config.jwt_public_key else secret_keys(texts)


def check_redis(config: Config) -> None:
    """Check whether Redis can be used, without a connection to it.

    Raises:
        ConfigError: a URL is wrong, or packages are missing.
    """
    _redis().check_addresses(config.redis_urls())


def _status_of(failure: Ended) -> str:
    return STATUS[type(failure)].name


def _in_redis(config: Config, terms: Terms, clock: Clock) -> MakeEngine:
    make: MakeEngine = _redis().in_redis(
        config.redis_urls(), config.redis_prefix, config.resume_grace, terms, clock
    )
    return make


def _redis() -> ModuleType:
    try:
        from dyad_server import redis_composition  # noqa: PLC0415 - needs an extra
    except ModuleNotFoundError as error:
        raise ConfigError(f"--redis needs {the_extra('redis')}.") from error
    return redis_composition


def _trace_export(clock: Clock) -> "TraceExport | None":
    """What exports traces, if the environment asks for it.

    The variables may be meant for other programs too, so they keep no server from starting.
    """
    if not asks_for_traces(os.environ):
        return None
    wrong = problem(os.environ)
    if wrong is None:
        try:
            from dyad_server.ops.traces import TraceExport  # noqa: PLC0415 - needs an extra

            return TraceExport(versions()["version"], clock)
        except ModuleNotFoundError:
            wrong = f"they need {the_extra('otel')}"
        except ValueError as error:
            wrong = str(error)
    log.warning("An OTLP endpoint is set, but no traces are exported: %s.", wrong)
    return None


def _by_name(kind: type[T], config: Config, **derived: Any) -> T:
    """A dataclass whose fields are the settings of the same names, but for those `derived`."""
    names = {field.name for field in fields(kind)} - derived.keys()
    return kind(**{name: getattr(config, name) for name in names} | derived)
