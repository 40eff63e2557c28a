"""The recipes of deploy/recipes: each proxy, with its file, carries calls of both kinds."""

import asyncio
import http.client
import os
import re
import shlex
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
    closing,
    suppress,
)
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dyad
import grpc
import pytest
import yaml
from dyad.v1 import signaling_pb2 as pb
from dyad_server.config import Config
from dyad_server.doctor.web import ASKED_HEADERS
from dyad_server.server import Server

from tests.conftest import SECRET, serving, token
from tests.integration.clients import ALICE, BOB
from tests.integration.test_envoy import UNAVAILABLE
from tests.integration.test_envoy import proxy as envoy_of_deploy
from tests.support.certificates import Pair, certificate
from tests.support.deployed import DEPLOY
from tests.support.doctor import examine
from tests.support.ends import SignalEnd, join
from tests.support.grpc_web import Call
from tests.support.needs import needs
from tests.support.ports import free_port
from tests.support.process import command
from tests.support.python_client import hear
from tests.support.until import PATIENCE

RECIPES = DEPLOY / "recipes"
README = (RECIPES / "README.md").read_text()
HEARTBEAT = 10
RESOURCE_EXHAUSTED = "8"
# A page of this origin may call through each of the proxies.
ORIGIN = "https://app.example.com"


@dataclass
class Front:
    """A running proxy: its ports for native clients and for browsers, and its certificate."""

    native: int
    browsers: int
    pair: Pair | None
    origin: str = ORIGIN

    def client(self, who: dyad.Participant) -> dyad.Connection:
        assert self.pair is not None
        return dyad.connect(
            f"localhost:{self.native}",
            token(who.user_id, email=who.email),
            credentials=grpc.ssl_channel_credentials(self.pair.read()[1]),
        )

    def channel(self) -> grpc.aio.Channel:
        assert self.pair is not None
        credentials = grpc.ssl_channel_credentials(self.pair.read()[1])
        return grpc.aio.secure_channel(f"localhost:{self.native}", credentials)

    async def call(
        self, method: str, request: pb.ListenRequest | pb.SendRequest, **headers: str
    ) -> Call:
        return await Call.begin(
            *(self.browsers, method, request),
            token=token(),
            origin=self.origin,
            tls=trusting(self.pair),
            more={name.replace("_", "-"): value for name, value in headers.items()},
        )

    async def preflight(self, *headers: str) -> str:
        """What a browser is told about a request of a page that sends these headers."""
        asked = {
            "origin": self.origin,
            "access-control-request-method": "POST",
            "access-control-request-headers": ",".join(sorted(headers)),
        }
        tls = trusting(self.pair)

        def ask() -> str:
            connection = (
                http.client.HTTPConnection("127.0.0.1", self.browsers, timeout=PATIENCE)
                if tls is None
                else http.client.HTTPSConnection(
                    "localhost", self.browsers, timeout=PATIENCE, context=tls
                )
            )
            with closing(connection):
                connection.request("OPTIONS", "/dyad.v1.Signaling/Listen", headers=asked)
                answer = connection.getresponse()
                return answer.headers.get("access-control-allow-headers", "").lower()

        return await asyncio.to_thread(ask)


def put(text: str, changes: dict[str, str]) -> str:
    """The text with each of these replaced; every one must be in it."""
    for old, new in changes.items():
        assert old in text, f"the recipe does not say {old}"
        text = text.replace(old, new)
    return text


@asynccontextmanager
async def listening(
    *start: str | Path, ports: set[int], folder: Path, pair: Pair | None = None
) -> AsyncIterator[None]:
    """Run a proxy while the context lasts; on these ports it can be connected to, with TLS."""
    tls = trusting(pair)
    name = "localhost" if tls else None
    env = {"HOME": str(folder), "PATH": os.environ["PATH"]}
    async with command(*map(str, start), env=env) as started:
        async with asyncio.timeout(PATIENCE):
            for port in ports:
                while True:
                    assert started.process.returncode is None, started.said
                    # Traefik listens before it has read its certificate.
                    with suppress(OSError):
                        _, writer = await asyncio.open_connection(
                            "127.0.0.1", port, ssl=tls, server_hostname=name
                        )
                        writer.close()
                        break
                    await asyncio.sleep(0.05)  # Nothing tells when another program is ready.
        yield


