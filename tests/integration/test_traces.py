"""Traces: which spans a collector gets from a real server, and what they say."""

import os
import re
import secrets
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import dyad
import grpc
import pytest
from dyad.v1 import signaling_pb2 as pb
from opentelemetry import propagate
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import format_span_id, format_trace_id

from tests.conftest import SECRET, ends, token
from tests.integration.test_envoy import proxy
from tests.integration.test_log import Canaries, call, refusals, thefts
from tests.support.collector import Collector, attributes, collecting
from tests.support.ends import End, SignalEnd, candidate, end_of, join, pair
from tests.support.grpc_web import Call
from tests.support.process import Served, dyad_serve, run
from tests.support.proxy import Proxy
from tests.support.python_client import hear
from tests.support.seats import meet, resumable, resumes

STREAM = {"Signal": "dyad.v1.Signaling/Signal", "Listen": "dyad.v1.Signaling/Listen"}
SAMPLED, NOT_SAMPLED = "01", "00"


def stream_name(transport: type[End]) -> str:
    return STREAM[transport.__name__.removesuffix("End")]


def new_parent(flags: str = SAMPLED) -> tuple[bytes, bytes, str]:
    """A span of an app: its trace, its id, and its `traceparent`."""
    trace_id, span_id = secrets.token_bytes(16), secrets.token_bytes(8)
    return trace_id, span_id, f"00-{trace_id.hex()}-{span_id.hex()}-{flags}"


@asynccontextmanager
async def traced(collector: Collector, *options: str, **variables: str) -> AsyncIterator[Served]:
    env = collector.environment | variables
    async with dyad_serve(SECRET, *options, env=env) as served:
        yield served


async def stop(served: Served) -> None:
    """Let the server end, which exports all spans."""
    served.process.terminate()
    assert await served.command.ended() == 0, served.command.said


@pytest.mark.parametrize("api", ["auto", "aio"])
async def test_a_stream_is_a_span_of_its_client_with_the_join_as_its_child(
    transport: type[End], api: str
) -> None:
    trace_id, span_id, parent = new_parent()
    with collecting() as collector:
        async with traced(collector, "--grpc-api", api) as served, ends(served, transport) as new:
            alice, bob = new("alice"), new("bob")
            more = (("traceparent", parent), ("tracestate", "vendor=1"))
            alice.metadata = (*alice.metadata, *more)
            room_id, _, _ = await meet(alice, bob)
            named = dict(await alice.call.initial_metadata())["dyad-stream-id"]
            await alice.send(candidate(room_id, "one", seq=2), candidate(room_id, "two", seq=3))
            assert (await bob.hear()).seq == 2
            # A join is exported at once, while its stream is still open.
            (first,) = await collector.gets("join_room", outcome="first")
            assert not collector.named(stream_name(transport))
            await alice.send(pb.Frame(room_id=room_id, seq=4, leave_room=pb.LeaveRoom()))
            alice.cut()
            (span,) = await collector.gets(stream_name(transport), stream=named)
            await stop(served)
            line = re.search(f"stream ended stream={named}.*", served.command.said)
    assert (span.trace_id, span.parent_span_id) == (trace_id, span_id)
    assert (span.kind, span.trace_state) == (Span.SPAN_KIND_SERVER, "vendor=1")
    assert (first.trace_id, first.parent_span_id) == (trace_id, span.span_id)
    assert span.start_time_unix_nano <= first.start_time_unix_nano <= first.end_time_unix_nano
    said = attributes(span)
    # The log and the trace say the same.
    assert line is not None
    fields = dict(field.split("=", 1) for field in line[0].split()[2:])
    names = ("stream", "status", "reason", "frames_in", "frames_out", "user", "room")
    assert [str(said[f"dyad.{name}"]) for name in names] == [fields[name] for name in names]
    assert (said["rpc.method"], said["dyad.resumed"]) == (fields["transport"], False)
    assert said["dyad.frames_in"] == 4
    # What Alice's span says of Bob, Bob's join says of itself.
    (second,) = collector.named("join_room", outcome="second")
    assert attributes(second)["dyad.peer"] == attributes(first)["dyad.member"]
    (met,) = span.events
    assert met.name == "peer joined"
    assert attributes(met)["dyad.peer"] == attributes(second)["dyad.member"]
    assert second.trace_id != trace_id
    # Each is linked to the stream of the other.
    assert [each.span_id for each in second.links] == [span.span_id]
    assert [each.span_id for each in span.links] == [second.parent_span_id]
    assert not any("dyad.peer_node" in attributes(each) for each in (first, second, met))
    assert all(each["service.name"] == "dyad" for each in collector.resources)


