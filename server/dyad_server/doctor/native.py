"""A running server as native clients, load balancers and probes see it."""

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import dyad
import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_reflection.v1alpha.reflection_pb2 import (
    ServerReflectionRequest,
    ServerReflectionResponse,
)

from dyad_server.core.clock import Clock
from dyad_server.doctor import bounds, call
from dyad_server.doctor.call import Away, CallFailed, HeldBack, Refused
from dyad_server.doctor.certificates import Handshake, judge, shake_hands
from dyad_server.doctor.findings import Finding, Level, Report, error, ok, quoted, warning
from dyad_server.doctor.tokens import Tokens
from dyad_server.files import read_file
from dyad_server.grpc_api.health import SERVICE as HEALTH
from dyad_server.grpc_api.reflection import SERVICE as REFLECTION
from dyad_server.grpc_api.servicer import SERVICE

E = TypeVar("E")

_NO_ANSWER = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
_OPTIONS = [("grpc.enable_http_proxy", 0), ("grpc.use_local_subchannel_pool", 1)]


class Target:
    """A server, reached as `host:port`."""

    def __init__(self, address: str, ca: str, *, tls: bool) -> None:
        """Reach it with TLS or without.

        Args:
            address: `host:port`.
            ca: PEM file of the authorities to trust; empty: those of the system.
            tls: whether it speaks TLS.

        Raises:
            ConfigError: that file cannot be read.
        """
        self.address = address
        self._credentials: grpc.ChannelCredentials | None = None
        if tls:
            authorities = read_file("ca", ca) if ca else None
            self._credentials = grpc.ssl_channel_credentials(authorities)

    async def health(self, service: str) -> grpc.StatusCode | int:
        """The answer of the health service, or the status that it ended with."""
        request = HealthCheckRequest(service=service).SerializeToString()
        async with self._channel() as channel:
            check: Any = channel.unary_unary(
                f"/{HEALTH}/Check", response_deserializer=HealthCheckResponse.FromString
            )
            try:
                answer = await check(request, timeout=bounds.ANSWER_SECONDS)
            except grpc.aio.AioRpcError as failure:
                return failure.code()
        return int(answer.status)

    async def reflects(self) -> bool:
        """Whether it serves reflection."""
        request = ServerReflectionRequest(list_services="*").SerializeToString()
        async with self._channel() as channel:
            ask: Any = channel.stream_stream(
                f"/{REFLECTION}/ServerReflectionInfo",
                response_deserializer=ServerReflectionResponse.FromString,
            )
            stream = ask(iter([request]), timeout=bounds.ANSWER_SECONDS)
            try:
                return await stream.read() is not grpc.aio.EOF
            except grpc.aio.AioRpcError:
                return False

    def side(self, token: str) -> "NativeSide":
        """A participant."""
        return NativeSide(
            dyad.connect(
                self.address,
                token,
                plaintext=self._credentials is None,
                credentials=self._credentials,
                give_up_after=bounds.ANSWER_SECONDS,
            )
        )

    def _channel(self) -> grpc.aio.Channel:
        if self._credentials is None:
            return grpc.aio.insecure_channel(self.address, _OPTIONS)
        return grpc.aio.secure_channel(self.address, self._credentials, _OPTIONS)


@contextlib.contextmanager
def _failures(what: str) -> Iterator[None]:
    """Turn what the client raises into `CallFailed`."""
    try:
        yield
    except TimeoutError:
        raise HeldBack(what) from None
    except dyad.Refused as refused:
        raise Refused(refused.code.name, refused.message, by_dyad=True) from None
    except dyad.Ended as ended:
        raise Refused(ended.code.name, ended.message, by_dyad=not ended.foreign) from None
    except dyad.DyadError as failure:
        raise Away(str(failure)) from None


class NativeSide:
    """A participant with the Python client; a `call.Side`."""

    def __init__(self, connection: dyad.Connection) -> None:
        self._connection = connection

    async def enter(self, room_id: str) -> str:
        """See `call.Side.enter`."""
        with _failures("The answer to join_room"):
            async with asyncio.timeout(bounds.ANSWER_SECONDS):
                if room_id:
                    return (await self._connection.join(room_id, resumable=False)).room_id
                return (await self._connection.create(resumable=False)).room_id

    async def meet(self) -> None:
        """See `call.Side.meet`."""
        await self._next("The announcement of the peer", (dyad.PeerJoined,))

    async def send(self, text: str, *, answer: bool) -> None:
        """See `call.Side.send`."""
        with _failures("A frame"):
            send = self._connection.send_answer if answer else self._connection.send_offer
            async with asyncio.timeout(bounds.ANSWER_SECONDS):
                await send(text)

    async def receive(self) -> str:
        """See `call.Side.receive`."""
        wanted: tuple[type[dyad.Offer | dyad.Answer], ...] = (dyad.Offer, dyad.Answer)
        return (await self._next("An offer or answer of the peer", wanted)).sdp

    async def _next(self, what: str, wanted: tuple[type[E], ...]) -> E:
        with _failures(what):
            async with asyncio.timeout(bounds.ANSWER_SECONDS):
                async for event in self._connection:
                    if isinstance(event, dyad.Refused):
                        raise Refused(event.code.name, event.message, by_dyad=True)
                    if isinstance(event, wanted):
                        return event
        raise Away("the call ended")

    async def close(self) -> None:
        """See `call.Side.close`."""
        await self._connection.close()


