"""Opens streams over both transports, and measures how long it takes to connect."""

import random
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from itertools import cycle, product
from typing import NamedTuple

import grpc
from dyad.stream import Dial, Stream, open_stream
from dyad.v1 import signaling_pb2 as pb

from dyad_server.core.clock import Clock
from dyad_server.errors import ConfigError
from dyad_server.files import read_file
from dyad_server.load.plan import Plan, Tls


class Place(NamedTuple):
    """Where one side of a call connects to.

    Attributes:
        transport: `Signal` or `Listen`.
        dial: opens a stream.
        choices: how many servers or proxies `dial` opens streams at, in turn.
    """

    transport: str
    dial: Dial
    choices: int


class Endpoints:
    """Where the two sides of each call connect to."""

    def __init__(self, plan: Plan) -> None:
        """Use the servers and proxies of the plan.

        Raises:
            ConfigError: a file for TLS cannot be read or used.
        """
        self._dials: dict[str, Sequence[Dial]] = {}
        if plan.targets:
            credentials = _credentials(plan.tls)
            self._dials["Signal"] = [
                partial(open_stream, target, credentials) for target in plan.targets
            ]
        if plan.urls:
            from dyad_server.load.grpc_web import open_web_stream  # noqa: PLC0415 - for URLs only

            tls = _ssl_context(plan.tls) if plan.tls.ca or plan.tls.cert else None
            self._dials["Listen"] = [partial(open_web_stream, url, tls) for url in plan.urls]
        # Each transport meets each, and itself.
        self._pairs = [*product(self._dials, repeat=2)]

    def of(self, call: int) -> tuple[Place, Place]:
        """The places of the two sides of the call with this number."""
        one, other = self._pairs[call % len(self._pairs)]
        return self._place(one), self._place(other)

    def _place(self, transport: str) -> Place:
        dials = self._dials[transport]
        return Place(transport, _in_turn(random.sample(dials, len(dials))), len(dials))


def _in_turn(dials: Sequence[Dial]) -> Dial:
    """Opens each stream at the next place, so that a client whose server is gone finds another."""
    turns = cycle(dials)

    def dial(token: str, routing_key: str) -> AbstractAsyncContextManager[Stream]:
        return next(turns)(token, routing_key)

    return dial


def measured(dial: Dial, clock: Clock, connected: Callable[[float], None]) -> Dial:
    """Opens streams as `dial`, and tells how many seconds passed until each was open."""

    @asynccontextmanager
    async def timed(token: str, routing_key: str) -> AsyncIterator[Stream]:
        began = clock.monotonic()
        async with dial(token, routing_key) as stream:
            yield _Measured(stream, lambda: connected(clock.monotonic() - began))

    return timed


class _Measured:
    """A stream that tells when it is open."""

    def __init__(self, stream: Stream, connected: Callable[[], None]) -> None:
        self._stream = stream
        self._connected = connected

    @property
    def id(self) -> str:
        """See `Stream`."""
        return self._stream.id

    async def read(self) -> pb.SignalResponse | None:
        """See `Stream`."""
        return await self._stream.read()

    async def opened(self) -> None:
        """See `Stream`."""
        await self._stream.opened()
        self._connected()

    async def write(self, request: pb.SignalRequest) -> bool:
        """See `Stream`."""
        return await self._stream.write(request)

    async def finish(self) -> None:
        """See `Stream`."""
        await self._stream.finish()

    def cancel(self, sentence: str = "The client ended the stream.") -> None:
        """See `Stream`."""
        self._stream.cancel(sentence)


def _credentials(tls: Tls) -> grpc.ChannelCredentials | None:
    if tls.plaintext:
        return None
    ca, cert, key = (
        read_file(name, path) if path else None
        for name, path in (("ca", tls.ca), ("cert", tls.cert), ("key", tls.key))
    )
    return grpc.ssl_channel_credentials(ca, key, cert)


def _ssl_context(tls: Tls) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=tls.ca or None)
        if tls.cert:
            context.load_cert_chain(tls.cert, tls.key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"--ca, --cert or --key cannot be used: {error}.") from None
    return context
