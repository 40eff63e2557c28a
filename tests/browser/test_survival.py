"""What a call in Chromium survives with its picture moving, beside a broken connection."""

import asyncio
import os
import signal
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import pytest
from playwright.async_api import Browser, Page, expect

from tests.browser.site import (
    PATIENT_GRACE,
    SECOND_BROWSER,
    OpenSite,
    Proxy,
    Site,
    are_connected,
    call,
    create,
    join,
    running_chromium,
    shows_moving_pictures,
)
from tests.conftest import SECRET, token
from tests.support import proxy as tcp
from tests.support.process import dyad_serve
from tests.support.turn import TurnServer

pytestmark = pytest.mark.xdist_group(SECOND_BROWSER)

LEEWAY = 30
"""How long the server still accepts a token after its `exp`, in seconds."""
FROZEN_SECONDS = 30


async def show_each_other(*pages: Page) -> None:
    await are_connected(*pages)
    for page in pages:
        await shows_moving_pictures(page)


@asynccontextmanager
async def in_browsers_of_their_own(url: str, *fragments: str) -> AsyncIterator[list[Page]]:
    """Pages whose processes are no other page's."""
    async with running_chromium() as first, running_chromium() as second:
        browsers: list[Browser] = [first, second]
        pages = [await (await browser.new_context()).new_page() for browser in browsers]
        for page, fragment in zip(pages, fragments, strict=True):
            await page.goto(f"{url}#stun=&{fragment}")
        yield pages


async def test_the_server_is_killed_and_started_again(site: OpenSite) -> None:
    grace = ("--resume-grace", str(PATIENT_GRACE))
    room = str(uuid.uuid4())
    async with site() as here, dyad_serve(SECRET, *grace) as first, Proxy(first.port) as proxy:
        # These tokens name the room, so that both can join it again.
        alice, bob = [
            await here.tab(f"token={token(who, room=room)}&auto", url=proxy.url)
            for who in ("alice", "bob")
        ]
        await show_each_other(alice, bob)
        first.process.kill()
        await first.process.wait()
        for page in (alice, bob):
            await expect(page.locator("#advice")).to_have_text("Your call goes on.")
        await show_each_other(alice, bob)
        async with dyad_serve(SECRET, *grace, "--port", str(first.port)):
            for page in (alice, bob):
                await page.wait_for_function("() => window.calls.length === 2")
                await page.wait_for_function("() => window.calls[0].signalingState === 'closed'")
                await expect(page.locator("#notice")).to_have_class("empty")
            await show_each_other(alice, bob)


async def expiring_call(here: Site) -> tuple[Page, Page]:
    """A call in which the server soon ends Bob's connection because of his token."""
    alice, bob = await here.tab(), await here.tab()
    await join(bob, await create(alice), proof=token("bob", ttl=4 - LEEWAY))
    await show_each_other(alice, bob)
    await expect(bob.locator("#renewForm")).to_be_visible()
    await expect(bob.locator("#headline")).to_contain_text("expired")
    await expect(bob.locator("#status")).to_have_text("Connected to peer")
    return alice, bob


async def renew(page: Page, proof: str) -> None:
    await page.get_by_label("New token").fill(proof)
    await page.get_by_role("button", name="Continue").click()


async def test_a_token_expires_and_the_user_pastes_another(site: OpenSite) -> None:
    async with site(end_at_expiry=True) as here:
        alice, bob = await expiring_call(here)
        await shows_moving_pictures(bob)
        await renew(bob, token("bob"))
        await expect(bob.locator("#notice")).to_have_class("empty")
        await show_each_other(alice, bob)
        for page in (alice, bob):
            assert await page.evaluate("window.calls.length") == 1


async def test_a_token_that_is_refused_too_can_be_replaced_again(site: OpenSite) -> None:
    async with site(end_at_expiry=True) as here:
        alice, bob = await expiring_call(here)
        await renew(bob, "nonsense")
        await expect(bob.locator("#renewForm")).to_be_visible()
        await renew(bob, token("bob"))
        await expect(bob.locator("#notice")).to_have_class("empty")
        await show_each_other(alice, bob)


