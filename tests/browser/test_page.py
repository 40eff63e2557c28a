"""The call page, served by the real Envoy, in real Chromium, with real media."""

import asyncio
import os
import re
import shutil
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from dyad_server import envoy
from dyad_server.app import Server
from playwright.async_api import Browser, Page, async_playwright, expect

from tests.conftest import serving, token

ROOT = Path(__file__).parents[2]
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
PAGE = ROOT / "build" / "web" / "index.html"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--allow-loopback-in-peer-connection",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
]
MEDIA_SECONDS = 20_000


@pytest.fixture(autouse=True)
def needs() -> None:
    missing = [] if CHROMIUM else ["Chromium (apt-get install chromium)"]
    missing += [] if PAGE.is_file() else ["the call page (make build/web/index.html)"]
    if missing:
        sentence = f"This needs {' and '.join(missing)}."
        if os.environ.get("CI"):
            pytest.fail(sentence)
        pytest.skip(sentence)


@dataclass
class Site:
    url: str
    server: Server
    browser: Browser

    async def tab(self, fragment: str = "") -> Page:
        """A page of a context of its own: nothing is shared but the network."""
        context = await self.browser.new_context()
        page = await context.new_page()
        await page.goto(f"{self.url}#stun=&{fragment}")
        return page


@asynccontextmanager
async def site(**settings: Any) -> AsyncIterator[Site]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    async with serving(**settings) as server, async_playwright() as playwright:
        text = envoy.render(
            ROOT / "deploy" / "envoy.yaml", listen_port=port, server_port=server.port, page=PAGE
        )
        async with envoy.running(text, port):
            browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            try:
                yield Site(f"http://localhost:{port}/", server, browser)
            finally:
                await browser.close()


async def call(site: Site) -> tuple[Page, Page]:
    """Two tabs, typed into as two people would."""
    alice, bob = await site.tab(), await site.tab()
    for page, who in ((alice, "alice"), (bob, "bob")):
        await expect(page.locator("#status")).to_have_text("Disconnected")
        await page.fill("#token", token(who))
        await page.get_by_role("button", name="Connect", exact=True).click()
        await expect(page.locator("#status")).to_have_text("Connected")
    await alice.get_by_role("button", name="Create Room (Caller)").click()
    await expect(alice.locator("#roomId")).to_have_value(re.compile(r"^[0-9a-f-]{36}$"))
    await bob.fill("#roomId", await alice.locator("#roomId").input_value())
    await bob.get_by_role("button", name="Join Room (Callee)").click()
    for page in (alice, bob):
        await expect(page.locator("#status")).to_have_text(
            "Connected to peer", timeout=MEDIA_SECONDS
        )
    return alice, bob


# Fake cameras all show the same picture: a stream's id, which travels in the
# SDP, says whose it is.
STREAM = "id => document.getElementById(id).srcObject?.id ?? ''"
DECODED = """() => {
  const video = document.getElementById("remoteVideo");
  return video.getVideoPlaybackQuality().totalVideoFrames > 10 && video.videoWidth > 0;
}"""


async def test_two_browsers_show_each_other_and_closing_one_tells_the_other() -> None:
    async with site() as here:
        alice, bob = await call(here)
        for page in (alice, bob):
            await page.wait_for_function(DECODED, timeout=MEDIA_SECONDS)
        ids = {page: await page.evaluate(STREAM, "localVideo") for page in (alice, bob)}
        assert await alice.evaluate(STREAM, "remoteVideo") == ids[bob]
        assert await bob.evaluate(STREAM, "remoteVideo") == ids[alice]
        await bob.close()
        await expect(alice.locator("#status")).to_have_text("Connected", timeout=1000)


async def test_hanging_up_lets_the_other_one_wait_for_the_next() -> None:
    async with site() as here:
        alice, bob = await call(here)
        await bob.get_by_role("button", name="Hang up").click()
        await expect(alice.locator("#status")).to_have_text("Connected", timeout=1000)


