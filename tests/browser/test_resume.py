"""A call in Chromium while the connection to the server breaks."""

import asyncio
import re

import pytest
from playwright.async_api import Page, expect

from tests.browser.site import (
    DECODED,
    MEDIA_MS,
    SECOND_BROWSER,
    OpenSite,
    Proxy,
    are_connected,
    call,
    hang_up,
    shows_moving_pictures,
)
from tests.conftest import serving
from tests.support import proxy as tcp
from tests.support.clock import within
from tests.support.depth import depth

pytestmark = pytest.mark.xdist_group(SECOND_BROWSER)

RESTARTS_ICE = 'window.calls[0].signalingState === "have-local-offer"'
UFRAG = "window.calls[0].localDescription.sdp.match(/a=ice-ufrag:(.*)/)[1]"
AWAY = re.compile("^Reconnecting to the server…$|^The server is out of reach.$")
RESTARTS = depth("PROXY_RESTARTS", here=3, ci=10)
GOES_ON = "Your call goes on until one of you hangs up."


async def goes_on_alone(page: Page) -> None:
    await expect(page.locator("#headline")).to_have_text(AWAY)
    await expect(page.locator("#advice")).to_have_text("Your call goes on.")
    await expect(page.locator("#status")).to_have_text("Connected to peer")
    await shows_moving_pictures(page)


async def is_back(page: Page) -> None:
    await expect(page.locator("#headline")).to_be_hidden()


async def test_a_call_survives_restarts_of_the_proxy(site: OpenSite) -> None:
    async with site() as here:
        alice, bob = await call(here)
        for page in (alice, bob):
            await page.wait_for_function(DECODED, timeout=MEDIA_MS)
        for _ in range(RESTARTS):
            await here.proxy.stop()
            await asyncio.gather(goes_on_alone(alice), goes_on_alone(bob))
            await here.proxy.start()
            await asyncio.gather(is_back(alice), is_back(bob))
        for page in (alice, bob):
            await shows_moving_pictures(page)
            await expect(page.locator("#status")).to_have_text("Connected to peer")
            assert await page.evaluate("window.calls.length") == 1
        await hang_up(bob)
        await expect(alice.locator("#headline")).to_have_text("bob hung up.")


async def test_a_hang_up_while_the_server_is_away_is_delivered_afterwards(site: OpenSite) -> None:
    async with site() as here, tcp.Proxy(here.proxy.port) as way:
        alice, bob = await call(here, bobs_url=f"http://localhost:{way.port}/")
        await way.refuse()
        await way.cut()
        async with bob.expect_event("requestfailed"):
            await expect(bob.locator("#headline")).to_have_text(AWAY)
        await hang_up(bob)
        await way.accept()
        await expect(alice.locator("#headline")).to_have_text("bob hung up.")


async def test_a_page_whose_seat_expired_negotiates_again_and_its_picture_never_stops(
    site: OpenSite,
) -> None:
    async with site(resume_grace=0.3) as here, Proxy(here.server.port) as bobs:
        alice, bob = await call(here, bobs_url=bobs.url)
        await bobs.stop()
        await expect(alice.locator("#headline")).to_have_text("The server has lost bob.")
        for page in (alice, bob):
            await shows_moving_pictures(page)
            await page.evaluate(NEVER_STOPS)
        await bobs.start()
        for page in (alice, bob):
            await page.wait_for_function("() => window.calls.length === 2")
            # The first call ends only when the second is connected.
            await page.wait_for_function("() => window.calls[0].signalingState === 'closed'")
            await is_back(page)
            await are_connected(page)
            await shows_moving_pictures(page)
            assert await page.evaluate("window.never") == [True], "the page showed no call"


# Remembers every answer to: is a direct connection of this page connected?
NEVER_STOPS = """() => {
  window.never = [];
  const status = document.getElementById("status");
  const look = () => {
    const connected = status.textContent === "Connected to peer";
    if (!window.never.includes(connected)) window.never.push(connected);
  };
  look();
  new MutationObserver(look)
    .observe(status, { childList: true, characterData: true, subtree: true });
}"""


async def test_the_call_restarts_ice_when_the_network_is_back(site: OpenSite) -> None:
    async with site() as here:
        alice, bob = await call(here)
        before = await alice.evaluate(UFRAG)
        await bob.context.set_offline(True)
        await expect(bob.locator("#headline")).to_have_text(AWAY)
        await bob.context.set_offline(False)
        await is_back(bob)
        await alice.wait_for_function(f"() => {UFRAG} !== '{before}'")
        for page in (alice, bob):
            await shows_moving_pictures(page)
            assert await page.evaluate("window.calls.length") == 1


async def test_two_concurrent_ice_restarts_keep_both_pictures(site: OpenSite) -> None:
    async with site() as here:
        pages = await call(here)
        before = [await page.evaluate(UFRAG) for page in pages]
        await asyncio.gather(
            *(page.evaluate("dispatchEvent(new Event('online'))") for page in pages)
        )
        for page, ufrag in zip(pages, before, strict=True):
            await page.wait_for_function(f"() => {UFRAG} !== '{ufrag}'")
            await shows_moving_pictures(page)
            assert await page.evaluate("window.calls.length") == 1


async def test_a_call_continues_after_the_server_lost_its_room(site: OpenSite) -> None:
    async with site() as here:
        alice, bob = await call(here)
        await here.proxy.stop()
        await here.server.stop()
        async with serving(port=here.server.port):
            await here.proxy.start()
            for page in (alice, bob):
                await expect(page.locator("#headline")).to_contain_text("lost this room")
                await expect(page.locator("#advice")).to_have_text(GOES_ON)
                await expect(page.locator("#status")).to_have_text("Connected to peer")
            await asyncio.gather(shows_moving_pictures(alice), shows_moving_pictures(bob))
            await hang_up(alice)
            # Bob hears it from the media alone.
            await expect(bob.locator("#status")).to_have_text("Disconnected")
            await expect(bob.locator("#message")).to_contain_text("no such room")


async def test_a_media_gap_while_the_server_loses_the_room_does_not_end_the_call(
    site: OpenSite,
) -> None:
    async with site() as here:
        alice, bob = await call(here)
        await here.proxy.stop()
        await here.server.stop()
        await bob.evaluate("window.calls[0].close()")
        await alice.wait_for_function("() => window.calls[0].connectionState === 'disconnected'")
        async with serving(port=here.server.port):
            await here.proxy.start()
            await expect(alice.locator("#headline")).to_contain_text("lost this room")
            await expect(alice.locator("#advice")).to_have_text(GOES_ON)
            await alice.wait_for_function(f"() => {RESTARTS_ICE}")
            await expect(alice.locator("#advice")).to_have_text(GOES_ON)
            await expect(alice.locator("#status")).to_have_text("Disconnected")


async def test_a_silent_connection_is_noticed_within_15_seconds(site: OpenSite) -> None:
    async with site() as here, tcp.Proxy(here.proxy.port) as way:
        _, bob = await call(here, bobs_url=f"http://localhost:{way.port}/")
        async with within(16):
            way.stall()
            await expect(bob.locator("#headline")).to_have_text(AWAY)
        await way.cut()
        way.resume_forwarding()
        await is_back(bob)
        await shows_moving_pictures(bob)
