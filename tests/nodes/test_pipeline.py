"""The round trips in which a node writes to Redis: their size, and their end."""

import asyncio
from functools import partial

from dyad_server.engines.redis.client import FAILURES, connect, hang_up
from dyad_server.engines.redis.pipeline import Pipeline, RedisCommand
from dyad_server.engines.redis.store import Store
from dyad_server.ops.clock import LoopClock

from tests.support.clock import within
from tests.support.needs import needs
from tests.support.redis import redis_server
from tests.support.until import PATIENCE

GIVEN_UP_SECONDS = 3.0
STEPS = 60


async def test_a_node_that_stops_while_redis_is_away_ends_by_itself() -> None:
    needs("redis-server")
    async with redis_server() as redis:
        client = connect(redis.url, timeout=1.0)
        pipeline = Pipeline(
            client,
            Store("dyad:"),
            "a",
            LoopClock(),
            opening=lambda: RedisCommand(lambda _: None, lambda _: None),
            fell=lambda: None,
            took=lambda _: None,
        )
        await pipeline.load()
        asking = asyncio.create_task(pipeline.keep_asking())
        await redis.end()
        command = RedisCommand(lambda pipe: pipe.exists("dyad:generation"), lambda _: None)
        command.expect(LoopClock(), seconds=0.1, persist=60.0)
        pipeline.ask(command)
        pipeline.stop(0.5)
        async with within(GIVEN_UP_SECONDS):
            await asyncio.wait({asking}, timeout=PATIENCE)
        assert asking.done(), "it keeps asking"
        await client.aclose()


async def test_one_round_trip_to_redis_carries_a_bounded_number_of_bytes() -> None:
    needs("redis-server")
    async with redis_server() as redis:
        client = connect(redis.url, 10.0)
        opening = RedisCommand(lambda pipe: pipe.time(), lambda _: None)
        pipeline = Pipeline(
            client,
            Store("dyad:"),
            "a",
            LoopClock(),
            opening=lambda: opening,
            fell=lambda: None,
            took=lambda _: None,
        )
        answered: list[int] = []

        def answer(number: int, _: object) -> None:
            answered.append(number)

        command = RedisCommand(lambda pipe: pipe.hset("dyad:node:b", "term", 1), lambda _: None)
        command.expect(LoopClock(), 60)
        pipeline.ask(command)
        for number in range(8):
            command = RedisCommand(
                lambda pipe: pipe.set("dyad:large", b"x" * 400_000),
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


async def test_a_connection_that_closes_during_a_write_is_a_failure_of_redis() -> None:
    needs("redis-server")
    async with redis_server() as redis:
        failures: set[type[BaseException]] = set()
        # The connection is closed at each step of a round trip.
        for steps in range(STEPS):
            client = connect(redis.url, timeout=1.0)
            asking = asyncio.create_task(client.pipeline(transaction=False).time().execute())
            for _ in range(steps):
                await asyncio.sleep(0)
            await hang_up(client)
            await asyncio.wait({asking})
            if (failure := asking.exception()) is not None:
                failures.add(type(failure))
            await client.aclose()
        assert failures, "no step was late enough"
        assert all(issubclass(failure, FAILURES) for failure in failures), failures
