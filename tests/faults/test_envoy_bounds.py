"""How much memory and time clients can take from the Envoy of deploy/ and its server."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dyad
import grpc
import psutil
import pytest
from dyad.v1 import signaling_pb2 as pb
from dyad_server.cli import envoy
from hyperframe.frame import DataFrame

from tests.conftest import token
from tests.faults.site import Site, Watch, told_of_the_end
from tests.support.clock import within
from tests.support.ends import End, ListenEnd, SignalEnd, channel, join, offer
from tests.support.http2 import LISTEN, SEND, SIGNAL, Http2, connected, message
from tests.support.needs import ROOT, needs
from tests.support.ports import free_port
from tests.support.python_client import hear
from tests.support.until import PATIENCE, until

PLAIN = ROOT / "deploy" / "envoy.yaml"
ANY = Path(__file__)
"""Where Envoy looks for the page, which no test here opens."""
MIB = 1 << 20
FASTER = 10
"""The factor by which tests shorten the times in Envoy's configuration."""
LONGEST = 60 / FASTER
CONNECTIONS = 10
COOKIE = "c" * 100


@pytest.fixture(autouse=True)
def _envoy() -> None:
    needs("envoy")


@dataclass
class Proxied:
    """An Envoy in front of the server.

    Attributes:
        port: where it listens.
        process: the process, to measure it.
    """

    port: int
    process: psutil.Process


@asynccontextmanager
async def proxied(site: Site, text: str | None = None) -> AsyncIterator[Proxied]:
    """Run Envoy with the configuration of deploy/, or `text`, in front of this server."""
    port = free_port()
    rendered = envoy.render(PLAIN, listen_port=port, server_ports=[site.port], page=ANY)
    before = set(psutil.Process().children())
    async with envoy.running(rendered if text is None else text.replace("<port>", str(port)), port):
        (process,) = set(psutil.Process().children()) - before
        yield Proxied(port, process)


def changed(site: Site, *changes: tuple[str, str]) -> str:
    """The configuration of deploy/ with changes; <port> stands for its port."""
    text = envoy.render(PLAIN, listen_port=1, server_ports=[site.port], page=ANY)
    for old, new in (("port_value: 1 }", "port_value: <port> }"), *changes):
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


def faster(site: Site) -> str:
    """The configuration of deploy/ with shorter times."""
    times = re.compile(r"(?<=: )([1-9]\d*)s\b")
    text, count = times.subn(lambda found: f"{int(found[1]) / FASTER}s", changed(site))
    assert count
    return text


def flood(attacker: Http2, path: str, requests: int, *more: tuple[str, str]) -> None:
    """Begin so many requests that never complete, without a token."""
    # Encoded on a fresh connection, so that each refers to no earlier headers.
    headers = attacker.headers(1, *more, path=path)
    for stream in range(1, 2 * requests, 2):
        headers.stream_id = stream
        attacker.write(headers)


async def answers(attacker: Http2) -> None:
    """Wait until all that it sent has been read, or Envoy has disconnected it."""
    async with asyncio.timeout(PATIENCE):
        await attacker.drain()
        await attacker.ping()


