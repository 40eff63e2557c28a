"""The call page: what a user sees and does."""

import asyncio
import re
import sys
from pathlib import Path

import pytest
from playwright.async_api import Request, expect

from tests.browser.site import (
    DECODED,
    MEDIA_MS,
    REMOTE,
    STREAM,
    OpenSite,
    are_connected,
    call,
    create,
    hang_up,
    join,
    shows_moving_pictures,
)
from tests.conftest import token
from tests.support.certificates import certificate
from tests.support.clock import within
from tests.support.needs import ROOT
from tests.support.until import until

# Limits how many browsers run at the same time.
pytestmark = pytest.mark.xdist_group("browser")

# As if the browser asked for the camera, and a person allowed it by window.allow().
ASKED_ABOUT_THE_CAMERA = """() => {
  const devices = navigator.mediaDevices;
  const open = devices.getUserMedia.bind(devices);
  const allowed = new Promise((allow) => (window.allow = allow));
  devices.getUserMedia = async (wanted) => (await allowed, open(wanted));
}"""
HEARD = """async () => [...(await window.calls[0].getStats()).values()].some(
  ({ type, kind, packetsReceived }) =>
    type === "inbound-rtp" && kind === "audio" && packetsReceived > 10)"""


async def test_two_browsers_show_each_other_and_closing_one_tells_the_other(site: OpenSite) -> None:
    # The end of a closed page's Listen may overtake its last Send. Then the seat
    # stays reserved for the grace time.
    async with site(resume_grace=0.5) as here:
        alice, bob = await call(here)
        for page in (alice, bob):
            await page.wait_for_function(DECODED, timeout=MEDIA_MS)
        ids = {page: await page.evaluate(STREAM, "localVideo") for page in (alice, bob)}
        assert await alice.evaluate(STREAM, "remoteVideo") == ids[bob]
        assert await bob.evaluate(STREAM, "remoteVideo") == ids[alice]
        await bob.close()
        await expect(alice.locator("#status")).to_have_text("Connected")
        await expect(alice.locator("#link")).to_be_visible()


async def test_a_camera_allowed_late_does_not_interrupt_the_picture(site: OpenSite) -> None:
    async with site() as here:
        pages = await call(here, first=ASKED_ABOUT_THE_CAMERA)
        for page in pages:
            await page.wait_for_function(DECODED, timeout=MEDIA_MS)
            await page.evaluate(f"{REMOTE}.addEventListener('emptied', () => window.emptied = 1)")
        for page in pages:
            await page.evaluate("window.allow()")
        for page in pages:
            await page.wait_for_function(HEARD, timeout=MEDIA_MS)
            assert not await page.evaluate("window.emptied"), "the picture was loaded again"
            await shows_moving_pictures(page)


async def test_a_second_tab_of_the_same_person_takes_over_the_call(site: OpenSite) -> None:
    async with site() as here:
        alice, bob = await call(here)
        room_id = await alice.locator("#roomId").input_value()
        other = await here.tab(f"token={token('bob')}&room={room_id}")
        await other.get_by_role("button", name="Join Room (Callee)").click()
        await expect(bob.locator("#message")).to_contain_text("taken over by another tab or device")
        await expect(bob.locator("#status")).to_have_text("Disconnected")
        await are_connected(alice, other)
        stream = await other.evaluate(STREAM, "localVideo")
        await alice.wait_for_function(f"id => ({STREAM})('remoteVideo') === id", arg=stream)
        await shows_moving_pictures(alice)
        # The first tab stops its camera, and does not take the seat back by itself.
        assert await bob.evaluate("window.calls.at(-1).signalingState") == "closed"
        assert not await bob.evaluate(STREAM, "localVideo")


async def test_after_a_hang_up_the_other_page_waits_for_the_next_caller(site: OpenSite) -> None:
    async with site() as here:
        alice, bob = await call(here)
        async with within(1):
            await hang_up(bob)
            await expect(alice.locator("#headline")).to_have_text("bob hung up.")
        await expect(alice.locator("#status")).to_have_text("Connected")
        await bob.get_by_role("button", name="Join Room (Callee)").click()
        await are_connected(alice, bob)


async def test_closing_a_page_hangs_up(site: OpenSite) -> None:
    async with site() as here:
        alice, bob = await call(here)
        await bob.evaluate('dispatchEvent(new PageTransitionEvent("pagehide"))')
        await expect(alice.locator("#headline")).to_have_text("bob hung up.")
        # It may come back from the browser's cache.
        await expect(bob.locator("#message")).to_contain_text("You left this page")
        await expect(bob.locator("#status")).to_have_text("Disconnected")


