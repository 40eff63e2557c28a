"""What a server requires of its Redis, and the sentence where Redis does not fit."""

from pathlib import Path

import pytest
from dyad_server.engines.redis.store import schema_sentence
from redis.asyncio import Redis

from tests.conftest import SECRET
from tests.nodes.fleet import serve_to_the_end
from tests.support.certificates import certificate
from tests.support.needs import needs
from tests.support.ports import free_port
from tests.support.process import dyad_serve
from tests.support.redis import PASSWORD, RIGHTS, redis_server


async def test_a_redis_cluster_is_refused_with_a_sentence() -> None:
    needs("redis-server")
    # By itself, its second port would be one that the system may have given to a connection.
    port = str(free_port())
    async with redis_server("--cluster-enabled", "yes", "--cluster-port", port) as redis:
        status, said = await serve_to_the_end(redis.url)
    assert status == 2
    assert "dyad: This is a Redis Cluster. Dyad needs a standalone Redis or Sentinel" in said


async def test_a_wrong_password_is_refused_and_not_quoted() -> None:
    needs("redis-server")
    async with redis_server() as redis:
        for url in (
            redis.url.replace(PASSWORD, "not-this-one"),
            f"redis://dyad:not/this-one@127.0.0.1:{redis.port}",
        ):
            status, said = await serve_to_the_end(url)
            assert status == 2
            assert "dyad: " in said
            assert "Redis" in said
            assert "Traceback" not in said
            assert "this-one" not in said


@pytest.mark.parametrize(
    "rights", ["-@all +info", RIGHTS.replace(" +time", "")], ids=["of commands", "of a script"]
)
async def test_a_right_that_is_missing_is_noticed_at_the_start(rights: str) -> None:
    needs("redis-server")
    user = ("--user", "poor", "on", ">poor", "~dyad:*", *rights.split())
    async with redis_server(*user) as redis:
        status, said = await serve_to_the_end(f"redis://poor:poor@127.0.0.1:{redis.port}")
    assert status == 2
    assert "or a missing right (NoPermissionError). `dyad doctor` says which." in said
    assert "Traceback" not in said


async def test_data_in_another_layout_is_refused_with_a_sentence_and_left_alone() -> None:
    needs("redis-server")
    async with redis_server() as redis, Redis(port=redis.port) as client:
        await client.set("dyad:schema", "2")
        status, said = await serve_to_the_end(redis.url)
        assert status == 2
        assert f"dyad: {schema_sentence('DYADSCHEMA 2', 'dyad:')}" in said
        assert "Traceback" not in said
        assert await client.keys("*") == [b"dyad:schema"]
        # A deployment with another prefix can use the same Redis.
        url = redis.url.replace("//dyad:", "//default:")
        async with dyad_serve(SECRET, "--redis", url, "--redis-prefix", "other") as served:
            assert "redis is there" in served.command.said
        assert await client.get("dyad:schema") == b"2"


async def test_redis_over_tls_is_checked_and_used(tmp_path: Path) -> None:
    needs("redis-server")
    own, foreign = certificate(tmp_path, "redis"), certificate(tmp_path, "foreign")
    port = free_port()
    files = ("--tls-cert-file", own.cert, "--tls-key-file", own.key, "--tls-ca-cert-file", own.cert)
    async with redis_server("--tls-port", str(port), *files, "--tls-auth-clients", "no") as redis:
        secure = redis.through(port).replace("redis://", "rediss://")
        async with dyad_serve(SECRET, "--redis", f"{secure}?ssl_ca_certs={own.cert}") as served:
            assert "listening" in served.command.said
        status, said = await serve_to_the_end(f"{secure}?ssl_ca_certs={foreign.cert}")
    assert status == 2
    assert "The certificate of Redis is not trusted" in said


async def test_a_redis_that_may_evict_rooms_is_warned_of() -> None:
    needs("redis-server")
    async with (
        redis_server("--maxmemory-policy", "volatile-lru") as redis,
        dyad_serve(SECRET, "--redis", redis.url) as served,
    ):
        assert "maxmemory-policy is volatile-lru. Set noeviction." in served.command.said