async def test_a_token_is_replaced_after_the_seat_was_released(site: OpenSite) -> None:
    async with site(end_at_expiry=True, resume_grace=0.3) as here:
        alice, bob = await expiring_call(here)
        await expect(alice.locator("#headline")).to_have_text("The server has lost bob.")
        await show_each_other(alice, bob)
        await renew(bob, token("bob"))
        for page in (alice, bob):
            await page.wait_for_function("() => window.calls.length === 2")
            await expect(page.locator("#notice")).to_have_class("empty")
        await show_each_other(alice, bob)


@contextmanager
def frozen(processes: list[int]) -> Iterator[None]:
    for process in processes:
        os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        for process in processes:
            os.kill(process, signal.SIGCONT)


async def renderers(page: Page) -> list[int]:
    """The processes of the pages in this page's browser."""
    browser = page.context.browser
    assert browser is not None
    session = await browser.new_browser_cdp_session()
    found = await session.send("SystemInfo.getProcessInfo")
    return [one["id"] for one in found["processInfo"] if one["type"] == "renderer"]


async def test_a_tab_is_frozen_for_30_seconds(site: OpenSite) -> None:
    room = str(uuid.uuid4())
    links = [f"token={token(who, room=room)}&auto" for who in ("alice", "bob")]
    async with site() as here, in_browsers_of_their_own(here.proxy.url, *links) as (alice, bob):
        await show_each_other(alice, bob)
        with frozen(await renderers(bob)):
            await asyncio.sleep(FROZEN_SECONDS)
        await show_each_other(alice, bob)


async def test_the_network_is_switched(site: OpenSite) -> None:
    """What was open over the last network is dead without a word, and only new paths work."""
    room = str(uuid.uuid4())
    async with site() as here, TurnServer() as turn, tcp.Proxy(here.proxy.port) as way:
        links = [f"token={token(who, room=room)}&auto&{turn.fragment}" for who in ("alice", "bob")]
        alice = await here.tab(links[0])
        bob = await here.tab(links[1], url=f"http://localhost:{way.port}/")
        await show_each_other(alice, bob)
        turn.forget()
        way.stall(new=False)
        await bob.context.set_offline(True)
        await bob.context.set_offline(False)
        await expect(bob.locator("#notice")).to_have_class("empty")
        await show_each_other(alice, bob)
        for page in (alice, bob):
            assert await page.evaluate("window.calls.length") == 1


async def test_a_call_that_may_only_use_a_turn_server_shows_its_pictures(site: OpenSite) -> None:
    async with site() as here, TurnServer() as turn:
        alice, bob = await here.tab(turn.fragment), await here.tab(turn.fragment)
        assert turn.password not in alice.url
        await join(bob, await create(alice))
        carried = turn.carried
        await show_each_other(alice, bob)
        assert turn.carried > carried
        await expect(alice.locator("#figures")).to_contain_text("through a TURN server")


async def test_without_a_way_between_the_two_the_page_says_so_and_what_to_do(
    site: OpenSite,
) -> None:
    async with site() as here:
        # Media may only go through a TURN server, and there is none.
        alice, bob = await here.tab("relay"), await here.tab("relay")
        await join(bob, await create(alice))
        others = ((alice, "bob"), (bob, "alice"))
        for page, other in others:
            await expect(page.locator("#headline")).to_have_text(f"Connecting to {other}…")
        for page, other in others:
            await expect(page.locator("#headline")).to_contain_text(f"no way to {other}")
            await expect(page.locator("#advice")).to_contain_text("TURN")


async def test_a_call_that_the_server_no_longer_knows_ends_by_the_media(site: OpenSite) -> None:
    async with site(resume_grace=0.3) as here, Proxy(here.server.port) as bobs:
        alice, bob = await call(here, bobs_url=bobs.url)
        await bobs.stop()
        await expect(alice.locator("#headline")).to_have_text("The server has lost bob.")
        await shows_moving_pictures(alice)
        await bob.close()
        await expect(alice.locator("#headline")).to_have_text("The connection of bob was lost.")
        await expect(alice.locator("#link")).to_be_visible()
