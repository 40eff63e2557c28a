"""Health and reflection: what a client without a token can do with them."""

import asyncio
import signal
from functools import partial

import grpc
import pytest
from dyad_server.auth import bounds as auth_bounds
from dyad_server.grpc_api import bounds
from dyad_server.grpc_api.client_address import Origin
from dyad_server.grpc_api.health import Health
from dyad_server.grpc_api.servicer import SERVICE
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2
from hpack import Encoder
from hyperframe.frame import HeadersFrame

from tests.conftest import SECRET, serving, token
from tests.faults.site import Watch
from tests.support.ends import SignalEnd, channel, join
from tests.support.http2 import Http2, connected
from tests.support.issuer import es256, issuing
from tests.support.process import dyad_serve
from tests.support.services import CHECK, REFLECT, WATCH, HealthStub, reflecting
from tests.support.until import until

RESOURCE_EXHAUSTED = "8"
DEADLINE_EXCEEDED = "4"
ROOMY = 32 * 1024 * 1024
FLOOD = 30_000
FLOODED = 320 * 1024 * 1024
"""How much the server may grow while headers of 15 kB come as fast as the system can pass them on.
30 to 240 MiB were seen, also in floods of 300,000: gRPC frees RPCs in a thread that gets little
CPU."""

Request = health_pb2.HealthCheckRequest
Response = health_pb2.HealthCheckResponse


def ask(client: Http2, path: str, service: str = SERVICE) -> int:
    """A health RPC with its request."""
    stream = client.call("", path)
    client.say(stream, Request(service=service), end=True)
    return stream


async def watching(client: Http2, service: str = SERVICE) -> int:
    """A `Watch` that the server has begun."""
    stream = ask(client, WATCH, service)
    await client.ping()
    return stream


def has_ended(client: Http2, streams: int) -> bool:
    return len(client.trailers) == streams


async def lets_in(client: Http2) -> bool:
    """Whether the server accepts one more `Watch`."""
    stream = await watching(client)
    await until(lambda: bool(client.heard[stream]) or stream in client.trailers)
    return stream not in client.trailers


async def test_a_watcher_that_does_not_read_delays_no_change_for_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(auth_bounds, "KEYS_RETRY_SECONDS", 0.05)
    with issuing(es256("key")) as issuer:
        issuer.status = 503
        async with (
            serving(jwt_secret="", jwt_jwks_url=issuer.url) as server,
            connected(server.port, window=0) as deaf,
            connected(server.port) as client,
        ):
            await watching(deaf)
            stream = await watching(client)
            assert (await client.hear(stream, Response)).status == Response.NOT_SERVING
            issuer.status = 200
            assert (await client.hear(stream, Response)).status == Response.SERVING


async def test_a_watcher_that_does_not_read_does_not_delay_the_shutdown() -> None:
    async with (
        dyad_serve(SECRET, "--drain-timeout", "60") as served,
        connected(served.port, window=0) as deaf,
        connected(served.port) as client,
    ):
        for service in ("", SERVICE):
            await watching(deaf, service)
        stream = await watching(client)
        assert (await client.hear(stream, Response)).status == Response.SERVING
        served.process.send_signal(signal.SIGTERM)
        assert (await client.hear(stream, Response)).status == Response.NOT_SERVING
        assert (await client.ended(stream))["grpc-status"] == "0"
        # Long before the drain timeout.
        assert await served.command.ended() == 0


async def test_watchers_past_the_bound_are_refused_and_cost_nothing(watched: Watch) -> None:
    async with watched() as site, connected(site.port) as client:
        kept: list[int] = []
        for _ in range(50):
            # Not all at once: gRPC cancels RPCs beyond the 100 that may wait to be served.
            streams = [ask(client, WATCH) for _ in range(80)]
            ended = len(client.trailers) + len(streams) - (0 if kept else 20)
            await until(partial(has_ended, client, ended))
            kept += [stream for stream in streams if stream not in client.trailers]
        statuses = {trailers["grpc-status"] for trailers in client.trailers.values()}
        assert statuses == {RESOURCE_EXHAUSTED}
        assert (await client.hear(kept[0], Response)).status == Response.SERVING
        check = client.call("", CHECK)
        client.say(check, Request(), end=True)
        assert (await client.hear(check, Response)).status == Response.SERVING


async def test_names_of_half_a_megabyte_are_not_kept(watched: Watch) -> None:
    async with watched() as site, channel(site.port) as own:
        health = HealthStub(own)
        before = site.process.memory_info().rss
        watches = [health.Watch(Request(service="x" * 500_000)) for _ in range(200)]
        told = await asyncio.gather(*(watch.read() for watch in watches), return_exceptions=True)
        kept = [one.status for one in told if isinstance(one, Response)]
        assert kept == [Response.SERVICE_UNKNOWN] * 20
        assert site.process.memory_info().rss - before < ROOMY
        for watch in watches:
            watch.cancel()


