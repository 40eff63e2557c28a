"""`dyad doctor` names what is wrong with settings, keys, ports, Redis and a server."""

import asyncio
import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import jwt
import pytest
from dyad_server.config import Config
from dyad_server.doctor import bounds
from dyad_server.doctor.examination import Patient, run
from dyad_server.doctor.findings import Finding, Level
from dyad_server.ops.clock import LoopClock
from redis.asyncio import Redis

from tests.conftest import SECRET, serving
from tests.support.certificates import certificate
from tests.support.doctor import BARE, examine
from tests.support.issuer import es256, issuing
from tests.support.needs import needs
from tests.support.ports import free_port
from tests.support.process import DYAD, dyad_serve
from tests.support.process import run as run_command
from tests.support.proxy import Proxy
from tests.support.redis import PASSWORD, redis_server, settled_redis

KEYED = {"DYAD_JWT_SECRET": SECRET}


def at(port: int) -> str:
    return f"127.0.0.1:{port}"


async def test_a_healthy_server_has_nothing_wrong_and_a_call_is_timed() -> None:
    metrics = free_port()
    async with dyad_serve(SECRET, "--metrics-port", str(metrics)) as served:
        ports = ("--port", str(served.port), "--metrics-port", str(metrics))
        found = await examine(*ports, "--target", at(served.port), env=KEYED)
    assert found.bad == set(), found.said
    assert found.status == 0
    measured = found.the("call")["measured"]
    assert 0 < measured["passed_least_ms"] <= measured["passed_most_ms"]
    assert {each["name"] for each in found.findings} >= {"port_of_dyad", "health", "reflection"}


async def test_a_healthy_server_with_tls_has_nothing_wrong(tmp_path: Path) -> None:
    own = certificate(tmp_path, "own")
    tls = ("--tls-cert", own.cert, "--tls-key", own.key)
    async with dyad_serve(SECRET, *tls) as served:
        ports = ("--port", str(served.port), "--ca", own.cert)
        found = await examine(*tls, *ports, "--target", at(served.port), env=KEYED)
    assert found.bad == set(), found.said
    assert found.the("port_of_dyad")


async def test_for_people_it_prints_a_line_for_each_finding() -> None:
    status, said = await run_command(DYAD, "doctor", "--port", "0", env=BARE | KEYED)
    assert status == 0
    assert said.splitlines()[:2] == ["settings", "  ok settings: The settings are good."]
    assert said.splitlines()[-1] == "Nothing is wrong."
    status, said = await run_command(
        DYAD, "doctor", "--port", "0", "--target", at(free_port()), env=BARE | KEYED
    )
    assert status == 2
    assert said.splitlines()[-1] == "Found: 1 error."


async def test_settings_that_are_wrong_are_errors_and_what_runs_is_examined_nevertheless() -> None:
    async with dyad_serve(SECRET) as served:
        found = await examine("--lease", "1", "--target", at(served.port), env={})
    assert found.status == 2
    assert [each["level"] for each in found.findings if each["area"] == "settings"] == ["error"] * 2
    assert found.bad == {"settings", "no_tokens"}
    assert found.the("health")
    found = await examine(env=KEYED | {"DYAD_TRUSTED_PROXIES": "10.0.0.0/8", "DYAD_PORT": "0"})
    assert found.status == 1
    assert found.bad == {"settings"}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--target", "localhost"), "--target is not HOST:PORT: localhost."),
        (("--target", "http://localhost:1"), "--target is not HOST:PORT"),
        (("--url", "call.example.com"), "--url is not an http or https URL."),
        (("--url", "https://u:secret@call.example.com"), "--url has a login"),
        (("--url", "https://[::1"), "--url is not an http or https URL."),
        (("--url", "https://x", "--origin", "nowhere"), "--origin is not an http or https URL."),
        (("--hold", "nan"), "--hold must be 0 to 3,600 seconds."),
        (("--token-file", "/no/file"), "--token-file: /no/file: No such file"),
        (("--target", "localhost:1", "--ca", "/no/file"), "--ca: /no/file: No such file"),
        (("--target", "localhost:1", "--ca", __file__), "is not a PEM file of certificates."),
    ],
)
async def test_a_mistake_on_the_command_line_ends_with_a_sentence(
    options: tuple[str, ...], says: str
) -> None:
    status, said = await run_command(DYAD, "doctor", *options, env=BARE | KEYED)
    assert status == 2
    assert says in said
    assert "Traceback" not in said
    assert "secret" not in said