@dataclass(frozen=True, slots=True)
class Visit:
    """How to look at a server.

    Attributes:
        address: `host:port`.
        ca: PEM file of the authorities to trust; empty: those of the system.
        tokens: for the call.
        clock: of this machine.
        asks_for_certificates: whether clients need a certificate, which the doctor has not.
    """

    address: str
    ca: str
    tokens: Tokens
    clock: Clock
    asks_for_certificates: bool

    async def look(self, report: Report) -> None:
        """Look at TLS, health and reflection, and make a call."""
        try:
            seen = await _shake_hands(self.address, self.ca)
        except OSError as failure:
            report(away(self.address, failure))
            return
        if seen.tls:
            found = [*judge(self.address, seen, self.clock.unix_time())]
            for each in found:
                report(each)
            if max(each.level for each in found) == Level.ERROR:
                return
            if self.asks_for_certificates:
                report(asks_for_certificates(self.address))
                return
        target = Target(self.address, self.ca, tls=seen.tls)
        whole, service = await target.health(""), await target.health(SERVICE)
        if whole in _NO_ANSWER:
            report(no_grpc(self.address, whole))
            return
        report(health(self.address, whole, service))
        report(reflection(self.address, on=await target.reflects()))
        await self._call(target, report)

    async def _call(self, target: Target, report: Report) -> None:
        pair = self.tokens.pair()
        path = f"over gRPC at {self.address}"
        if pair is None:
            report(call.no_tokens(path))
            return
        alice, bob = (target.side(token) for token in pair)
        await _make_call(path, alice, bob, self.clock, report)


@dataclass(frozen=True, slots=True)
class Between:
    """How to see whether two servers share rooms, after each was looked at alone.

    Attributes:
        addresses: `host:port` of each.
        ca: PEM file of the authorities to trust; empty: those of the system.
        tokens: for the call.
        clock: of this machine.
    """

    addresses: tuple[str, str]
    ca: str
    tokens: Tokens
    clock: Clock

    async def look(self, report: Report) -> None:
        """Make a call from the first to the second, if both answer and there are tokens."""
        pair = self.tokens.pair()
        if pair is None:
            return
        sides = []
        for address, token in zip(self.addresses, pair, strict=True):
            try:
                seen = await _shake_hands(address, self.ca)
            except OSError:
                return
            sides.append(Target(address, self.ca, tls=seen.tls).side(token))
        path = f"between {self.addresses[0]} and {self.addresses[1]}"
        await _make_call(path, sides[0], sides[1], self.clock, report)


async def _shake_hands(address: str, ca: str) -> Handshake:
    host, _, port = address.rpartition(":")
    return await asyncio.to_thread(shake_hands, host.strip("[]"), int(port), ca, "h2")


async def _make_call(
    path: str, alice: NativeSide, bob: NativeSide, clock: Clock, report: Report
) -> None:
    try:
        report(call.succeeded(path, await call.make(alice, bob, clock)))
    except CallFailed as failure:
        report(call.failed(path, failure))
    finally:
        await call.close(alice, bob)


def asks_for_certificates(address: str) -> Finding:
    """The settings name a CA of clients' certificates."""
    return warning(
        "client_certificate",
        f"{address} asks clients for certificates, and the doctor has none: no call was made.",
        "Examine it through a proxy that has one.",
    )


def away(address: str, failure: OSError) -> Finding:
    """There is no connection."""
    return error(
        "target_away",
        f"{address} does not answer: {quoted(failure) or type(failure).__name__}.",
        "Look whether the server runs, whether it listens on this address (--host), and whether a "
        "firewall is between.",
    )


def no_grpc(address: str, status: grpc.StatusCode | int) -> Finding:
    """There is a connection, but no answer on it."""
    name = status.name if isinstance(status, grpc.StatusCode) else str(status)
    return error(
        "no_grpc",
        f"{address} accepts connections, but answers no gRPC request: {name}.",
        "Look whether a Dyad listens there, whether it asks for certificates of clients "
        "(--tls-client-ca), and whether each proxy on the way reaches it.",
    )


def health(address: str, whole: grpc.StatusCode | int, service: grpc.StatusCode | int) -> Finding:
    """What the health service says.

    Args:
        address: of the server.
        whole: the answer for the whole server, or the status that it ended with.
        service: the same for Dyad's service.
    """
    for answer in (whole, service):
        if isinstance(answer, grpc.StatusCode):
            return warning(
                "health_not_reached",
                f"The health service is not reached at {address}: {answer.name}.",
                "If load balancers or probes ask there whether rooms can be entered, route "
                "/grpc.health.v1.Health/Check to the server. Otherwise this is as it should be.",
            )
    if service != HealthCheckResponse.SERVING:
        return error(
            "not_serving",
            f"The server at {address} is NOT_SERVING: it lacks keys or Redis, or it drains.",
            "/readyz on its metrics port, and its log, say why.",
        )
    return ok("health", f"The server at {address} is SERVING.")


def reflection(address: str, *, on: bool) -> Finding:
    """Whether the schema can be asked for; both are good."""
    return ok("reflection", f"Reflection is {'on' if on else 'off'} at {address}.")
