"""Redis behind Sentinels: failover, credentials, addresses."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import grpc
import pytest
from redis.asyncio import Redis

from tests.conftest import SECRET
from tests.nodes.callers import (
    end,
    meet,
)
from tests.nodes.fleet import serve_to_the_end
from tests.support.needs import needs
from tests.support.ports import free_port
from tests.support.process import command, dyad_serve
from tests.support.redis import PASSWORD, redis_server
from tests.support.until import PATIENCE

SENTINEL_PASSWORD = "of-the-sentinels"


@asynccontextmanager
async def sentinel(main: int, folder: Path) -> AsyncIterator[int]:
    """A Sentinel that monitors the Redis on port `main` and its replica; yields its port."""
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
                status, said = await serve_to_the_end(wrong)
                assert status == 2
                assert sentence in said
                assert PASSWORD not in said
            async with dyad_serve(SECRET, "--redis", f"{url}calls?{login}") as served:
                assert "redis is there" in served.command.said
