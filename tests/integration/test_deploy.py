"""What starts from the files of deploy/ works, as far as that needs no container engine."""

import asyncio
import os
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import yaml
from dyad import PeerJoined
from dyad_server.cli import envoy

from tests.conftest import SECRET, serving
from tests.integration.clients import ALICE, BOB, connect
from tests.integration.test_envoy import UNAVAILABLE, listen
from tests.support.deployed import DEPLOY, compose_secrets, copied, documents, elsewhere, one
from tests.support.needs import ROOT, needs
from tests.support.ports import free_port
from tests.support.process import command, dyad_serve, run
from tests.support.python_client import hear
from tests.support.until import PATIENCE, until

WITHOUT_DYAD = {name: value for name, value in os.environ.items() if not name.startswith("DYAD_")}


def services() -> Any:
    return documents("compose.yaml")[0]["services"]


async def healthy(service: str, port: int, *, instead_of: str = "") -> bool:
    """Whether a service's check in compose.yaml passes, on this port of this machine."""
    kind, *check = services()[service]["healthcheck"]["test"]
    assert kind == "CMD"
    if instead_of:
        check = [word.replace(instead_of, str(port)) for word in check]
    else:
        check[1:1] = ["-p", str(port)]
    if check[0] == "python":
        check[0] = sys.executable
    return (await run(*check))[0] == 0


async def test_a_node_of_compose_reaches_its_redis_and_both_are_healthy(tmp_path: Path) -> None:
    needs("redis-server", "redis-cli", "openssl")
    secrets = compose_secrets(tmp_path)
    port, metrics = free_port(), free_port()
    redis = secrets / "redis"
    redis.write_text(redis.read_text().replace("@redis:6379", f"@127.0.0.1:{port}"))
    users = str(secrets / "redis-users")
    start = [
        word.replace("/run/secrets/redis-users", users) for word in services()["redis"]["command"]
    ]
    here = ("--port", str(port), "--bind", "127.0.0.1", "--dir", str(tmp_path))
    node = elsewhere(services()["dyad-1"]["environment"], {"/run/secrets": secrets})
    node |= {"DYAD_METRICS_HOST": "127.0.0.1", "DYAD_METRICS_PORT": str(metrics)}
    assert not await healthy("redis", port)
    assert not await healthy("dyad-1", metrics, instead_of="9464")
    async with command(*start, *here) as server:
        await server.says("Ready to accept connections")
        assert await healthy("redis", port)
        async with dyad_serve("", env=WITHOUT_DYAD | node):
            async with asyncio.timeout(PATIENCE):
                while not await healthy("dyad-1", metrics, instead_of="9464"):
                    pass


def install(folder: Path) -> Path:
    """Install the server as the image does, from nothing; returns the command `dyad`."""

    context = folder.parent / "context"
    for source in copied():
        (context / source).parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (ROOT / source).is_dir() else shutil.copyfile
        copy(ROOT / source, context / source)

    def uv(*arguments: str | Path) -> None:
        done = subprocess.run(
            ["uv", *arguments], cwd=context, check=False, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr

    into = ("pip", "install", "--python", folder)
    uv("venv", "--python", sys.executable, folder)
    for lock in ("requirements.txt", "requirements-build.txt"):
        uv(*into, "--require-hashes", "--only-binary", ":all:", "--compile", "-r", f"deploy/{lock}")
    # Without an index: what is missing in a lock is found nowhere.
    uv(*into, "--no-index", "--no-build-isolation", "--compile", ".", "./clients/python")
    return folder / "bin" / "dyad"


def contents(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*"))


async def test_the_locked_packages_serve_a_call_and_write_nothing(tmp_path: Path) -> None:
    # It is there where downloads are welcome: `make deploy-tools`.
    needs("uv")
    folder = tmp_path / "image"
    dyad = await asyncio.to_thread(install, folder)
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    before = contents(folder)
    async with (
        dyad_serve(SECRET, program=(str(dyad),), env=env) as served,
        connect(served.port, ALICE) as alice,
        connect(served.port, BOB) as bob,
        asyncio.timeout(PATIENCE),
    ):
        room = await alice.create()
        await bob.join(room.room_id)
        assert isinstance(await hear(alice), PeerJoined)
    assert contents(folder) == before


@asynccontextmanager
async def envoy_of_the_chart(server_port: int) -> AsyncIterator[tuple[int, int]]:
    """Envoy as the chart configures it; yields its port, and that of its administration."""
    needs("envoy")
    text = (DEPLOY / "kubernetes.yaml").read_text()
    config = yaml.safe_load(one("ConfigMap", text, "dyad-envoy")["data"]["envoy.yaml"])
    resources = config["static_resources"]
    port, admin = free_port(), free_port()
    resources["listeners"][0]["address"]["socket_address"] = _here(port)
    (endpoint,) = resources["clusters"][0]["load_assignment"]["endpoints"][0]["lb_endpoints"]
    endpoint["endpoint"]["address"]["socket_address"] = _here(server_port)
    (check,) = resources["clusters"][0]["health_checks"]
    check["interval"] = check["no_traffic_interval"] = "0.1s"
    config["admin"] = {"address": {"socket_address": _here(admin)}}
    async with envoy.running(yaml.safe_dump(config), port):
        yield port, admin


def _here(port: int) -> dict[str, Any]:
    return {"address": "127.0.0.1", "port_value": port}


def healthy_nodes(admin: int) -> int:
    url = f"http://127.0.0.1:{admin}/stats?filter=^cluster.dyad.membership_healthy$"
    with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
        return int(answer.read().split()[-1])


async def test_the_envoy_of_the_chart_carries_calls_also_when_no_node_is_ready() -> None:
    async with serving() as server, envoy_of_the_chart(server.port) as (port, admin):
        await until(lambda: healthy_nodes(admin) == 1)
        call = await listen(port)
        assert await call.read() is not None
        call.close()
        await server.dyad.drain()
        await until(lambda: healthy_nodes(admin) == 0)
        call = await listen(port)
        # The server said so, and not Envoy.
        assert call.headers["dyad-status"] == UNAVAILABLE
        call.close()