async def test_a_resume_is_linked_to_the_stream_that_broke(transport: type[End]) -> None:
    with collecting() as collector:
        async with traced(collector) as served, ends(served, transport) as connect:
            alice, bob = connect("alice"), connect("bob")
            room_id, _, ticket = await meet(alice, bob)
            bob.cut()
            (broken,) = await collector.gets(stream_name(transport), reason="lost")
            back = connect("bob")
            ticket = (await resumes(back, room_id, ticket)).join_room.resume_token
            (resume,) = await collector.gets("resume", outcome="resumed")
            # Now before the server knows that the connection is gone.
            again = connect("bob")
            await resumes(again, room_id, ticket)
            await stop(served)
    assert [(each.trace_id, each.span_id) for each in resume.links] == [
        (broken.trace_id, broken.span_id)
    ]
    assert broken.status.code == Status.STATUS_CODE_ERROR
    (taken,) = collector.named(stream_name(transport), reason="resumed")
    assert attributes(taken)["dyad.resumed"] is True
    (other,) = (each for each in collector.named("resume") if each.span_id != resume.span_id)
    assert [each.span_id for each in other.links] == [taken.span_id]
    assert resume.parent_span_id == taken.span_id


async def test_a_resume_that_is_refused_says_why(transport: type[End]) -> None:
    with collecting() as collector:
        async with traced(collector) as served, ends(served, transport) as connect:
            end = connect("alice")
            ended = await end_of(end, resumable("room", "no-such-token"))
            assert ended.code() is grpc.StatusCode.ABORTED
            (resume,) = await collector.gets("resume", outcome="seat_gone")
            (stream,) = await collector.gets(stream_name(transport), status="ABORTED")
    assert resume.parent_span_id == stream.span_id
    assert not resume.links


async def test_a_browsers_trace_context_passes_envoy() -> None:
    trace_id, span_id, parent = new_parent()
    with collecting() as collector:
        async with traced(collector) as served, proxy(served.port) as port:
            origin = f"http://localhost:{port}"
            call = await Call.begin(
                port,
                "Listen",
                pb.ListenRequest(),
                token=token(),
                origin=origin,
                more={"traceparent": parent, "tracestate": "vendor=1"},
            )
            assert await call.read() is not None
            call.close()
            (span,) = await collector.gets(STREAM["Listen"])
    assert (span.trace_id, span.parent_span_id) == (trace_id, span_id)
    assert span.trace_state == "vendor=1"


async def test_the_python_client_names_the_apps_span_on_each_connection() -> None:
    def trace_context() -> dict[str, str]:
        carrier: dict[str, str] = {}
        propagate.inject(carrier)
        return carrier

    tracer = TracerProvider().get_tracer("app")
    with collecting() as collector:
        async with (
            traced(collector) as served,
            Proxy(served.port) as network,
            dyad.connect(
                f"127.0.0.1:{network.port}", token(), plaintext=True, metadata=trace_context
            ) as connection,
        ):
            with tracer.start_as_current_span("call") as span:
                await connection.create()
            await network.cut()
            assert await hear(connection) == dyad.Reconnecting()
            assert isinstance(await hear(connection), dyad.Reconnected)
            await connection.leave()
            streams = await collector.gets(STREAM["Signal"], 2)
    app = span.get_span_context()
    parents = {(each.trace_id.hex(), each.parent_span_id.hex()) for each in streams}
    assert parents == {(format_trace_id(app.trace_id), format_span_id(app.span_id))}


async def test_a_client_decides_whether_its_trace_is_sampled(transport: type[End]) -> None:
    with collecting() as collector:
        async with traced(collector) as served, ends(served, transport) as connect:
            quiet, loud = connect("alice"), connect("bob")
            quiet.metadata = (*quiet.metadata, ("traceparent", new_parent(NOT_SAMPLED)[2]))
            await meet(quiet, loud)
            quiet.cut()
            loud.cut()
            await stop(served)
    assert len(collector.named(stream_name(transport))) == 1
    assert not collector.named("join_room", outcome="first")


