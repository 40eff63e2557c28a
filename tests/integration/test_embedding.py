"""Dyad in another program, next to another service, as docs/howto/embed.md shows it."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

import grpc
import pytest
from dyad_server import Config, ConfigError, serving
from dyad_server.grpc_api.servicer import SERVICE
from google.protobuf.wrappers_pb2 import StringValue
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2
from opentelemetry.instrumentation.grpc import GrpcAioInstrumentorServer
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.conftest import SECRET, token
from tests.support.audit import Audit
from tests.support.ends import (
    End,
    ListenEnd,
    SignalEnd,
    channel,
    offer,
    pair,
)
from tests.support.http2 import LISTEN, SEND, SIGNAL, connected
from tests.support.issuer import es256, issuing
from tests.support.needs import ROOT
from tests.support.redis import settled_redis
from tests.support.services import HealthStub, reflecting
from tests.support.until import until

PAGE = ROOT / "docs" / "howto" / "embed.md"
GREET = "/test.Greeter/Greet"
METHODS: dict[type[End], set[str]] = {SignalEnd: {SIGNAL}, ListenEnd: {LISTEN, SEND}}


class Greeter:
    async def greet(self, request: StringValue, context: Any) -> StringValue:
        return StringValue(value=f"Hello, {request.value}.")


def add_greeter(greeter: Greeter, server: Any) -> None:
    """As generated code does, without the registration that only the newest gRPC generates."""
    handlers = {
        "Greet": grpc.unary_unary_rpc_method_handler(
            greeter.greet, StringValue.FromString, StringValue.SerializeToString
        )
    }
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("test.Greeter", handlers),)
    )


def snippet() -> str:
    """The code of the page."""
    found = re.search(r"(?ms)^```python\n(.*?)^```", PAGE.read_text())
    assert found, "docs/howto/embed.md has no Python code"
    return found[1]


@asynccontextmanager
async def program(capsys: pytest.CaptureFixture[str], config: Config) -> AsyncIterator[int]:
    """Run the program of the page; yields the port that it prints."""
    audit = Audit()
    names: dict[str, Any] = {
        "asyncio": asyncio,
        "grpc": grpc,
        "Greeter": Greeter,
        "add_GreeterServicer_to_server": add_greeter,
        "audit": audit,
    }
    exec(snippet(), names)
    stopping = asyncio.Event()
    running = asyncio.create_task(names["main"](config, stopping))
    said = ""

    def listening() -> bool:
        nonlocal said
        said += capsys.readouterr().out
        return running.done() or "listening" in said

    try:
        await until(listening)
        found = re.search(r"listening on port (\d+)", said)
        assert found, running
        yield int(found[1])
        assert audit.seen
    finally:
        stopping.set()
        await running


@pytest.fixture(params=["memory", "redis"])
async def config(request: pytest.FixtureRequest) -> AsyncIterator[Config]:
    async with AsyncExitStack() as stack:
        url = ""
        if request.param == "redis":
            url = (await stack.enter_async_context(settled_redis())).url
        yield Config(port=0, jwt_secret=SECRET, redis=url)


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    """The spans that OpenTelemetry records of servers that are created meanwhile."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    instrumentor = GrpcAioInstrumentorServer()
    instrumentor.instrument(tracer_provider=provider)
    try:
        yield exporter
    finally:
        instrumentor.uninstrument()


async def greeted(own: grpc.aio.Channel) -> str:
    call: Any = own.unary_unary(
        GREET,
        request_serializer=StringValue.SerializeToString,
        response_deserializer=StringValue.FromString,
    )
    answer: StringValue = await call(StringValue(value="Alice"))
    return answer.value


async def connected_call(own: grpc.aio.Channel, transport: type[End]) -> tuple[End, End]:
    """A call between two participants, which are still connected."""
    alice, bob, room_id = await pair(lambda sub, **claims: transport(own, token(sub, **claims)))
    await alice.send(offer(room_id, "embedded"))
    assert (await bob.hear()).offer.sdp == "embedded"
    return alice, bob


