"""Redis away, back, empty, or replaced; what nodes need of it and leave in it."""

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

import grpc
import pytest
from dyad.v1 import signaling_pb2 as pb
from dyad_server.engines.redis.client import connect
from dyad_server.engines.redis.pipeline import Call, Pipeline
from dyad_server.engines.redis.store import Store, schema_sentence
from dyad_server.ops.clock import LoopClock
from redis.asyncio import Redis

from tests.conftest import SECRET
from tests.nodes.fleet import Fleet, Node, fleet
from tests.nodes.test_processes import end, lost_nothing, meet, pair, talk
from tests.support.certificates import certificate
from tests.support.clock import within
from tests.support.ends import SignalEnd, join, offer
from tests.support.needs import needs
from tests.support.ports import free_port
from tests.support.process import DYAD, command, dyad_serve, run
from tests.support.redis import PASSWORD, RIGHTS, redis_server
from tests.support.redis_page import ROWS
from tests.support.until import PATIENCE

SERVED_SECONDS = 5.0
GRACE_SECONDS = 120
NOTICED_SECONDS = 3.0
GIVEN_UP_SECONDS = 3.0
REFUSED_SECONDS = 2.0
START_SECONDS = 20.0
SENTINEL_PASSWORD = "of-the-sentinels"


async def refused(there: SignalEnd) -> grpc.StatusCode:
    with contextlib.suppress(grpc.aio.AioRpcError):
        await there.send(join())
    ended = await there.status()
    assert ended is not None
    code: grpc.StatusCode = ended.code()
    return code


@pytest.mark.parametrize("fault", ["killed", "stalled"])
async def test_without_redis_joins_are_refused_pairs_go_on_and_health_is_not_serving(
    fault: str,
) -> None:
    async with fleet(count=2) as here, AsyncExitStack() as stack:
        one = here.nodes[0]
        alice = await stack.enter_async_context(end(one, "alice"))
        bob = await stack.enter_async_context(end(one, "bob"))
        room_id = await meet(alice, bob)
        if fault == "killed":
            await here.engine.redis.end()
        else:
            one.network.stall()
        began = time.monotonic()
        carol = await stack.enter_async_context(end(one, "carol"))
        async with within(REFUSED_SECONDS):
            assert await refused(carol) is grpc.StatusCode.UNAVAILABLE
        await one.says("NOT_SERVING", NOTICED_SECONDS)
        # Past the lease too.
        while time.monotonic() - began < 8:
            assert await one.health("") == "SERVING"
            await alice.send(offer(room_id, "still here"))
            assert (await bob.hear()).offer.sdp == "still here"
            await asyncio.sleep(0.5)
        if fault == "killed":
            await here.engine.restart()
        else:
            one.network.resume_forwarding()
        await one.says("SERVING", SERVED_SECONDS)
        await alice.send(offer(room_id, "and after"))
        assert (await bob.hear()).offer.sdp == "and after"
        carol = await stack.enter_async_context(end(here.nodes[1], "carol"))
        await carol.send(join(room_id))
        assert (await carol.hear()).error.code == pb.Error.CODE_ROOM_FULL


async def test_a_node_that_stops_while_redis_is_away_ends_by_itself() -> None:
    needs("redis-server")
    async with redis_server() as redis:
        client = connect(redis.url, timeout=1.0)
        pipeline = Pipeline(
            client,
            Store("dyad:"),
            "a",
            LoopClock(),
            opening=lambda: Call(lambda _: None, lambda _: None),
            fell=lambda: None,
        )
        await pipeline.load()
        asking = asyncio.create_task(pipeline.keep_asking())
        await redis.end()
        call = Call(lambda pipe: pipe.exists("dyad:generation"), lambda _: None)
        call.expect(LoopClock(), seconds=0.1, persist=60.0)
        pipeline.ask(call)
        pipeline.stop(0.5)
        async with within(GIVEN_UP_SECONDS):
            await asyncio.wait({asking}, timeout=PATIENCE)
        assert asking.done(), "it asks on"
        await client.aclose()


async def answered(node: Node, room_id: str) -> pb.Error.Code:
    """What Carol is answered who wants to join, as soon as rooms can be entered."""
    async with within(SERVED_SECONDS):
        while True:
            async with end(node, "carol") as carol:
                with contextlib.suppress(grpc.aio.AioRpcError):
                    await carol.send(join(room_id))
                    return (await carol.hear()).error.code


async def forget(here: Fleet) -> None:
    await here.engine.flush()


async def restart(here: Fleet) -> None:
    await here.engine.restart()


async def fail_over(here: Fleet) -> None:
    await here.engine.promote(here.networks)
    for network in here.networks:
        await network.cut()


