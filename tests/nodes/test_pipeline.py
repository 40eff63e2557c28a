"""The round trips in which a node writes to Redis: their size, and their end."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from dyad_server.core.clock import Clock
from dyad_server.engines.redis import bounds
from dyad_server.engines.redis.client import FAILURES, Wire, connect, hang_up
from dyad_server.engines.redis.messages import ENTRY
from dyad_server.engines.redis.pipeline import Pipeline, RedisCommand
from dyad_server.engines.redis.store import Store
from dyad_server.errors import ConfigError
from dyad_server.ops.clock import LoopClock
from redis.asyncio import Redis
from redis.exceptions import NoScriptError

from tests.support.clock import within
from tests.support.fake_clock import FakeClock
from tests.support.needs import needs
from tests.support.redis import redis_server
from tests.support.until import PATIENCE

GIVEN_UP_SECONDS = 3.0
STEPS = 60


def a_pipeline(client: Any, clock: Clock, fell: Callable[[], None] = lambda: None) -> Pipeline:
    return Pipeline(
        client,
        Store("dyad:"),
        "a",
        clock,
        opening=lambda: RedisCommand(lambda: ("TIME",), lambda _: None),
        fell=fell,
        took=lambda _: None,
    )


async def test_a_node_that_stops_while_redis_is_away_ends_by_itself() -> None:
    needs("redis-server")
    async with redis_server() as redis:
        client = connect(redis.url, None)
        pipeline = a_pipeline(client, LoopClock())
        await pipeline.load()
        asking = asyncio.create_task(pipeline.keep_asking())
        await redis.end()
        command = RedisCommand(lambda: ("EXISTS", "dyad:generation"), lambda _: None)
        command.expect(LoopClock(), seconds=0.1, persist=60.0)
        pipeline.ask(command)
        pipeline.stop(0.5)
        async with within(GIVEN_UP_SECONDS):
            await asyncio.wait({asking}, timeout=PATIENCE)
        assert asking.done(), "it keeps asking"
        await client.aclose()


def test_an_outage_is_one_line_and_another_each_minute(caplog: pytest.LogCaptureFixture) -> None:
    clock = FakeClock()
    fell: list[None] = []
    pipeline = a_pipeline(None, clock, fell=lambda: fell.append(None))
    pipeline.up = True
    # Redis answers, and has lost the scripts.
    pipeline.fall(NoScriptError())
    assert not fell
    for error in (TimeoutError(), ConnectionError(), TimeoutError()):
        pipeline.fall(error)
    assert [each.getMessage() for each in caplog.records] == ["redis is away reason=TimeoutError"]
    # This does not pass by itself.
    pipeline.fall(ConfigError("The layout is another one."))
    clock.advance(bounds.SAY_AGAIN_SECONDS)
    pipeline.fall(ConnectionError())
    reasons = [each.getMessage().partition("reason=")[2] for each in caplog.records[1:]]
    assert reasons == ['"The layout is another one."', "ConnectionError"]
    assert not pipeline.up
    assert len(fell) == 1


async def test_one_round_trip_to_redis_carries_a_bounded_number_of_bytes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    needs("redis-server")
    # This test is about bytes, not about time.
    monkeypatch.setattr(bounds, "ROUND_TRIP_SECONDS", PATIENCE)
    async with redis_server() as redis:
        client = connect(redis.url, None)
        pipeline = a_pipeline(client, LoopClock())
        answered: list[int] = []

        def answer(number: int, _: object) -> None:
            answered.append(number)

        make = ("XADD", "dyad:in:b", "*", "entry", "")
        command = RedisCommand(lambda: make, lambda _: None)
        command.expect(LoopClock(), 60)
        pipeline.ask(command)
        for number in range(8):
            command = RedisCommand(
                lambda: ("SET", "dyad:large", b"x" * 400_000),
                partial(answer, number),
            )
            command.size = 400_000
            command.expect(LoopClock(), 60)
            pipeline.ask(command)
        for _ in range(400):
            pipeline.post("b", {"kind": "x" * 40_000})
        await pipeline.flush()
        assert 0 < len(answered) <= 3, "a round trip is so large that the lease is late"
        for _ in range(20):
            await pipeline.flush()
        assert answered == list(range(8)), "not in the order of the requests"
        await client.aclose()


async def test_messages_of_one_moment_go_in_one_entry_and_the_first_of_them_at_once() -> None:
    needs("redis-server")
    async with redis_server() as redis, Redis(port=redis.port) as store:
        clock, client = FakeClock(), connect(redis.url, None)
        pipeline = a_pipeline(client, clock)
        await pipeline.flush()
        await store.xadd("dyad:in:b", {"entry": ""}, maxlen=0, approximate=False)
        asking = asyncio.create_task(pipeline.keep_asking())

        async def post(text: str, seconds: float = 0.0) -> None:
            pipeline.post("b", {"kind": text}, seconds)
            clock.advance(0)
            # Time for a round trip, if one were to begin.
            for _ in range(STEPS):
                await asyncio.sleep(0)

        async def arrived(count: int) -> list[list[str]]:
            async with within(PATIENCE):
                while await store.xlen("dyad:in:b") < count:  # noqa: ASYNC110 - asked, it does not tell
                    await asyncio.sleep(0.01)
            entries: Any = await store.xrange("dyad:in:b")
            packed = [ENTRY.unpack(fields[b"entry"]) for _, fields in entries]
            return [[each["kind"] for each in entry.messages] for entry in packed]

        await post("first")
        assert await arrived(1) == [["first"]]
        await post("second")
        await post("third")
        clock.advance(bounds.POST_SECONDS)
        assert (await arrived(2))[1:] == [["second", "third"]]
        clock.advance(bounds.POST_SECONDS)
        await post("an acknowledgement", bounds.ACK_SECONDS)
        await post("an answer")
        assert (await arrived(3))[2:] == [["an acknowledgement", "an answer"]]
        await post("another one", bounds.ACK_SECONDS)
        clock.advance(bounds.ACK_SECONDS)
        assert (await arrived(4))[3:] == [["another one"]]
        pipeline.stop(0.0)
        await asking
        await client.aclose()


async def test_a_connection_that_closes_during_a_write_is_a_failure_of_redis() -> None:
    needs("redis-server")
    async with redis_server() as redis:
        failures: set[type[BaseException]] = set()
        # The connection is closed at each step of a round trip.
        for steps in range(STEPS):
            client = connect(redis.url, None)
            asking = asyncio.create_task(Wire(client, 1.0).ask([("TIME",)]))
            for _ in range(steps):
                await asyncio.sleep(0)
            await hang_up(client)
            await asyncio.wait({asking})
            if (failure := asking.exception()) is not None:
                failures.add(type(failure))
            await client.aclose()
        assert failures, "no step was late enough"
        assert all(issubclass(failure, FAILURES) for failure in failures), failures
