"""The two ways to serve gRPC, and the choice between them."""

import asyncio
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from dyad_server.completion_queue import bounds
from dyad_server.completion_queue.loop import QueueEventLoop, new_queue_event_loop
from dyad_server.completion_queue.server import QueueServer
from dyad_server.completion_queue.trial import waker
from dyad_server.grpc_api.rpc_stream import Methods, Stream, receive
from grpc._cython import cygrpc  # type: ignore[attr-defined]  # it has no types

from tests.conftest import SECRET, ends
from tests.support.ends import SignalEnd, join
from tests.support.process import dyad_serve, run
from tests.support.until import PATIENCE

# Changes what `dyad serve` finds of grpcio, and then serves.
PROGRAM = """
import dyad_server.grpc_environment, grpc
from grpc._cython import cygrpc
{change}
from dyad_server.cli.main import main
main()
"""

ASK = f"""
import sys, grpc
with grpc.insecure_channel("127.0.0.1:" + sys.argv[1]) as channel:
    echo = channel.unary_unary("/a/Echo")
    asked = [echo.future(b"%d" % n, timeout={PATIENCE}) for n in range(int(sys.argv[2]))]
    assert [answer.result() for answer in asked] == [b"%d" % n for n in range(len(asked))]
"""


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("grpc.__version__ = '1.86.0'", "grpcio 1.86.0 was not tried"),
        ("del cygrpc.ReceiveCloseOnServerOperation", "ReceiveCloseOnServerOperation"),
        ("cygrpc.SendStatusFromServerOperation = cygrpc.SendMessageOperation", "takes"),
    ],
)
async def test_a_grpcio_that_fails_its_trial_is_served_on_grpc_aio_with_one_warning(
    change: str, reason: str
) -> None:
    program = (sys.executable, "-c", PROGRAM.format(change=change))
    async with dyad_serve(SECRET, "--grpc-api", "auto", program=program) as served:
        warnings = [line for line in served.command.said.splitlines() if " WARNING " in line]
        assert len(warnings) == 1
        assert "serving on grpc.aio" in warnings[0]
        assert reason in warnings[0]
        assert "rpc=AioServer" in served.command.said
        assert "Traceback" not in served.command.said
        async with ends(served, SignalEnd) as connect:
            alice = connect("alice")
            await alice.send(join())
            assert (await alice.hear()).HasField("join_room")


@pytest.mark.parametrize(("wanted", "name"), [("auto", "QueueServer"), ("aio", "AioServer")])
async def test_the_log_says_what_serves(wanted: str, name: str) -> None:
    async with dyad_serve(SECRET, "--grpc-api", wanted) as served:
        await served.command.says(f" rpc={name} ")
        assert " WARNING " not in served.command.said


def test_the_loop_waits_for_timers_threads_and_descriptors() -> None:
    async def wait() -> None:
        loop = asyncio.get_running_loop()
        began = time.monotonic()
        await asyncio.sleep(0.05)
        assert time.monotonic() - began >= 0.05
        for number in range(20):
            assert await asyncio.to_thread(abs, -number) == number
        server = await asyncio.start_server(_echo, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        for number in range(20):
            writer.write(b"%d\n" % number)
            assert await reader.readline() == b"%d\n" % number
        writer.close()
        server.close()
        await loop.shutdown_default_executor()

    with asyncio.Runner(loop_factory=new_queue_event_loop) as runner:
        runner.run(asyncio.wait_for(wait(), PATIENCE))


@asynccontextmanager
async def _rpcs(queue: Any, methods: Methods) -> AsyncIterator[int]:
    """Serve these methods on a queue; yields the port."""
    server = QueueServer(queue, [])
    server.add(methods)
    port = server.listen("127.0.0.1:0", None)
    await server.start()
    yield port
    await server.stop(1)


def _run(loop: QueueEventLoop, work: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(asyncio.wait_for(work, 2 * PATIENCE))


async def _echo_rpc(stream: Stream) -> None:
    stream.reply(await receive(stream, PATIENCE) or b"")


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while line := await reader.readline():
        writer.write(line)
    writer.close()


def _expect_failures(port: int) -> None:
    # Not with grpc.aio, which stays with the loop of the other tests.
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        echo = channel.unary_unary("/a/Echo", bytes, bytes)
        for path in ("/a/Fail", "/a/Later"):
            with pytest.raises(grpc.RpcError) as failed:
                channel.unary_unary(path, bytes, bytes)(b"", timeout=PATIENCE)
            assert failed.value.code() is grpc.StatusCode.UNKNOWN
            assert echo(b"still here", timeout=PATIENCE) == b"still here"


def test_an_rpc_that_fails_ends_with_unknown_and_no_other_does() -> None:
    async def fail(stream: Stream) -> None:
        await receive(stream, PATIENCE)
        raise ZeroDivisionError

    async def fail_later(stream: Stream) -> None:
        def then(_: bytes | None) -> None:
            raise ZeroDivisionError

        stream.read(then)

    told: list[str] = []

    async def ask() -> None:
        loop.set_exception_handler(lambda _, context: told.append(repr(context["exception"])))
        methods = {"/a/Fail": fail, "/a/Later": fail_later, "/a/Echo": _echo_rpc}
        async with _rpcs(loop.queue, methods) as port:
            await asyncio.to_thread(_expect_failures, port)

    loop = new_queue_event_loop()
    _run(loop, ask())
    assert set(told) == {"ZeroDivisionError()"}


async def _ask(port: int, questions: int) -> None:
    """Ask so many questions at once, and wait for the answers.

    By a process of its own: gRPC's threads in this one would read for the server.
    """
    status, said = await run(sys.executable, "-c", ASK, str(port), str(questions))
    assert status == 0, said


def test_a_queue_that_always_has_events_lets_new_clients_in() -> None:
    async def keep_busy() -> None:
        while True:
            # So many complete in each turn that the queue never waits for the network.
            for _ in range(bounds.EVENTS):
                wake()
            await asyncio.sleep(0)

    async def ask() -> None:
        busy = asyncio.create_task(keep_busy())
        async with _rpcs(loop.queue, {"/a/Echo": _echo_rpc}) as port:
            for _ in range(3):
                await _ask(port, 1)
            busy.cancel()

    queue = cygrpc.CompletionQueue()
    wake = waker(queue)
    loop = QueueEventLoop(queue, wake)
    _run(loop, ask())


def test_few_rpcs_begin_in_one_turn_of_the_loop() -> None:
    begun: Counter[int] = Counter()
    turn = 0

    async def count_turns() -> None:
        nonlocal turn
        while True:
            turn += 1
            await asyncio.sleep(0)

    async def echo(stream: Stream) -> None:
        begun[turn] += 1
        await _echo_rpc(stream)

    async def ask() -> None:
        turns = asyncio.create_task(count_turns())
        async with _rpcs(loop.queue, {"/a/Echo": echo}) as port:
            await _ask(port, 200)
            turns.cancel()

    loop = new_queue_event_loop()
    _run(loop, ask())
    assert sum(begun.values()) == 200
    assert max(begun.values()) == bounds.BEGINNINGS