@pytest.mark.parametrize("path", ["Send", "Listen", "Signal"])
@pytest.mark.parametrize(("size", "growth"), [(0, ROOMY), (15_000, FLOODED)])
async def test_headers_of_thousands_of_rpcs_on_one_connection_take_little_memory(
    watched: Watch, path: str, size: int, growth: int
) -> None:
    pairs = [(":method", "POST"), (":scheme", "http"), (":path", f"/{SERVICE}/{path}")]
    pairs += [(":authority", "x"), ("content-type", "application/grpc"), ("te", "trailers")]
    # Encoded once: a flood is fast, so that the server always has more to read.
    block = Encoder().encode([*pairs, ("long", "x" * size)], huffman=False)
    async with watched() as site:
        before = most = site.process.memory_info().rss
        async with connected(site.port) as client:
            for number in range(FLOOD):
                client.write(HeadersFrame(2 * number + 1, block, flags=["END_HEADERS"]))
                if number % 50 == 0:
                    await client.drain()
                    most = max(most, site.process.memory_info().rss)
            await client.ping()
            assert max(most, site.process.memory_info().rss) - before < growth
        # What gRPC frees goes back to the system.
        await until(lambda: site.process.memory_info().rss - before < ROOMY)


@pytest.mark.parametrize("path", [CHECK, WATCH])
async def test_a_health_check_without_a_request_ends_after_a_second(
    watched: Watch, path: str
) -> None:
    async with watched() as site, connected(site.port) as client:
        streams = [client.call("", path) for _ in range(100)]
        ended = [(await client.ended(stream))["grpc-status"] for stream in streams]
        assert set(ended) <= {RESOURCE_EXHAUSTED, DEADLINE_EXCEEDED}
        # There are more only if some arrived after the first had ended.
        assert ended.count(DEADLINE_EXCEEDED) >= (50 if path == CHECK else 20)
        stream = client.call("", path)
        client.say(stream, Request(), end=True)
        assert (await client.hear(stream, Response)).status == Response.SERVING


async def test_checks_whose_answer_is_not_read_are_bounded(watched: Watch) -> None:
    async with watched() as site, connected(site.port, window=0) as deaf:
        streams = [ask(deaf, CHECK) for _ in range(500)]
        await until(lambda: len(deaf.trailers) == len(streams) - 50)
        async with site.end("alice") as alice:
            await alice.send(join())
            assert (await alice.hear()).HasField("join_room")


async def test_places_are_free_again_when_their_clients_are_gone() -> None:
    async with serving() as server:
        for _ in range(3):
            async with connected(server.port, window=0) as deaf:
                for _ in range(20):
                    await watching(deaf)
                assert not deaf.trailers
            async with connected(server.port) as client:
                # Once the server accepts this, it has seen the end of the other connection.
                while not await lets_in(client):
                    pass


async def test_a_name_that_is_not_known_is_answered_as_the_health_protocol_says() -> None:
    async with serving() as server, channel(server.port) as own:
        health = HealthStub(own)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await health.Check(Request(service="x"))
        assert refused.value.code() is grpc.StatusCode.NOT_FOUND
        watch = health.Watch(Request(service="x"))
        assert await watch.read() == Response(status=Response.SERVICE_UNKNOWN)
        assert not watch.done()
        watch.cancel()


async def test_a_watcher_is_woken_only_by_a_change() -> None:
    health = Health("service", Origin([]))
    before = health._changed  # noqa: SLF001 - the event that watchers wait for
    for _ in range(3):
        health.tell("service", serving=False)
    assert not before.is_set()
    health.tell("service", serving=True)
    assert before.is_set()


async def test_reflection_ends_silent_clients_and_accepts_small_requests_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bounds, "REFLECTION_MESSAGE_SECONDS", 0.3)
    async with (
        serving(reflection=True) as server,
        connected(server.port) as client,
        channel(server.port) as own,
    ):
        streams = [client.call("", REFLECT) for _ in range(30)]
        ended = [(await client.ended(stream))["grpc-status"] for stream in streams]
        assert set(ended) <= {DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED}
        assert ended.count(DEADLINE_EXCEEDED) >= 10

        call = reflecting(own)
        ask = reflection_pb2.ServerReflectionRequest
        await call.write(ask(file_containing_symbol=SERVICE))
        answer = await call.read()
        assert isinstance(answer, reflection_pb2.ServerReflectionResponse)
        assert answer.HasField("file_descriptor_response")
        await call.write(ask(file_containing_symbol="x" * 2000))
        answer = await call.read()
        assert isinstance(answer, reflection_pb2.ServerReflectionResponse)
        assert answer.HasField("error_response")
        assert answer.ByteSize() < 100
        call.cancel()


async def test_a_call_goes_on_beside_watchers_that_do_not_read_even_at_shutdown() -> None:
    async with (
        dyad_serve(SECRET, "--drain-timeout", "60") as served,
        connected(served.port, window=0) as deaf,
        channel(served.port) as own,
    ):
        await watching(deaf)
        alice = SignalEnd(own, token())
        await alice.send(join())
        await alice.hear()
        served.process.send_signal(signal.SIGTERM)
        ended = await alice.status()
        assert ended is not None
        assert ended.code() is grpc.StatusCode.UNAVAILABLE
        assert await served.command.ended() == 0
