"""`dyad doctor` names what is wrong with a proxy, as a browser meets it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from dyad_server.cli import envoy

from tests.conftest import SECRET
from tests.support.certificates import Pair, certificate
from tests.support.doctor import Examined, examine
from tests.support.needs import ROOT
from tests.support.nginx import nginx
from tests.support.ports import free_port
from tests.support.process import dyad_serve
from tests.support.redis import settled_redis

KEYED = {"DYAD_JWT_SECRET": SECRET}
BRIEFLY = ("--port", "0", "--hold", "0.2")
# Longer than the test waits: the doctor returns as soon as the call is cut.
LONG = ("--port", "0", "--hold", "600")
_BOUND_FOR_GRPC = """\
                            max_stream_duration:
                              max_stream_duration: 0s
                              # No cap on the deadline that a client asks for.
                              grpc_timeout_header_max: 0s
"""


@asynccontextmanager
async def proxied(
    server_port: int, folder: Path, *changes: tuple[str, str], tls: Pair | None = None
) -> AsyncIterator[int]:
    """The port of a real Envoy with the configuration of deploy/, changed in these places."""
    page, port = folder / "index.html", free_port()
    page.write_text("a page")
    text = envoy.render(
        ROOT / "deploy" / ("envoy-tls.yaml" if tls else "envoy.yaml"),
        listen_port=port,
        server_ports=[server_port],
        page=page,
        tls=(Path(tls.cert), Path(tls.key)) if tls else None,
    )
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    async with envoy.running(text, port):
        yield port


async def seen(
    folder: Path, *changes: tuple[str, str], options: tuple[str, ...] = BRIEFLY
) -> Examined:
    """What the doctor finds with a server and such an Envoy before it."""
    async with dyad_serve(SECRET) as served, proxied(served.port, folder, *changes) as port:
        own = f"http://localhost:{port}"
        url = ("--url", f"http://127.0.0.1:{port}", "--origin", own)
        return await examine(*url, *options, env=KEYED)


def own_page(url: str) -> tuple[str, ...]:
    """A URL, and pages that come from there too."""
    return "--url", url, "--origin", url


async def test_a_healthy_set_up_with_redis_and_envoy_has_nothing_wrong(tmp_path: Path) -> None:
    own = certificate(tmp_path, "own")
    async with (
        settled_redis() as redis,
        dyad_serve(SECRET, "--redis", redis.url) as served,
        proxied(served.port, tmp_path, tls=own) as port,
    ):
        found = await examine(
            *("--port", str(served.port), "--ca", own.cert, "--hold", "1"),
            *("--target", f"127.0.0.1:{served.port}"),
            *("--url", f"https://127.0.0.1:{port}", "--origin", f"https://localhost:{port}"),
            env=KEYED | {"DYAD_REDIS": redis.url},
        )
    assert found.bad == set(), found.said
    assert found.status == 0
    names = [each["name"] for each in found.findings]
    assert names.count("call") == 2
    assert {"h2", "cors_preflight", "cors_answer", "cookies", "held", "redis_near"} <= set(names)


async def test_the_proxy_of_this_machine_has_nothing_wrong(tmp_path: Path) -> None:
    found = await seen(tmp_path)
    assert found.bad == set(), found.said


@pytest.mark.parametrize(
    ("old", "new", "name", "says"),
    [
        (
            "allow_headers: authorization,",
            "allow_headers: ",
            "cors_allowed_headers",
            "authorization",
        ),
        ("retry-after-ms,dyad-status", "retry-after-ms", "cors_exposed_headers", "dyad-status"),
        ("exact: http://localhost", "exact: http://elsewhere", "cors_origin", "names no origin"),
    ],
)
async def test_a_cors_header_that_is_missing_is_named(
    old: str, new: str, name: str, says: str, tmp_path: Path
) -> None:
    found = await seen(tmp_path, (old, new))
    assert name in found.bad
    assert found.status == 2
    assert any(says in each["sentence"] for each in found.findings if each["name"] == name)
    # The call itself does not need CORS, so it took place.
    assert found.the("call")


async def test_without_an_origin_it_says_that_cors_was_not_examined(tmp_path: Path) -> None:
    async with dyad_serve(SECRET) as served, proxied(served.port, tmp_path) as port:
        url = f"http://127.0.0.1:{port}"
        found = await examine("--url", url, *BRIEFLY, env=KEYED)
        assert found.bad == {"cors_not_examined"}
        assert found.status == 1
        assert "--origin" in found.the("cors_not_examined")["advice"]
        # As it says.
        found = await examine(*own_page(url), *BRIEFLY, env=KEYED)
        assert found.bad == set(), found.said
        assert found.the("same_origin")


@pytest.mark.parametrize(
    "changes",
    [
        # Envoy takes `timeout` only where there is no bound for gRPC.
        (("timeout: 0s\n", "timeout: 1s\n"), (_BOUND_FOR_GRPC, "")),
        (("max_stream_duration: 0s\n", "max_stream_duration: 1s\n"),),
    ],
    ids=["timeout", "max_stream_duration"],
)
async def test_a_route_with_a_time_limit_is_named(
    changes: tuple[tuple[str, str], ...], tmp_path: Path
) -> None:
    found = await seen(tmp_path, *changes, options=LONG)
    assert found.bad == {"route_timeout"}
    assert found.the("route_timeout")["measured"]["after_s"] >= 1


@pytest.mark.parametrize(
    "directives",
    [
        # What has no announced end is collected: nginx then speaks HTTP/1.0 to Envoy.
        ("proxy_buffering on;", "proxy_http_version 1.0;"),
        ("proxy_http_version 1.1;", "gzip on;", "gzip_types *;", "gzip_min_length 0;"),
    ],
    ids=["collected", "compressed"],
)
async def test_a_buffering_proxy_is_named(directives: tuple[str, ...], tmp_path: Path) -> None:
    prefix = "stat_prefix: web\n"
    old = (prefix, f"http_protocol_options: {{ accept_http_10: true }}\n{' ' * 16}{prefix}")
    async with (
        dyad_serve(SECRET) as served,
        proxied(served.port, tmp_path, old) as port,
        nginx(port, tmp_path, *directives) as front,
    ):
        found = await examine(*own_page(f"http://127.0.0.1:{front}"), *BRIEFLY, env=KEYED)
    assert found.bad == {"buffering"}


async def test_a_proxy_that_does_not_buffer_has_nothing_wrong(tmp_path: Path) -> None:
    async with (
        dyad_serve(SECRET) as served,
        proxied(served.port, tmp_path) as port,
        nginx(port, tmp_path, "proxy_http_version 1.1;", "proxy_buffering off;") as front,
    ):
        found = await examine(*own_page(f"http://127.0.0.1:{front}"), *BRIEFLY, env=KEYED)
    assert found.bad == set(), found.said


async def test_a_proxy_without_http2_is_named(tmp_path: Path) -> None:
    own = certificate(tmp_path, "own")
    change = ("alpn_protocols: [h2, http/1.1]", "alpn_protocols: [http/1.1]")
    async with (
        dyad_serve(SECRET) as served,
        proxied(served.port, tmp_path, change, tls=own) as port,
    ):
        url = (*own_page(f"https://127.0.0.1:{port}"), "--ca", own.cert)
        found = await examine(*url, *BRIEFLY, env=KEYED)
    assert found.bad == {"no_h2"}
    assert found.status == 1


@pytest.mark.parametrize(
    ("seconds", "name"), [(-30, "certificate_expired"), (60, "certificate_ends")]
)
async def test_a_certificate_of_the_proxy_that_is_over_or_soon_is_is_named(
    seconds: int, name: str, tmp_path: Path
) -> None:
    own = certificate(tmp_path, "own", seconds=seconds)
    async with dyad_serve(SECRET) as served, proxied(served.port, tmp_path, tls=own) as port:
        url = (*own_page(f"https://127.0.0.1:{port}"), "--ca", own.cert)
        found = await examine(*url, *BRIEFLY, env=KEYED)
    assert found.bad == {name}


@pytest.mark.parametrize(
    "change",
    [
        ("request_headers_to_remove: [cookie]", "request_headers_to_remove: [x]"),
        (
            "max_headers_count: 300",
            "max_headers_count: 300\n                max_request_headers_kb: 8",
        ),
    ],
    ids=["passed on", "refused"],
)
async def test_cookies_that_are_too_large_are_named(
    change: tuple[str, str], tmp_path: Path
) -> None:
    found = await seen(tmp_path, change)
    assert found.bad == {"cookies_too_large"}, found.said
    assert found.status == 1


async def test_the_wrong_key_is_named_through_a_proxy_too(tmp_path: Path) -> None:
    async with dyad_serve(SECRET) as served, proxied(served.port, tmp_path) as port:
        url = own_page(f"http://127.0.0.1:{port}")
        found = await examine(*url, *BRIEFLY, env={"DYAD_JWT_SECRET": "k" * 32})
    assert found.bad == {"wrong_key"}


async def test_health_that_a_proxy_of_native_clients_does_not_pass_on_is_named(
    tmp_path: Path,
) -> None:
    async with dyad_serve(SECRET) as served, proxied(served.port, tmp_path) as port:
        found = await examine("--port", "0", "--target", f"127.0.0.1:{port}", env=KEYED)
    assert found.bad == {"health_not_reached"}
    assert found.the("call")


async def test_a_proxy_that_does_not_reach_the_server_is_named(tmp_path: Path) -> None:
    async with proxied(free_port(), tmp_path) as port:
        found = await examine("--url", f"http://127.0.0.1:{port}", *BRIEFLY, env=KEYED)
        assert found.bad == {"dyad_not_reached"}
        # In the proxy's own words.
        assert "upstream connect error" in found.the("dyad_not_reached")["sentence"]
        found = await examine("--url", f"http://127.0.0.1:{port}/calls", *BRIEFLY, env=KEYED)
        assert found.bad == {"not_routed"}
        assert "path" in found.the("not_routed")["advice"]


async def test_an_http_address_of_a_port_with_tls_is_named(tmp_path: Path) -> None:
    async with proxied(free_port(), tmp_path, tls=certificate(tmp_path, "own")) as port:
        found = await examine("--url", f"http://127.0.0.1:{port}", *BRIEFLY, env=KEYED)
    assert found.bad == {"url_away"}
    assert "write https://" in found.the("url_away")["sentence"]


async def test_a_server_without_a_proxy_is_named(tmp_path: Path) -> None:
    async with dyad_serve(SECRET) as served:
        found = await examine("--url", f"http://127.0.0.1:{served.port}", *BRIEFLY, env=KEYED)
    assert found.bad == {"url_away"}
    assert "browsers need a proxy" in found.the("url_away")["sentence"]
    # Another web server.
    async with proxied(free_port(), tmp_path) as port, nginx(port, tmp_path, "return 404;") as web:
        found = await examine("--url", f"http://127.0.0.1:{web}", *BRIEFLY, env=KEYED)
    assert found.bad == {"not_routed"}