async def stall(here: Fleet) -> None:
    for network in here.networks:
        network.stall()
    await asyncio.sleep(3)
    for network in here.networks:
        network.resume_forwarding()


async def cut(here: Fleet) -> None:
    for network in here.networks:
        await network.cut()


@pytest.mark.parametrize("fault", [forget, restart, fail_over, stall, cut])
async def test_a_redis_outage_of_five_seconds_disturbs_no_call_and_admits_no_third(
    fault: object,
) -> None:
    async with fleet() as here:
        one, two, three = here.nodes
        await here.engine.replicate()
        async with pair(here, [one], [two]) as (alice, bob):
            over = asyncio.Event()
            async with asyncio.TaskGroup() as talking:
                talking.create_task(talk(alice, bob, "a", over))
                talking.create_task(talk(bob, alice, "b", over))
                await asyncio.sleep(0.5)
                assert callable(fault)
                await fault(here)
                assert await answered(three, alice.room_id) == pb.Error.CODE_ROOM_FULL
                over.set()
            assert lost_nothing(alice), alice.told
            assert lost_nothing(bob), bob.told


async def test_a_redis_cluster_is_refused_with_a_sentence() -> None:
    needs("redis-server")
    async with redis_server("--cluster-enabled", "yes") as redis:
        status, said = await _try(redis.url)
    assert status == 2
    assert "dyad: This is a Redis Cluster. Dyad needs a standalone Redis or Sentinel" in said


async def test_a_wrong_password_is_refused_and_not_quoted() -> None:
    needs("redis-server")
    async with redis_server() as redis:
        for url in (
            redis.url.replace(PASSWORD, "not-this-one"),
            f"redis://dyad:not/this-one@127.0.0.1:{redis.port}",
        ):
            status, said = await _try(url)
            assert status == 2
            assert "dyad: " in said
            assert "Redis" in said
            assert "Traceback" not in said
            assert "this-one" not in said


async def test_a_right_that_is_missing_is_noticed_at_the_start() -> None:
    needs("redis-server")
    async with redis_server("--user", "poor", "on", ">poor", "~dyad:*", "-@all", "+info") as redis:
        status, said = await _try(f"redis://poor:poor@127.0.0.1:{redis.port}")
    assert status == 2
    assert "it refuses the user, the password or a right (NoPermissionError)" in said
    assert "Traceback" not in said


async def _try(url: str) -> tuple[int, str]:
    env = os.environ | {"DYAD_JWT_SECRET": SECRET, "DYAD_REDIS": url}
    return await run(DYAD, "serve", "--port", "0", env=env)


async def test_data_in_another_layout_is_refused_with_a_sentence_and_left_alone() -> None:
    needs("redis-server")
    async with redis_server() as redis, Redis(port=redis.port) as client:
        await client.set("dyad:schema", "2")
        status, said = await _try(redis.url)
        assert status == 2
        assert f"dyad: {schema_sentence('DYADSCHEMA 2', 'dyad:')}" in said
        assert "Traceback" not in said
        assert await client.keys("*") == [b"dyad:schema"]
        # Another fleet beside it is no harm.
        url = redis.url.replace("//dyad:", "//default:")
        async with dyad_serve(SECRET, "--redis", url, "--redis-prefix", "other") as served:
            assert "redis is there" in served.command.said
        assert await client.get("dyad:schema") == b"2"


async def test_a_redis_that_forgot_and_has_another_layout_by_now_is_not_served() -> None:
    async with fleet(count=2) as here, AsyncExitStack() as stack:
        one = here.nodes[0]
        alice = await stack.enter_async_context(end(one, "alice"))
        bob = await stack.enter_async_context(end(one, "bob"))
        room_id = await meet(alice, bob)
        async with Redis(port=here.engine.redis.port) as client:
            await client.flushall()
            await client.set("dyad:schema", "2")
            await one.says("NOT_SERVING", NOTICED_SECONDS)
            assert "The data in Redis has layout 2" in one.said
            carol = await stack.enter_async_context(end(one, "carol"))
            async with within(REFUSED_SECONDS):
                assert await refused(carol) is grpc.StatusCode.UNAVAILABLE
            assert await client.keys("*") == [b"dyad:schema"]
            await client.delete("dyad:schema")
        await one.says("SERVING", START_SECONDS)
        await alice.send(offer(room_id, "still here"))
        assert (await bob.hear()).offer.sdp == "still here"