async def test_the_wrong_key_is_named() -> None:
    async with dyad_serve(SECRET) as served:
        other = {"DYAD_JWT_SECRET": secrets.token_hex(32)}
        found = await examine("--port", "0", "--target", at(served.port), env=other)
    assert found.bad == {"wrong_key"}
    assert "signature does not match" in found.the("wrong_key")["sentence"]


async def test_the_wrong_audience_is_named() -> None:
    async with dyad_serve(SECRET, "--jwt-audience", "calls") as served:
        target = ("--port", "0", "--target", at(served.port))
        found = await examine(*target, "--jwt-audience", "call", env=KEYED)
        assert found.bad == {"wrong_audience"}
        found = await examine(*target, "--jwt-audience", "calls", env=KEYED)
        assert found.bad == set()


@pytest.mark.parametrize(("claim", "option"), [("aud", "--jwt-audience"), ("iss", "--jwt-issuer")])
async def test_what_a_token_of_the_app_has_and_what_the_server_wants_is_named(
    claim: str, option: str, tmp_path: Path
) -> None:
    name = {"aud": "wrong_audience", "iss": "wrong_issuer"}[claim]
    file = tmp_path / "tokens"
    file.write_text(jwt.encode({"sub": "alice", "exp": 2**40, claim: "call"}, SECRET))
    settings = ("--port", "0", option, "calls")
    found = await examine(*settings, "--token-file", str(file), env=KEYED)
    assert found.bad == {name}
    assert f"It has call, and {option} is calls." in found.the(name)["sentence"]
    assert "alice" not in found.said
    # Its own tokens always fit, and it says what that means.
    found = await examine(*settings, env=KEYED)
    assert "--token-file" in found.the("own_tokens")["sentence"]