@pytest.mark.parametrize("path", [SEND, LISTEN])
async def test_ten_thousand_requests_that_never_complete_take_little_of_either_process(
    watched: Watch, path: str
) -> None:
    async with watched() as site, proxied(site) as proxy, contextlib.AsyncExitStack() as stack:
        server, before = site.process.memory_info().rss, proxy.process.memory_info().rss
        attackers = [
            await stack.enter_async_context(connected(proxy.port)) for _ in range(CONNECTIONS)
        ]
        for attacker in attackers:
            flood(attacker, path, 10_000 // CONNECTIONS)
        for attacker in attackers:
            await answers(attacker)
        assert site.process.memory_info().rss - server < 8 * MIB
        assert proxy.process.memory_info().rss - before < 32 * MIB


async def test_requests_with_large_headers_take_no_more_of_envoy_than_its_heap_may_be(
    watched: Watch,
) -> None:
    heap = 64 * MIB
    async with (
        watched() as site,
        proxied(site, changed(site, ("_bytes: 1073741824\n", f"_bytes: {heap}\n"))) as proxy,
        contextlib.AsyncExitStack() as stack,
    ):
        before = proxy.process.memory_info().rss
        attackers = []
        # 168 MB of headers in streams that each connection may have.
        for _ in range(120):
            attackers.append(await stack.enter_async_context(connected(proxy.port)))
            flood(attackers[-1], SEND, 100, ("x-more", "m" * 14_000))
            # Briefly: at its bound, Envoy accepts no connection.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1):
                    await attackers[-1].drain()
        await until(lambda: any(attacker.trailers for attacker in attackers), turn=0.05)
        assert proxy.process.memory_info().rss - before < 2 * heap


async def test_connections_past_the_limit_are_closed_until_others_are(watched: Watch) -> None:
    limit = 20
    async with (
        watched() as site,
        proxied(site, changed(site, ("connections: 10000\n", f"connections: {limit}\n"))) as proxy,
        contextlib.AsyncExitStack() as stack,
    ):
        clients = [
            await stack.enter_async_context(connected(proxy.port)) for _ in range(limit + 10)
        ]
        for client in clients:
            await answers(client)
        inside = [client for client in clients if not client.closed]
        assert 0 < len(inside) <= limit
        for client in inside:
            await client.close()

        async def another_client_connects() -> None:
            while True:
                async with connected(proxy.port) as another:
                    await another.ping()
                    if not another.closed:
                        return

        async with asyncio.timeout(PATIENCE):
            await another_client_connects()


@pytest.mark.parametrize("path", [SEND, LISTEN, SIGNAL])
async def test_20_kb_of_a_sites_cookies_disturb_no_call(watched: Watch, path: str) -> None:
    cookies = [("cookie", f"n{n}={COOKIE}") for n in range(190)]
    async with watched() as site, proxied(site) as proxy, connected(proxy.port) as page:
        proof = ("authorization", f"Bearer {token()}")
        request = {SEND: pb.SendRequest(), LISTEN: pb.ListenRequest(), SIGNAL: pb.SignalRequest()}
        # gRPC does not count the first headers of a connection.
        for stream in (1, 3):
            page.write(page.headers(stream, proof, *cookies, path=path))
            page.say(stream, request[path], end=path != SIGNAL)
            if path == LISTEN:
                assert (await page.hear(stream, pb.ListenResponse)).session_id
            elif path == SEND:
                assert (await page.ended(stream))["grpc-status"] == "5", (
                    "it went through: NOT_FOUND"
                )
            else:
                page.say(stream, pb.SignalRequest(frames=[join()]))
                assert (await page.hear(stream, pb.SignalResponse)).frames[0].room_id


@pytest.mark.parametrize("transport", [SignalEnd, ListenEnd])
async def test_a_quiet_call_lives_beyond_every_timeout_of_envoy(
    watched: Watch, transport: type[End]
) -> None:
    async with (
        watched("--heartbeat", "1", "--lease", "30") as site,
        proxied(site, faster(site)) as proxy,
        channel(proxy.port) as behind,
        site.end("bob") as bob,
    ):
        alice: Any = transport(behind, token("alice"))
        await alice.send(join())
        room_id = (await alice.hear()).room_id
        until_then = asyncio.get_running_loop().time() + LONGEST * 1.5
        while asyncio.get_running_loop().time() < until_then:
            heartbeat = await alice.call.read()
            assert heartbeat is not grpc.aio.EOF, "it was cut"
            assert not heartbeat.frames
        await bob.send(join(room_id), offer(room_id))
        assert (await alice.hear()).sender.user_id == "bob"
        assert (await alice.hear()).offer.sdp == "v=0"


async def test_the_python_client_stays_in_a_quiet_call_behind_envoy(watched: Watch) -> None:
    async with (
        watched("--heartbeat", "0.5", "--lease", "2") as site,
        proxied(site, faster(site)) as proxy,
        dyad.connect(f"127.0.0.1:{proxy.port}", token("alice"), plaintext=True) as alice,
    ):
        room = await alice.create()
        async with dyad.connect(f"127.0.0.1:{site.port}", token("bob"), plaintext=True) as bob:
            await asyncio.sleep(LONGEST * 1.5)
            await bob.join(room.room_id)
            joined = await hear(alice)
            assert isinstance(joined, dyad.PeerJoined), joined


@pytest.mark.parametrize("path", [SEND, LISTEN])
async def test_a_request_that_never_completes_is_ended(watched: Watch, path: str) -> None:
    async with (
        watched() as site,
        proxied(site, faster(site)) as proxy,
        connected(proxy.port) as attacker,
    ):
        attacker.write(attacker.headers(1, path=path))
        async with within(LONGEST * 2):
            while 1 not in attacker.trailers and not attacker.closed:
                await attacker.ping()
                await asyncio.sleep(0.1)


async def test_a_send_that_trickles_in_is_ended_too(watched: Watch) -> None:
    async with (
        watched() as site,
        proxied(site, faster(site)) as proxy,
        connected(proxy.port) as attacker,
    ):
        attacker.write(attacker.headers(1, path=SEND))
        # Half of the time that Envoy gives a silent client.
        async with within(LONGEST / 2):
            for byte in message(b"x" * 1000):
                if 1 in attacker.trailers or attacker.closed:
                    break
                attacker.write(DataFrame(1, bytes([byte])))
                await attacker.drain()
                await asyncio.sleep(0.1)
        assert 1 in attacker.trailers or attacker.closed


async def test_a_native_client_that_vanishes_behind_envoy_is_noticed_by_its_pings(
    watched: Watch,
) -> None:
    async with (
        watched() as site,
        proxied(site, faster(site)) as proxy,
        site.end("alice") as alice,
        connected(proxy.port) as bob,
    ):
        await alice.send(join())
        room_id = (await alice.hear()).room_id
        stream = bob.call(token("bob"))
        bob.say(stream, pb.SignalRequest(frames=[join(room_id)]))
        assert (await alice.hear()).sender.user_id == "bob"
        bob.stop_reading()
        await told_of_the_end(alice)