@pytest.mark.parametrize(
    "parent",
    ["", "nonsense", "00-" + "0" * 32 + "-" + "0" * 16 + "-01", "00-" + "g" * 55, "x" * 4000],
    ids=["empty", "nonsense", "zeros", "no hex", "long"],
)
async def test_an_invalid_trace_context_is_ignored(transport: type[End], parent: str) -> None:
    state = ",".join(f"k{n}={'v' * 200}" for n in range(20))
    with collecting() as collector:
        async with traced(collector) as served, ends(served, transport) as connect:
            end = connect("alice")
            end.metadata = (*end.metadata, ("traceparent", parent), ("tracestate", state))
            await end.send(join())
            assert (await end.hear()).HasField("join_room")
            end.cut()
            (span,) = await collector.gets(stream_name(transport))
            await stop(served)
    assert not span.parent_span_id
    assert not span.trace_state
    assert "Traceback" not in served.command.said


async def test_traces_contain_no_personal_data_of_a_call(transport: type[End]) -> None:
    canaries = Canaries()
    with collecting() as collector:
        async with (
            traced(collector) as served,
            grpc.aio.insecure_channel(f"127.0.0.1:{served.port}") as channel,
        ):
            await call(canaries, channel, transport)
            await refusals(canaries, channel, transport)
            await thefts(canaries, channel, transport)
            await stop(served)
    assert collector.named("resume", outcome="resumed")
    assert list(canaries.said(collector.received.decode("latin-1"))) == []


async def test_a_collector_that_never_answers_harms_no_call(transport: type[End]) -> None:
    silent = socket.create_server(("127.0.0.1", 0))
    with silent:
        collector = Collector()
        collector.address = f"127.0.0.1:{silent.getsockname()[1]}"
        async with traced(collector) as served, ends(served, transport) as connect:
            for _ in range(3):
                for end in (await pair(connect))[:2]:
                    end.cut()
            await stop(served)
    assert served.command.said.count("the collector did not take the last spans in time") == 1


async def test_a_collector_that_is_gone_writes_few_lines() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    collector = Collector()
    collector.address = f"127.0.0.1:{port}"
    async with traced(collector) as served, ends(served, SignalEnd) as connect:
        (await pair(connect))[0].cut()
        await served.command.says("opentelemetry.*xport")
        for _ in range(3):
            for end in (await pair(connect))[:2]:
                end.cut()
        await stop(served)
    assert len(re.findall("opentelemetry", served.command.said)) <= 2, served.command.said
    assert "Traceback" not in served.command.said


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4318"}, "must be an http or https URL"),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "the OTLP protocol must be http/protobuf"),
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "OTEL_TRACES_EXPORTER must be otlp or none"),
    ],
)
async def test_variables_that_cannot_be_followed_are_named_and_the_server_serves(
    variables: dict[str, str], sentence: str
) -> None:
    collector = Collector()
    collector.address = "127.0.0.1:1"
    async with traced(collector, **variables) as served:
        await stop(served)
    assert served.command.said.count(sentence) == 1


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_SDK_DISABLED": "true"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_TRACES_EXPORTER": "none"},
    ],
    ids=["no endpoint", "disabled", "no exporter"],
)
async def test_without_traces_nothing_of_opentelemetry_is_imported(
    variables: dict[str, str],
) -> None:
    program = (
        "import sys\n"
        "from dyad_server.composition import Dyad\n"
        "from dyad_server.config import Config\n"
        "import asyncio\n"
        f"async def main(): Dyad(Config(jwt_secret='{SECRET}'))\n"
        "asyncio.run(main())\n"
        "print(sorted(name for name in sys.modules if name.startswith('opentelemetry')))\n"
    )
    kept = {name: text for name, text in os.environ.items() if not name.startswith("OTEL_")}
    assert await run(sys.executable, "-c", program, env=kept | variables) == (0, "[]\n")


async def test_a_missing_package_is_named_and_the_server_serves() -> None:
    program = (
        "import sys\n"
        "sys.modules['opentelemetry'] = None\n"
        "from dyad_server.cli.main import main\n"
        "sys.exit(main())\n"
    )
    collector = Collector()
    collector.address = "127.0.0.1:1"
    async with dyad_serve(
        SECRET, program=(sys.executable, "-c", program), env=collector.environment
    ) as served:
        await stop(served)
    assert "no traces are exported: they need the extra `otel`" in served.command.said