async def test_tokens_of_the_app_are_checked_with_the_issuers_keys(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    key, other = es256("one"), es256("two")
    with issuing(key) as issuer:
        issuer.headers = {"Date": "Thu, 01 Jan 2026 00:00:00 GMT"}
        keys = ("--port", "0", "--jwt-jwks-url", issuer.url, "--token-file", str(file))
        file.write_text(f"{key.token('alice')}\n{other.token('bob')}\n")
        found = await examine(*keys, env={})
        # The clock of this issuer stands still.
        assert found.bad == {"wrong_key", "clock_off"}
        assert "Token 2 of --token-file" in found.the("wrong_key")["sentence"]
        assert other.token("bob").split(".")[2] not in found.said
        issuer.headers = {}
        file.write_text(f"{key.token('alice')}\n{key.token('alice')}\n")
        assert (await examine(*keys, env={})).bad == {"same_user"}
        file.write_text(f"{key.token('alice')}\n{key.token('bob')}\n")
        async with dyad_serve_with(issuer.url) as target:
            found = await examine(*keys, "--target", target, env={})
    assert found.bad == set()
    assert found.the("call")
    assert (await examine(*keys, env={})).bad == {"keys_away"}


@asynccontextmanager
async def dyad_serve_with(url: str) -> AsyncIterator[str]:
    """The address of a server with the keys at a URL."""
    async with serving(jwt_secret="", jwt_jwks_url=url) as server:
        yield at(server.port)


async def test_without_tokens_no_call_is_made_and_it_says_so() -> None:
    key = es256("one")
    with issuing(key) as issuer:
        async with dyad_serve_with(issuer.url) as target:
            urls = ("--port", "0", "--jwt-jwks-url", issuer.url)
            found = await examine(*urls, "--target", target, env={})
    assert found.bad == {"no_tokens"}
    assert found.status == 1


class Off(LoopClock):
    """The clock of a machine that nobody synchronizes."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        right = self.unix_time
        self.unix_time = lambda: right() + seconds


async def findings_at(clock: LoopClock, **settings: Any) -> list[Finding]:
    found: list[Finding] = []
    targets = settings.pop("targets", ())
    config = Config(jwt_secret=SECRET, port=0, **settings)
    patient = Patient(config=config, targets=targets)
    await run(patient, clock, lambda _: None, lambda _, finding: found.append(finding))
    return found


@pytest.mark.parametrize(
    ("off", "level"), [(90, Level.ERROR), (-90, Level.ERROR), (8, Level.WARNING)]
)
async def test_a_clock_that_is_off_is_named_by_the_time_of_redis(off: int, level: Level) -> None:
    async with settled_redis() as redis:
        found = await findings_at(Off(off), redis=redis.url)
        (bad,) = [each for each in found if each.level]
        assert (bad.name, bad.level) == ("clock_off", level)
        assert ("ahead of" if off > 0 else "behind") in bad.sentence
        assert bad.measured["ahead_s"] == pytest.approx(-off, abs=2)


@pytest.mark.parametrize("off", [3600, -3600])
async def test_a_server_whose_clock_is_another_refuses_the_doctors_tokens(off: int) -> None:
    async with serving() as server:
        found = await findings_at(Off(off), targets=[at(server.port)])
    (bad,) = [each for each in found if each.level]
    assert bad.name == "token_time"
    assert "clocks" in bad.advice


async def test_a_port_that_another_program_has_is_named() -> None:
    async with await asyncio.start_server(
        lambda _, writer: writer.close(), "127.0.0.1", 0
    ) as other:
        port = other.sockets[0].getsockname()[1]
        found = await examine("--port", str(port), env=KEYED)
        assert found.bad == {"port_taken"}
        assert "python" in found.the("port_taken")["sentence"]
        found = await examine("--port", "0", "--metrics-port", str(port), env=KEYED)
        assert found.bad == {"port_taken"}
    found = await examine("--host", "192.0.2.1", "--allow-plaintext", env=KEYED)
    assert found.bad == {"no_such_address"}


async def test_a_program_that_says_nothing_on_the_port_delays_nothing_for_long() -> None:
    # The system accepts connections, and nobody reads.
    with socket.create_server(("127.0.0.1", 0), backlog=100) as silent:
        port = str(silent.getsockname()[1])
        ports = ("--port", port, "--metrics-port", port)
        reached = ("--target", f"127.0.0.1:{port}", "--url", f"http://127.0.0.1:{port}")
        found = await examine(*ports, *reached, env=KEYED)
    assert found.bad == {"port_taken", "target_away", "url_away"}


@pytest.mark.parametrize(
    ("seconds", "name"), [(-30, "certificate_expired"), (3600, "certificate_ends")]
)
async def test_a_certificate_that_is_over_or_soon_is_is_named(
    seconds: int, name: str, tmp_path: Path
) -> None:
    own = certificate(tmp_path, "own", seconds=seconds)
    tls = ("--tls-cert", own.cert, "--tls-key", own.key)
    async with dyad_serve(SECRET, *tls) as served:
        target = ("--target", at(served.port), "--ca", own.cert)
        found = await examine(*tls, "--port", "0", *target, env=KEYED)
    # In the file, and as clients see it.
    assert found.bad == {"settings", name}


async def test_a_certificate_that_nobody_trusts_or_of_another_name_is_named(tmp_path: Path) -> None:
    own, other = certificate(tmp_path, "own"), certificate(tmp_path, "other")
    tls = ("--tls-cert", own.cert, "--tls-key", own.key, "--host", "0.0.0.0")
    async with dyad_serve(SECRET, *tls) as served:
        # The certificate is of 127.0.0.1.
        for host, ca in (("127.0.0.1", other.cert), ("127.0.0.2", own.cert)):
            target = ("--target", f"{host}:{served.port}", "--ca", ca)
            found = await examine("--port", "0", *target, env=KEYED)
            assert found.bad == {"certificate_not_trusted"}


async def test_a_server_that_asks_for_certificates_is_named(tmp_path: Path) -> None:
    own = certificate(tmp_path, "own")
    tls = ("--tls-cert", own.cert, "--tls-key", own.key, "--tls-client-ca", own.cert)
    async with dyad_serve(SECRET, *tls) as served:
        target = ("--port", "0", "--target", at(served.port), "--ca", own.cert)
        assert (await examine(*tls, *target, env=KEYED)).bad == {"client_certificate"}
        # With settings that do not say so.
        assert (await examine(*target, env=KEYED)).bad == {"no_grpc"}


async def test_a_redis_that_refuses_everything_is_named() -> None:
    needs("redis-server")
    async with redis_server("--user", "poor", "on", ">poor", "~dyad:*", "-@all") as redis:
        url = f"redis://poor:poor@127.0.0.1:{redis.port}"
        found = await examine("--port", "0", env=KEYED | {"DYAD_REDIS": url})
    assert found.bad == {"redis_refuses"}


async def test_a_cached_answer_of_the_issuer_says_nothing_about_clocks() -> None:
    with issuing(es256("one")) as issuer:
        issuer.headers = {"Date": "Thu, 01 Jan 2026 00:00:00 GMT", "Age": "3600"}
        assert (await examine("--port", "0", "--jwt-jwks-url", issuer.url, env={})).bad == set()


async def test_on_a_terminal_a_line_shows_what_is_looked_at() -> None:
    # `script` gives it a terminal.
    needs("script")
    command = f"{DYAD} doctor --port 0"
    status, said = await run_command("script", "-qec", command, "/dev/null", env=BARE | KEYED)
    assert status == 0
    assert "settings …" in said
    assert "Nothing is wrong." in said


async def test_a_server_that_is_not_ready_is_named() -> None:
    # Nobody listens there.
    metrics, redis = free_port(), f"redis://127.0.0.1:{free_port()}"
    own = ("--metrics-port", str(metrics), "--redis", redis)
    async with dyad_serve(SECRET, *own) as served:
        ports = ("--port", str(served.port))
        found = await examine(*own, *ports, "--target", at(served.port), env=KEYED)
    assert found.bad == {"redis_away", "not_ready", "not_serving", "call_refused"}


async def test_health_that_is_not_reached_is_named() -> None:
    async with dyad_serve(SECRET) as served:
        # As these settings have it, probes ask on a port on which nobody listens.
        ports = ("--port", str(served.port), "--metrics-port", str(free_port()))
        found = await examine(*ports, env=KEYED)
    assert found.bad == {"health_not_reached"}


async def test_a_healthy_redis_has_nothing_wrong_and_nothing_stays_there() -> None:
    async with settled_redis() as redis:
        before = await keys_of(redis.port)
        found = await examine("--port", "0", env=KEYED | {"DYAD_REDIS": redis.url})
        assert found.bad == set(), found.said
        assert {each["name"] for each in found.findings} >= {
            "redis",
            "redis_rights",
            "redis_near",
            "clock",
        }
        assert await keys_of(redis.port) == before
    assert PASSWORD not in found.said


async def test_of_several_redis_the_one_that_is_away_is_named() -> None:
    async with settled_redis() as redis:
        both = f"{redis.url}#a redis://127.0.0.1:{free_port()}#b"
        found = await examine("--port", "0", env=KEYED | {"DYAD_REDIS": both})
    assert found.bad == {"redis_away"}
    sentences = {each["name"]: each["sentence"] for each in found.findings}
    assert sentences["redis"].startswith("a: Redis ")
    assert sentences["redis_away"].startswith("b: Redis is out of reach")


async def keys_of(port: int) -> set[bytes | str]:
    async with Redis(port=port) as client:
        return set(await client.keys("*"))


async def test_a_redis_without_rights_is_named_with_each_right() -> None:
    needs("redis-server")
    rights = "~dyad:room:* ~dyad:node:* -@all +evalsha +script|load +info +get +set +del +time"
    poor = ("--user", "poor", "on", ">poor", *rights.split(), "+exists", "+client|setname")
    async with redis_server(*poor) as redis:
        url = f"redis://poor:poor@127.0.0.1:{redis.port}"
        found = await examine("--port", "0", env=KEYED | {"DYAD_REDIS": url})
        assert found.bad == {"redis_rights"}
        sentence = found.the("redis_rights")["sentence"]
        lacking = {"pexpire", "hget", "hmget", "hset", "hdel", "xadd", "xread", "xtrim"}
        assert {name for name in lacking if f"the command {name}" in sentence} == lacking
        for pattern in ("fence", "missing", "in", "handed-off", "token"):
            assert f"keys like dyad:{pattern}:*" in sentence
        assert "keys like dyad:schema" in sentence
        assert "dyad:room" not in sentence
        assert await keys_of(redis.port) == set()
        url = url.replace(":poor@", ":not-this-one@")
        found = await examine("--port", "0", env=KEYED | {"DYAD_REDIS": url})
        assert found.bad == {"redis_refuses"}
        assert "not-this-one" not in found.said


@pytest.mark.parametrize(("memory", "status"), [("0", 1), ("100mb", 2)])
async def test_a_redis_that_evicts_is_named(memory: str, status: int) -> None:
    needs("redis-server")
    policy = ("--maxmemory-policy", "volatile-lru", "--maxmemory", memory)
    async with redis_server(*policy) as redis:
        found = await examine("--port", "0", env=KEYED | {"DYAD_REDIS": redis.url})
    assert found.bad == {"redis_evicts"}
    assert found.status == status


async def test_a_redis_that_is_far_away_is_named() -> None:
    delay = bounds.REDIS_WARNING_SECONDS
    async with settled_redis() as redis, Proxy(redis.port, delay=delay) as network:
        url = redis.through(network.port)
        found = await examine("--port", "0", env=KEYED | {"DYAD_REDIS": url})
    assert found.bad == {"redis_far"}
    assert found.the("redis_far")["measured"]["round_trip_ms"] >= 2000 * delay


@pytest.mark.parametrize(("prefix", "bad"), [("dyad", set()), ("other", {"nodes_apart"})])
async def test_nodes_that_do_not_share_rooms_are_named(prefix: str, bad: set[str]) -> None:
    async with settled_redis() as redis, Redis(port=redis.port) as client:
        env = KEYED | {"DYAD_REDIS": redis.url}
        # A user with rights for each key: the prefixes differ.
        open_url = f"redis://127.0.0.1:{redis.port}"
        # Otherwise the nodes wait at their start.
        await client.set(f"{prefix}:generation", await client.get("dyad:generation") or "")
        async with (
            dyad_serve(SECRET, "--redis", redis.url) as one,
            dyad_serve(SECRET, "--redis", open_url, "--redis-prefix", prefix) as two,
        ):
            first, second = at(one.port), at(two.port)
            targets = ("--port", "0", "--target", first, "--target", second)
            found = await examine(*targets, env=env)
    assert found.bad == bad, found.said
    (between,) = [each for each in found.findings if each["area"] == f"{first} and {second}"]
    assert ("--redis-prefix" in between["advice"]) == bool(bad)


async def test_a_redis_with_data_of_another_layout_is_named() -> None:
    needs("redis-server")
    async with redis_server() as redis, Redis(port=redis.port) as client:
        await client.set("dyad:schema", "2")
        found = await examine("--port", "0", env=KEYED | {"DYAD_REDIS": redis.url})
        assert await client.keys("*") == [b"dyad:schema"]
    assert found.bad == {"redis_layout"}