async def test_an_automatic_link_needs_no_typing(site: OpenSite) -> None:
    room = "6c1f3c3e-9d2c-4b7e-8f53-0d6f3f9f7a10"
    async with site() as here:
        pages = [
            await here.tab(f"token={token(who, room=room)}&auto=1") for who in ("alice", "bob")
        ]
        await are_connected(*pages)


@pytest.mark.parametrize("bad", ["nonsense", "a.b.c", "", token(ttl=-60)])
async def test_a_bad_token_is_reported_in_a_sentence(site: OpenSite, bad: str) -> None:
    async with site() as here:
        page = await here.tab()
        await page.fill("#token", bad)
        await page.get_by_role("button", name="Create Room (Caller)").click()
        await expect(page.locator("#message")).to_contain_text(re.compile(r"token.*\."))
        await expect(page.locator("#status")).to_have_text("Disconnected")


async def test_the_link_to_share_contains_the_room_and_not_the_token(site: OpenSite) -> None:
    async with site() as here:
        page = await here.tab()
        room = await create(page)
        href = await page.locator("#link").get_attribute("href") or ""
        assert f"room={room}" in href.partition("#")[2]
        assert "token" not in href


async def test_who_pastes_the_whole_link_joins_its_room(site: OpenSite) -> None:
    async with site() as here:
        alice, bob = await here.tab(), await here.tab()
        await create(alice)
        await join(bob, await alice.locator("#link").inner_text())
        await are_connected(alice, bob)


@pytest.mark.parametrize("bad", ["", "nonsense", "6c1f3c3e-9d2c-4b7e-8f53-0d6f3f9f7a10"])
async def test_a_room_that_is_not_there_is_reported_in_a_sentence(site: OpenSite, bad: str) -> None:
    async with site() as here:
        page = await here.tab()
        await join(page, bad)
        await expect(page.locator("#message")).to_contain_text("the caller")
        await expect(page.locator("#status")).to_have_text("Disconnected")


async def test_behind_tls_a_call_uses_http2(site: OpenSite, tmp_path: Path) -> None:
    async with site(tls=certificate(tmp_path, "proxy")) as here:
        alice, _ = await call(here)
        protocol = 'performance.getEntriesByType("navigation")[0].nextHopProtocol'
        assert await alice.evaluate(protocol) == "h2"
        protocols = """performance.getEntriesByType("resource")
          .filter(({ name }) => name.includes("dyad.v1.Signaling"))
          .map(({ nextHopProtocol }) => nextHopProtocol)"""
        assert set(await alice.evaluate(protocols)) == {"h2"}


async def test_without_a_room_the_page_asks_the_server_for_nothing(site: OpenSite) -> None:
    async with site() as here:
        page = await here.tab()
        # Requests that the page is waiting for: a Listen lasts as long as there is a room.
        open_requests: set[Request] = set()

        def asks(request: Request) -> None:
            open_requests.add(request)

        def ends(request: Request) -> None:
            open_requests.discard(request)

        page.on("request", asks)
        page.on("requestfinished", ends)
        page.on("requestfailed", ends)
        for _ in range(2):
            await create(page)
            assert open_requests
            await hang_up(page)
            await until(lambda: not open_requests and len(here.server.dyad.hub) == 0)


async def test_a_server_that_is_away_when_a_room_is_created_is_reported(site: OpenSite) -> None:
    async with site() as here:
        page = await here.tab()
        await here.server.stop()
        await page.fill("#token", token())
        await page.get_by_role("button", name="Create Room (Caller)").click()
        await expect(page.locator("#message")).to_contain_text("out of reach")
        await expect(page.locator("#status")).to_have_text("Disconnected")


async def test_reloading_a_link_of_dyad_dev_calls_again_without_a_token_in_the_address(
    site: OpenSite,
) -> None:
    async with site() as here:
        page = await here.tab(f"token={token()}&auto=1")
        await expect(page.locator("#link")).to_be_visible()
        assert "token" not in page.url
        await page.reload()
        await expect(page.locator("#link")).to_be_visible()


async def test_a_browser_and_aiortc_exchange_pictures(site: OpenSite) -> None:
    async with site() as here:
        alice = await here.tab()
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(ROOT / "clients/python/examples/aiortc_call.py"),
            "--target",
            f"127.0.0.1:{here.server.port}",
            "--token",
            token("bob"),
            *("--plaintext", "--stun", ""),
            "--room",
            await create(alice),
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            await alice.wait_for_function(DECODED, timeout=MEDIA_MS)
            assert process.stdout is not None
            async with asyncio.timeout(MEDIA_MS / 1000):
                while b"frames" not in await process.stdout.readline():
                    pass
        finally:
            if process.returncode is None:
                process.kill()
            await process.communicate()