async def test_an_automatic_link_needs_no_typing() -> None:
    room = "6c1f3c3e-9d2c-4b7e-8f53-0d6f3f9f7a10"
    async with site() as here:
        pages = [
            await here.tab(f"token={token(who, room=room)}&auto=1") for who in ("alice", "bob")
        ]
        for page in pages:
            await expect(page.locator("#status")).to_have_text(
                "Connected to peer", timeout=MEDIA_SECONDS
            )


@pytest.mark.parametrize("bad", ["nonsense", "a.b.c"])
async def test_a_bad_token_is_said_in_a_sentence(bad: str) -> None:
    async with site() as here:
        page = await here.tab()
        await page.fill("#token", bad)
        await page.get_by_role("button", name="Connect", exact=True).click()
        await expect(page.locator("#message")).to_be_visible()
        await expect(page.locator("#status")).to_have_text("Disconnected")


async def test_the_link_to_hand_over_has_the_room_and_not_the_token() -> None:
    async with site() as here:
        page = await here.tab()
        await page.fill("#token", token())
        await page.get_by_role("button", name="Connect", exact=True).click()
        await page.get_by_role("button", name="Create Room (Caller)").click()
        link = page.locator("#link")
        await expect(link).to_be_visible()
        room = await page.locator("#roomId").input_value()
        href = await link.get_attribute("href") or ""
        assert f"room={room}" in href.partition("#")[2]
        assert "token" not in href


STATUSES = """() => {
  const status = document.getElementById("status");
  window.statuses = [];
  new MutationObserver(() => window.statuses.push(status.textContent))
    .observe(status, { childList: true, characterData: true, subtree: true });
}"""


async def listens_again(page: Page, times: int) -> None:
    for _ in range(times):
        await page.wait_for_event("request", lambda request: request.url.endswith("/Listen"))


async def test_the_page_stays_connected_while_a_person_thinks() -> None:
    async with site(join_timeout=0.5) as here:
        page = await here.tab()
        await page.fill("#token", token())
        await page.get_by_role("button", name="Connect", exact=True).click()
        await expect(page.locator("#status")).to_have_text("Connected")
        await page.evaluate(STATUSES)
        await listens_again(page, 2)
        await page.get_by_role("button", name="Create Room (Caller)").click()
        await expect(page.locator("#link")).to_be_visible()
        await page.get_by_role("button", name="Hang up").click()
        await listens_again(page, 2)
        await expect(page.locator("#message")).to_be_hidden()
        assert set(await page.evaluate("window.statuses")) <= {"Connected"}


async def test_a_server_that_goes_while_a_person_thinks_is_said() -> None:
    async with site() as here:
        page = await here.tab()
        await page.fill("#token", token())
        await page.get_by_role("button", name="Connect", exact=True).click()
        await expect(page.locator("#status")).to_have_text("Connected")
        await here.server.stop()
        await expect(page.locator("#status")).to_have_text("Disconnected")
        await expect(page.locator("#message")).to_have_text(re.compile("Press Connect"))


async def test_reloading_a_demo_link_calls_again_without_a_token_in_the_address() -> None:
    async with site() as here:
        page = await here.tab(f"token={token()}&auto=1")
        await expect(page.locator("#link")).to_be_visible()
        assert "token" not in page.url
        await page.reload()
        await expect(page.locator("#link")).to_be_visible()


async def test_a_browser_and_aiortc_exchange_pictures() -> None:
    async with site() as here:
        alice = await here.tab()
        await alice.fill("#token", token())
        await alice.get_by_role("button", name="Connect", exact=True).click()
        await alice.get_by_role("button", name="Create Room (Caller)").click()
        await expect(alice.locator("#roomId")).to_have_value(re.compile(r"^[0-9a-f-]{36}$"))
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(ROOT / "clients/python/examples/aiortc_call.py"),
            "--target",
            f"127.0.0.1:{here.server.port}",
            "--token",
            token("bob"),
            "--room",
            await alice.locator("#roomId").input_value(),
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            await alice.wait_for_function(DECODED, timeout=MEDIA_SECONDS)
            assert process.stdout is not None
            async with asyncio.timeout(MEDIA_SECONDS / 1000):
                while b"frames" not in await process.stdout.readline():
                    pass
        finally:
            if process.returncode is None:
                process.kill()
            await process.communicate()
