"""Chromium before the real Envoy and the real server, with real media."""

import re
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dyad_server import envoy
from dyad_server.app import Server
from playwright.async_api import Browser, Page, async_playwright, expect

from tests.conftest import serving, token
from tests.support.certificates import Pair

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
    "--ignore-certificate-errors",
    "--allow-loopback-in-peer-connection",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
]
MEDIA_MS = 20_000


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
async def site(tls: Pair | None = None, **settings: Any) -> AsyncIterator[Site]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    async with serving(**settings) as server, async_playwright() as playwright:
        text = envoy.render(
            ROOT / "deploy" / ("envoy-tls.yaml" if tls else "envoy.yaml"),
            listen_port=port,
            server_port=server.port,
            page=PAGE,
            tls=(Path(tls.cert), Path(tls.key)) if tls else None,
        )
        async with envoy.running(text, port):
            browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            try:
                scheme = "https" if tls else "http"
                yield Site(f"{scheme}://localhost:{port}/", server, browser)
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
        await expect(page.locator("#status")).to_have_text("Connected to peer", timeout=MEDIA_MS)
    return alice, bob


# Fake cameras all show the same picture: a stream's id, which travels in the
# SDP, says whose it is.
STREAM = "id => document.getElementById(id).srcObject?.id ?? ''"
DECODED = """() => {
  const video = document.getElementById("remoteVideo");
  return video.getVideoPlaybackQuality().totalVideoFrames > 10 && video.videoWidth > 0;
}"""