async def test_redis_over_tls_is_checked_and_used(tmp_path: Path) -> None:
    needs("redis-server")
    own, foreign = certificate(tmp_path, "redis"), certificate(tmp_path, "foreign")
    port = free_port()
    files = ("--tls-cert-file", own.cert, "--tls-key-file", own.key, "--tls-ca-cert-file", own.cert)
    async with redis_server("--tls-port", str(port), *files, "--tls-auth-clients", "no") as redis:
        secure = redis.through(port).replace("redis://", "rediss://")
        async with dyad_serve(SECRET, "--redis", f"{secure}?ssl_ca_certs={own.cert}") as served:
            assert "listening" in served.command.said
        status, said = await _try(f"{secure}?ssl_ca_certs={foreign.cert}")
    assert status == 2
    assert "Redis does not serve" in said


@asynccontextmanager
async def sentinel(main: int, folder: Path) -> AsyncIterator[int]:
    """A Sentinel that watches over the Redis on port `main`, and over its replica."""
    port = free_port()
    file = folder / "sentinel.conf"
    file.write_text(
        f"port {port}\nbind 127.0.0.1\n"
        f"sentinel monitor mymaster 127.0.0.1 {main} 1\n"
        "sentinel down-after-milliseconds mymaster 5000\n"
        "sentinel failover-timeout mymaster 5000\n"
    )
    async with (
        command("redis-server", str(file), "--sentinel") as watching,
        Redis(port=port, decode_responses=True) as client,
        asyncio.timeout(PATIENCE),
    ):
        await watching.says(r"\+slave slave")
        await client.ping()
        yield port


async def test_a_failover_by_sentinel_is_followed(tmp_path: Path) -> None:
    needs("redis-server")
    fast = ("--repl-diskless-sync-delay", "0")
    async with (
        redis_server(*fast) as main,
        redis_server(*fast, "--replicaof", f"127.0.0.1 {main.port}"),
        sentinel(main.port, tmp_path) as port,
        AsyncExitStack() as stack,
    ):
        url = f"sentinel://dyad:{PASSWORD}@127.0.0.1:{port}/mymaster"
        await main.settle()
        nodes = [
            await stack.enter_async_context(dyad_serve(SECRET, "--redis", url)) for _ in range(2)
        ]
        alice, bob = [
            await stack.enter_async_context(end(node, name))
            for node, name in zip(nodes, ("alice", "bob"), strict=True)
        ]
        await meet(alice, bob)
        await main.end()
        async with asyncio.timeout(PATIENCE):
            while True:
                async with end(nodes[0], "carol") as carol, end(nodes[1], "dave") as dave:
                    with contextlib.suppress(grpc.aio.AioRpcError, EOFError):
                        await meet(carol, dave)
                        return


@pytest.mark.xdist_group("crowd")
async def test_every_key_in_redis_expires_and_every_right_is_needed() -> None:
    async with fleet() as here:
        nodes = here.nodes
        async with Redis(port=here.engine.redis.port, decode_responses=True) as redis:
            await redis.config_resetstat()
            over = asyncio.Event()
            async with AsyncExitStack() as stack, asyncio.TaskGroup() as talking:
                pairs = [
                    await stack.enter_async_context(pair(here, [nodes[n]], [nodes[m]]))
                    for n in range(3)
                    for m in range(3)
                ]
                for alice, bob in pairs:
                    talking.create_task(talk(alice, bob, "a", over))
                    talking.create_task(talk(bob, alice, "b", over))
                    alice.way.nodes = bob.way.nodes = nodes
                for turn in range(20):
                    alice, bob = pairs[turn % 9]
                    await alice.way.cut()
                    async with (
                        end(nodes[turn % 3], "carol") as carol,
                        end(nodes[0], "dave") as dave,
                    ):
                        await meet(carol, dave)
                    if turn == 10:
                        await nodes[2].drain()
                        await nodes[2].start()
                        assert await _without_end(redis) == []
                over.set()
            assert await _without_end(redis) == []
            for key in await redis.keys("dyad:in:*"):
                # Three seconds of all that crosses, at the most.
                assert await redis.xlen(key) < 2000
            called = await redis.info("commandstats")
            for node in nodes:
                await node.kill()
            assert await _without_end(redis) == []
            for key in await redis.keys("*"):
                assert isinstance(key, str)
                row = ROWS[key.split(":")[1]]
                assert await redis.type(key) == row.type, key
                assert await redis.pttl(key) <= (row.seconds or GRACE_SECONDS) * 1000, key
                if row.type == "hash":
                    fields = set(await redis.hkeys(key))
                    assert fields <= row.fields, key
    granted = {word[1:] for word in RIGHTS.split() if word.startswith("+")}
    assert granted == {name.removeprefix("cmdstat_") for name in called} & granted


async def _without_end(redis: Redis) -> list[str | bytes]:
    return [key for key in await redis.keys("*") if await redis.pttl(key) == -1]


