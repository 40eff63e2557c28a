"""Browsers behind the real Envoy: browsers, networks and Envoy itself vanish."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psutil
import pytest
from dyad_server.cli import envoy

from tests.conftest import token
from tests.faults.page import joined
from tests.faults.site import UNBOUND, Site, Watch, told_of_the_end
from tests.support.ends import End, ListenEnd, SignalEnd, channel, join, offer, pair
from tests.support.needs import PAGE, ROOT, needs
from tests.support.ports import free_port
from tests.support.proxy import Proxy
from tests.support.until import PATIENCE

PLAIN = ROOT / "deploy" / "envoy.yaml"


@pytest.fixture(autouse=True)
def _page() -> None:
    needs(PAGE)


@asynccontextmanager
async def proxied(site: Site) -> AsyncIterator[int]:
    """Envoy in front of the server, as deployed; yields its port."""
    port = free_port()
    text = envoy.render(PLAIN, listen_port=port, server_ports=[site.port], page=PAGE)
    async with envoy.running(text, port):
        yield port


@asynccontextmanager
async def behind_envoy(watched: Watch) -> AsyncIterator[tuple[Site, Proxy, End, str]]:
    """A server behind Envoy, a network to Envoy that can stall, and Alice in a room."""
    async with (
        watched("--heartbeat", "1", "--lease", "3") as site,
        proxied(site) as port,
        Proxy(port) as network,
        site.end("alice") as alice,
    ):
        await alice.send(join())
        yield site, network, alice, (await alice.hear()).room_id


async def is_disconnected(site: Site, network: Proxy, alice: End) -> None:
    """Stall the network of Bob, who has joined Alice: she is told, and only she remains."""
    assert (await alice.hear()).sender.user_id == "bob"
    network.stall()
    await told_of_the_end(alice)
    await site.has(1)


async def test_closing_a_page_tells_the_peer_at_once(watched: Watch) -> None:
    async with watched() as site, proxied(site) as port, site.end("alice") as alice:
        await alice.send(join())
        room_id = (await alice.hear()).room_id
        async with joined(port, token("bob"), room_id) as bob:
            assert (await alice.hear()).sender.user_id == "bob"
            bob.leave()
            await told_of_the_end(alice, seconds=1)
            await site.has(1)


async def test_a_page_without_network_is_disconnected_when_its_lease_ends(
    watched: Watch,
) -> None:
    # Only the lease can end him: the pings are answered by Envoy, which is healthy.
    async with (
        behind_envoy(watched) as (site, network, alice, room_id),
        joined(network.port, token("bob"), room_id),
    ):
        await is_disconnected(site, network, alice)


async def test_a_native_client_without_network_behind_a_proxy_is_disconnected_like_a_page(
    watched: Watch,
) -> None:
    # Envoy answers the server's pings for the client.
    async with (
        behind_envoy(watched) as (site, network, alice, room_id),
        channel(network.port) as own,
    ):
        bob = SignalEnd(own, token("bob"))
        await bob.send(join(room_id, seq=1))
        await bob.hear()
        await is_disconnected(site, network, alice)
        bob.cut()


async def test_killing_envoy_disconnects_only_participants_behind_it(
    watched: Watch,
) -> None:
    async with watched() as site, proxied(site) as port, site.end("alice") as alice:
        await alice.send(join())
        room_id = (await alice.hear()).room_id
        async with joined(port, token("bob"), room_id) as bob:
            assert (await alice.hear()).sender.user_id == "bob"
            (proxy,) = (child for child in psutil.Process().children() if "envoy" in child.name())
            proxy.send_signal(signal.SIGKILL)
            await told_of_the_end(alice, seconds=1)
            with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
                await bob.read()
            await site.has(1)


async def test_pages_that_do_not_read_delay_no_other_page(watched: Watch) -> None:
    async with (
        watched(*UNBOUND) as site,
        proxied(site) as port,
        channel(port) as behind,
        contextlib.AsyncExitStack() as stack,
    ):
        carol, dave, room_id = await pair(
            lambda name, **claims: ListenEnd(behind, token(name, **claims))
        )
        for n in range(3):
            alice = await stack.enter_async_context(site.end(f"alice-{n}"))
            await alice.send(join())
            other_room = (await alice.hear()).room_id
            bob = await stack.enter_async_context(joined(port, token(f"bob-{n}"), other_room))
            assert (await alice.hear()).sender.user_id == f"bob-{n}"
            bob.stop_reading()
            given_up = asyncio.create_task(told_of_the_end(alice, seconds=30))
            while not given_up.done():
                await alice.send(offer(other_room, "x" * 60_000))
            await given_up
        async with asyncio.timeout(PATIENCE):
            await carol.send(offer(room_id))
            assert (await dave.hear()).offer.sdp == "v=0"