def trusting(pair: Pair | None) -> ssl.SSLContext | None:
    return ssl.create_default_context(cafile=pair.cert) if pair else None


@asynccontextmanager
async def nginx(server: int, envoy: int, pair: Pair, folder: Path) -> AsyncIterator[Front]:
    needs("nginx")
    native, browsers = free_port(), free_port()
    text = put((RECIPES / "nginx.conf").read_text(), files(pair) | backends(server, envoy))
    ports = iter((native, browsers))
    text = re.sub(r"listen 443 ", lambda _: f"listen 127.0.0.1:{next(ports)} ", text)
    kept = "".join(
        f"{kind}_temp_path {folder / kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    config = folder / "nginx.conf"
    config.write_text(
        f"pid {folder}/pid; error_log stderr; daemon off; worker_processes 1;\n"
        f"events {{}}\nhttp {{\naccess_log off;\n{kept}{text}}}\n"
    )
    start = ("nginx", "-p", folder, "-c", config)
    async with listening(*start, ports={native, browsers}, folder=folder, pair=pair):
        yield Front(native, browsers, pair, f"http://localhost:{envoy}")


@asynccontextmanager
async def caddy(server: int, envoy: int, pair: Pair, folder: Path) -> AsyncIterator[Front]:
    needs("caddy")
    port = free_port()
    site = {"calls.example.com {": f"https://localhost:{port} {{\n\tbind 127.0.0.1"}
    text = put((RECIPES / "Caddyfile").read_text(), files(pair) | backends(server, envoy) | site)
    config = folder / "Caddyfile"
    config.write_text("{\n\tadmin off\n\tauto_https off\n}\n" + text)
    start = ("caddy", "run", "--config", config, "--adapter", "caddyfile")
    async with listening(*start, ports={port}, folder=folder, pair=pair):
        yield Front(port, port, pair, f"http://localhost:{envoy}")


@asynccontextmanager
async def traefik(server: int, envoy: int, pair: Pair, folder: Path) -> AsyncIterator[Front]:
    needs("traefik")
    port, rest = free_port(), folder / "traefik-dyad.yaml"
    changes = {":443": f"127.0.0.1:{port}", "/etc/traefik/traefik-dyad.yaml": str(rest)}
    (folder / "traefik.yaml").write_text(put((RECIPES / "traefik.yaml").read_text(), changes))
    rest.write_text(
        put(
            (RECIPES / "traefik-dyad.yaml").read_text(),
            files(pair)
            | {"127.0.0.1:50051": f"127.0.0.1:{server}", "calls.example.com": "localhost"},
        )
    )
    start = ("traefik", f"--configFile={folder / 'traefik.yaml'}")
    async with listening(*start, ports={port}, folder=folder, pair=pair):
        yield Front(port, port, pair)


@asynccontextmanager
async def grpcwebproxy(server: int, envoy: int, pair: Pair, folder: Path) -> AsyncIterator[Front]:
    needs("grpcwebproxy")
    port = free_port()
    (text,) = re.findall(r"^(grpcwebproxy (?:.*\\\n)+.*)$", README, re.MULTILINE)
    text = put(text, {"127.0.0.1:50051": f"127.0.0.1:{server}", "port=8080": f"port={port}"})
    program, *options = shlex.split(text.replace("\\\n", ""))
    async with listening(program, *options, ports={port}, folder=folder):
        yield Front(0, port, None)


def files(pair: Pair) -> dict[str, str]:
    return {"/etc/dyad/cert.pem": pair.cert, "/etc/dyad/key.pem": pair.key}


def backends(server: int, envoy: int) -> dict[str, str]:
    return {"127.0.0.1:50051": f"127.0.0.1:{server}", "127.0.0.1:8080": f"127.0.0.1:{envoy}"}


Recipe = Callable[[int, int, Pair, Path], AbstractAsyncContextManager[Front]]
WITH_ENVOY = (nginx, caddy)
NATIVE = [nginx, caddy, traefik]
BROWSERS = [*NATIVE, grpcwebproxy]


@asynccontextmanager
async def in_front(recipe: Recipe, server: Server, folder: Path) -> AsyncIterator[Front]:
    async with AsyncExitStack() as stack:
        envoy = 0
        if recipe in WITH_ENVOY:
            envoy = await stack.enter_async_context(envoy_of_deploy(server.port))
        pair = certificate(folder, "proxy")
        yield await stack.enter_async_context(recipe(server.port, envoy, pair, folder))


@pytest.mark.parametrize("recipe", NATIVE, ids=lambda recipe: recipe.__name__)
async def test_native_clients_call_each_other(recipe: Recipe, tmp_path: Path) -> None:
    async with (
        serving() as server,
        in_front(recipe, server, tmp_path) as front,
        front.client(ALICE) as alice,
        front.client(BOB) as bob,
        asyncio.timeout(PATIENCE),
    ):
        room = await alice.create()
        await bob.join(room.room_id)
        assert await hear(alice) == dyad.PeerJoined(BOB)
        await alice.send_candidate(dyad.Candidate("one"))
        assert await hear(bob) == dyad.Candidate("one", sender=ALICE)
        await bob.send_candidate(dyad.Candidate("two"))
        assert await hear(alice) == dyad.Candidate("two", sender=BOB)


@pytest.mark.parametrize("recipe", BROWSERS, ids=lambda recipe: recipe.__name__)
async def test_a_page_listens_and_sends(recipe: Recipe, tmp_path: Path) -> None:
    async with serving() as server, in_front(recipe, server, tmp_path) as front:
        listen = await front.call("Listen", pb.ListenRequest())
        assert listen.headers["access-control-allow-origin"] == front.origin
        first = await listen.read()
        assert first is not None
        session = pb.ListenResponse.FromString(first).session_id
        frames = [join()]
        send = await front.call("Send", pb.SendRequest(session_id=session, frames=frames))
        assert await send.read() is not None
        assert await send.read() is None
        assert send.trailers["grpc-status"] == "0"
        answer = await listen.read()
        assert answer is not None
        (frame,) = pb.ListenResponse.FromString(answer).frames
        assert frame.room_id
        listen.close()
        send.close()


@pytest.mark.parametrize("recipe", BROWSERS, ids=lambda recipe: recipe.__name__)
async def test_a_page_may_send_the_clients_headers_and_a_trace(
    recipe: Recipe, tmp_path: Path
) -> None:
    headers = {*ASKED_HEADERS, "traceparent", "tracestate"}
    async with serving() as server, in_front(recipe, server, tmp_path) as front:
        allowed = await front.preflight(*headers)
    assert headers <= {name.strip() for name in allowed.split(",")}


@pytest.mark.parametrize("recipe", BROWSERS, ids=lambda recipe: recipe.__name__)
async def test_a_page_can_read_that_the_server_drains(recipe: Recipe, tmp_path: Path) -> None:
    async with serving() as server, in_front(recipe, server, tmp_path) as front:
        await server.dyad.drain()
        listen = await front.call("Listen", pb.ListenRequest())
        assert await listen.read() is None
        told = listen.headers | listen.trailers
        assert (told["grpc-status"], told["dyad-status"]) == (UNAVAILABLE, UNAVAILABLE)
        # A page of another origin reads only what is exposed; what is in the body it reads.
        exposed = listen.headers["access-control-expose-headers"].lower().split(",")
        readable = {name.strip() for name in exposed} | set(listen.trailers)
        assert {"grpc-status", "dyad-status", "retry-after-ms"} <= readable
        listen.close()


# What README.md says about the trust in each proxy. All addresses here are loopback's, which is
# trusted by default, so only a number of proxies tells a client from a proxy.
TRUST: dict[Recipe, dict[str, Any]] = {
    nginx: {"trusted_hops": 2},
    caddy: {"trusted_hops": 2},
    traefik: {"trusted_hops": 1},
    grpcwebproxy: {"trusted_proxies": "unix"},
}


@pytest.mark.parametrize("recipe", BROWSERS, ids=lambda recipe: recipe.__name__)
async def test_no_page_chooses_the_address_that_it_counts_for(
    recipe: Recipe, tmp_path: Path
) -> None:
    terms = {"max_streams_per_address": 1} | TRUST[recipe]
    async with serving(**terms) as server, in_front(recipe, server, tmp_path) as front:
        first = await front.call("Listen", pb.ListenRequest(), x_forwarded_for="192.0.2.1")
        assert await first.read() is not None
        second = await front.call("Listen", pb.ListenRequest(), x_forwarded_for="192.0.2.2")
        assert await second.read() is None
        assert (second.headers | second.trailers)["grpc-status"] == RESOURCE_EXHAUSTED
        first.close()
        second.close()


@pytest.mark.parametrize("recipe", NATIVE, ids=lambda recipe: recipe.__name__)
async def test_no_native_client_chooses_the_address_that_it_counts_for(
    recipe: Recipe, tmp_path: Path
) -> None:
    async with (
        serving(max_streams_per_address=1, trusted_hops=1) as server,
        in_front(recipe, server, tmp_path) as front,
        front.channel() as channel,
    ):
        first, second = SignalEnd(channel, token()), SignalEnd(channel, token("bob"))
        for end, address in ((first, "192.0.2.1"), (second, "192.0.2.2")):
            end.metadata += (("x-forwarded-for", address),)
        await first.send(join())
        assert (await first.hear()).room_id
        refused = await second.status()
        assert refused is not None
        assert refused.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        first.cut()


# What the doctor says of a good recipe: that it does not route health, or takes fewer cookies.
REMARKS = {
    "nginx": {"health_not_reached"},
    "caddy": {"cookies_too_large"},
    "traefik": {"health_not_reached"},
    "grpcwebproxy": {"cookies_too_large"},
}


@pytest.mark.parametrize("recipe", BROWSERS, ids=lambda recipe: recipe.__name__)
async def test_the_doctor_finds_no_fault_in_a_recipe(recipe: Recipe, tmp_path: Path) -> None:
    async with serving() as server, in_front(recipe, server, tmp_path) as front:
        scheme = "https" if front.pair else "http"
        found = await examine(
            *(("--target", f"localhost:{front.native}") if recipe in NATIVE else ()),
            *(("--ca", front.pair.cert) if front.pair else ()),
            *("--url", f"{scheme}://localhost:{front.browsers}", "--origin", front.origin),
            *("--port", "0", "--hold", "1"),
            env={"DYAD_JWT_SECRET": SECRET},
        )
    assert found.bad == REMARKS[recipe.__name__], found.said
    assert found.status == 1
    assert [each["name"] for each in found.findings].count("call") == 1 + (recipe in NATIVE)


def seconds(text: str, pattern: str) -> list[int]:
    return [int(each) for each in re.findall(pattern, text)]


def test_no_recipe_ends_a_stream_that_has_heartbeats() -> None:
    nginx = seconds((RECIPES / "nginx.conf").read_text(), r"_timeout (\d+)s;")
    # Three in grpc_pass, one in proxy_pass: a missing one would be 60 s as well.
    assert len(nginx) == 4
    assert min(nginx) >= 3 * HEARTBEAT
    entry = yaml.safe_load((RECIPES / "traefik.yaml").read_text())["entryPoints"]["calls"]
    assert entry["transport"]["respondingTimeouts"] == {"readTimeout": 0, "writeTimeout": 0}
    assert seconds(README, r"--server_http_max_\w+_timeout=(\d+)s") == [0, 0]
    # Caddy's limits are off unless they are set.
    assert "timeout" not in (RECIPES / "Caddyfile").read_text()
    assert Config(jwt_secret=SECRET).heartbeat == HEARTBEAT


def test_the_readme_has_a_section_for_each_recipe() -> None:
    named = set(re.findall(r"`([\w-]+\.(?:conf|yaml)|Caddyfile)`", README))
    files = {file.name for file in RECIPES.iterdir()} - {"README.md"}
    assert files <= named
    for title in re.findall(r"^\| \[(.+?)\]\(#", README, re.MULTILINE):
        assert f"\n## {title}\n" in README