async def test_a_node_whose_redis_is_away_at_the_start_serves_as_soon_as_it_comes() -> None:
    async with fleet(count=1) as here:
        (node,) = here.nodes
        await node.close()
        await here.engine.redis.end()
        await node.start()
        await node.says("NOT_SERVING", SERVED_SECONDS)
        async with end(node, "alice") as alice:
            assert await refused(alice) is grpc.StatusCode.UNAVAILABLE
        assert "redis is away" in node.said
        await here.engine.restart()
        await node.says("SERVING", START_SECONDS)
        async with end(node, "alice") as alice, end(node, "bob") as bob:
            await meet(alice, bob)


async def test_two_environments_on_one_redis_share_no_rooms() -> None:
    needs("redis-server")
    rights = ("--user", "two", "on", f">{PASSWORD}", *RIGHTS.replace("dyad:", "two:").split())
    async with redis_server(*rights) as redis, AsyncExitStack() as stack:
        one = await stack.enter_async_context(dyad_serve(SECRET, "--redis", redis.url))
        other = redis.url.replace("dyad:", "two:")
        options = ("--redis", other, "--redis-prefix", "two")
        two = await stack.enter_async_context(dyad_serve(SECRET, *options))
        async with end(one, "alice") as alice, end(two, "bob") as bob:
            await alice.send(join())
            room_id = (await alice.hear()).room_id
            await bob.send(join(room_id))
            assert (await bob.hear()).error.code == pb.Error.CODE_ROOM_NOT_FOUND


async def test_a_redis_that_may_evict_rooms_is_warned_of() -> None:
    needs("redis-server")
    async with (
        redis_server("--maxmemory-policy", "volatile-lru") as redis,
        dyad_serve(SECRET, "--redis", redis.url) as served,
    ):
        assert "maxmemory-policy is volatile-lru. Set noeviction." in served.command.said


@pytest.mark.parametrize("user", ["", "watch"], ids=["a password", "a user"])
async def test_sentinels_with_their_own_credentials_and_ipv6_addresses_work(
    user: str, tmp_path: Path
) -> None:
    needs("redis-server")
    rights = f"user watch on >{SENTINEL_PASSWORD} allchannels +@all\nuser default off\n"
    own = rights if user else f"requirepass {SENTINEL_PASSWORD}\n"
    port = free_port()
    async with redis_server() as main, redis_server("--replicaof", f"127.0.0.1 {main.port}"):
        file = tmp_path / "sentinel.conf"
        file.write_text(
            f"port {port}\nbind ::1\nsentinel monitor calls 127.0.0.1 {main.port} 1\n{own}"
        )
        async with command("redis-server", str(file), "--sentinel") as watching:
            await watching.says(r"\+monitor master calls")
            login = f"sentinel_password={SENTINEL_PASSWORD}"
            login += f"&sentinel_username={user}" if user else ""
            url = f"sentinel://dyad:{PASSWORD}@[::1]:{port},[::1]:{free_port()}/"
            for wrong, sentence in (
                (f"{url}calls", "A Sentinel refuses its login"),
                (f"{url}calls?sentinel_password=wrong", "A Sentinel refuses its login"),
                (f"{url}others?{login}", "The Sentinels know no service of the name"),
            ):
                status, said = await _try(wrong)
                assert status == 2
                assert sentence in said
                assert PASSWORD not in said
            async with dyad_serve(SECRET, "--redis", f"{url}calls?{login}") as served:
                assert "redis is there" in served.command.said


async def test_one_round_trip_to_redis_carries_a_bounded_number_of_bytes() -> None:
    needs("redis-server")
    async with redis_server() as redis:
        client = connect(redis.url, 10.0)
        opening = Call(lambda pipe: pipe.time(), lambda _: None)
        pipeline = Pipeline(
            client, Store("dyad:"), "a", LoopClock(), opening=lambda: opening, fell=lambda: None
        )
        answered: list[int] = []

        def answer(number: int, _: object) -> None:
            answered.append(number)

        call = Call(lambda pipe: pipe.hset("dyad:node:b", "term", 1), lambda _: None)
        call.expect(LoopClock(), 60)
        pipeline.ask(call)
        for number in range(8):
            call = Call(
                lambda pipe: pipe.set("dyad:large", b"x" * 400_000),
                partial(answer, number),
            )
            call.size = 400_000
            call.expect(LoopClock(), 60)
            pipeline.ask(call)
        for _ in range(400):
            pipeline.post("b", {"kind": "x" * 40_000})
        await pipeline.flush()
        assert 0 < len(answered) <= 3, "more than a round trip may carry, and its lease is late"
        for _ in range(20):
            await pipeline.flush()
        assert answered == list(range(8)), "in the order of the questions"
        await client.aclose()