async def test_the_example_in_the_readme_serves_a_call_and_drains_it(
    capsys: pytest.CaptureFixture[str], config: Config, transport: type[End]
) -> None:
    async with AsyncExitStack() as stack:
        async with program(capsys, config) as port:
            own = await stack.enter_async_context(channel(port))
            alice, bob = await connected_call(own, transport)
            assert await greeted(own) == "Hello, Alice."
            health = HealthStub(own)
            answer = await health.Check(health_pb2.HealthCheckRequest(service=SERVICE))
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        for end in (alice, bob):
            ended = await end.status()
            assert ended is not None
            assert ended.code() is grpc.StatusCode.UNAVAILABLE


async def test_opentelemetry_sees_every_rpc_of_the_example_in_the_readme(
    spans: InMemorySpanExporter,
    capsys: pytest.CaptureFixture[str],
    config: Config,
    transport: type[End],
) -> None:
    async with program(capsys, config) as port, channel(port) as own:
        alice, bob = await connected_call(own, transport)
        await greeted(own)
        health = HealthStub(own)
        await health.Check(health_pb2.HealthCheckRequest())
        watch = health.Watch(health_pb2.HealthCheckRequest())
        await watch.read()
        for end in (alice, bob):
            end.cut()
        watch.cancel()
        seen = {"/test.Greeter/Greet", "/grpc.health.v1.Health/Check"}
        seen |= {"/grpc.health.v1.Health/Watch", *METHODS[transport]}
        await until(lambda: {span.name for span in spans.get_finished_spans()} >= seen)


async def test_an_undecodable_path_does_not_stop_an_embedded_server() -> None:
    async with (
        serving(Config(port=0, jwt_secret=SECRET)) as server,
        connected(server.port) as client,
    ):
        stream = client.call("", "/\xff\xfe/x".encode("latin-1"))
        assert (await client.ended(stream))["grpc-status"] == "12", "UNIMPLEMENTED"
        async with channel(server.port) as own:
            health = HealthStub(own)
            answer = await health.Check(health_pb2.HealthCheckRequest())
            assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def test_a_running_server_reports_its_state(transport: type[End]) -> None:
    async with (
        serving(Config(port=0, jwt_secret=SECRET)) as server,
        channel(server.port) as own,
    ):
        assert server.ready
        alice, bob = await connected_call(own, transport)
        assert server.participants == 2
        assert server.metrics.get_sample_value("dyad_participants") == 2
        for end in (alice, bob):
            end.cut()


def twice(server: grpc.aio.Server) -> None:
    for _ in range(2):
        add_greeter(Greeter(), server)


def health_too(server: grpc.aio.Server) -> None:
    health_pb2_grpc.add_HealthServicer_to_server(health_pb2_grpc.HealthServicer(), server)


def opaque(server: grpc.aio.Server) -> None:
    class Opaque(grpc.GenericRpcHandler):
        def service(self, handler_call_details: grpc.HandlerCallDetails) -> None:
            return None

    server.add_generic_rpc_handlers((Opaque(),))


@pytest.mark.parametrize("add_services", [twice, health_too, opaque])
async def test_a_service_that_cannot_be_served_is_refused_when_it_is_added(
    add_services: Callable[[grpc.aio.Server], None],
) -> None:
    with pytest.raises(ConfigError, match="service"):
        async with serving(Config(port=0, jwt_secret=SECRET), add_services=add_services):
            pytest.fail("It started.")


async def test_a_start_that_fails_leaves_nothing_behind() -> None:
    before = asyncio.all_tasks()
    with issuing(es256("key")) as issuer:
        async with serving(Config(port=0, jwt_secret=SECRET)) as server:
            taken = Config(port=server.port, jwt_jwks_url=issuer.url)
            with pytest.raises(ConfigError, match="port is taken"):
                async with serving(taken):
                    pytest.fail("It started.")
        await until(lambda: not asyncio.all_tasks() - before)


async def test_the_schema_of_other_services_is_shown_too() -> None:
    config = Config(port=0, jwt_secret=SECRET, reflection=True)
    async with (
        serving(config, add_services=partial(add_greeter, Greeter())) as server,
        channel(server.port) as own,
    ):
        call = reflecting(own)
        await call.write(reflection_pb2.ServerReflectionRequest(list_services=""))
        answer = await call.read()
        assert isinstance(answer, reflection_pb2.ServerReflectionResponse)
        names = [service.name for service in answer.list_services_response.service]
        assert {"test.Greeter", SERVICE, "grpc.health.v1.Health"} < set(names)
        call.cancel()
