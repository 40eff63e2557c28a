"""Chromium with the real Envoy, the real server and real media."""

import functools
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import pytest
from dyad_server.cli import envoy
from dyad_server.server import Server
from playwright.async_api import Browser, Page, async_playwright, expect

from tests.conftest import serving, token
from tests.support.certificates import Pair
from tests.support.needs import PAGE, ROOT, needs
from tests.support.ports import free_port

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # A host that is not this machine, as far as pages know.
    "--host-resolver-rules=MAP call.test 127.0.0.1",
    "--ignore-certificate-errors",
    "--allow-loopback-in-peer-connection",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
]
# The tests that wait most of the time run beside those of the other browser. One CPU is not
# enough for two browsers.
SECOND_BROWSER = "second browser" if len(os.sched_getaffinity(0)) > 1 else "browser"
MEDIA_MS = 60_000
PATIENT_GRACE = 120.0
# Long enough that only a hang fails a test.
expect.set_options(timeout=MEDIA_MS)


# Collects every RTCPeerConnection of the page, in the order of their creation.
WATCH = """window.calls = [];
window.RTCPeerConnection = class extends RTCPeerConnection {
  constructor(...options) {
    super(...options);
    window.calls.push(this);
  }
};"""


class Proxy:
    """The Envoy of `deploy/` in front of a server. It can restart on its port."""

    def __init__(self, server_port: int, tls: Pair | None = None) -> None:
        self.port = free_port()
        self.url = f"{'https' if tls else 'http'}://localhost:{self.port}/"
        self._text = envoy.render(
            ROOT / "deploy" / ("envoy-tls.yaml" if tls else "envoy.yaml"),
            listen_port=self.port,
            server_ports=[server_port],
            page=PAGE,
            tls=(Path(tls.cert), Path(tls.key)) if tls else None,
        )
        self._running = AsyncExitStack()

    async def start(self) -> None:
        await self._running.enter_async_context(envoy.running(self._text, self.port))

    async def stop(self) -> None:
        await self._running.aclose()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()


@dataclass
class Site:
    proxy: Proxy
    server: Server
    browser: Browser

    async def tab(self, fragment: str = "", url: str = "") -> Page:
        """A page in its own browser context, which shares only the network."""
        context = await self.browser.new_context()
        page = await context.new_page()
        page.set_default_timeout(MEDIA_MS)
        await page.add_init_script(WATCH)
        await page.goto(f"{url or self.proxy.url}#stun=&{fragment}")
        return page


OpenSite = Callable[..., AbstractAsyncContextManager[Site]]


def small_camera(folder: Path) -> Path:
    """What a camera shows: a bar that moves, in small pictures, 10 a second.

    These CPUs encode, decode and show every picture. Chromium's own camera has 16 times the pixels.
    """
    width, height = 160, 120
    colours = bytes([128]) * (width * height // 2)
    rows = [bytes([200 if x < at else 60 for x in range(width)]) for at in range(0, width, 8)]
    pictures = [b"FRAME\n" + row * height + colours for row in rows]
    file = folder / "camera.y4m"
    file.write_bytes(b"YUV4MPEG2 W%d H%d F10:1\n" % (width, height) + b"".join(pictures))
    return file


@asynccontextmanager
async def running_chromium() -> AsyncIterator[Browser]:
    with tempfile.TemporaryDirectory() as folder:
        flags = [*FLAGS, f"--use-file-for-fake-video-capture={small_camera(Path(folder))}"]
        async with async_playwright() as playwright:
            path = shutil.which("chromium")
            browser = await playwright.chromium.launch(executable_path=path, args=flags)
            try:
                yield browser
            finally:
                await browser.close()


@asynccontextmanager
async def open_site(
    browser: Browser, tls: Pair | None = None, **settings: Any
) -> AsyncIterator[Site]:
    """A server with these settings, Envoy in front, and a browser; its pages close at the end.

    Unless told otherwise, it reserves seats for longer than a page on a busy machine needs to
    reconnect.
    """
    settings = {"resume_grace": PATIENT_GRACE} | settings
    async with serving(**settings) as server, Proxy(server.port, tls) as proxy:
        try:
            yield Site(proxy, server, browser)
        finally:
            for context in browser.contexts:
                await context.close()


@pytest.fixture(scope="module", name="site")
async def a_site() -> AsyncIterator[OpenSite]:
    """Opens sites for one Chromium: to start one for each test would take most of its time."""
    needs("chromium", PAGE)
    async with running_chromium() as browser:
        yield functools.partial(open_site, browser)


async def create(page: Page, who: str = "alice") -> str:
    """Create a room as a user would, and return its id."""
    await page.fill("#token", token(who))
    await page.get_by_role("button", name="Create Room (Caller)").click()
    await expect(page.locator("#link")).to_be_visible()
    return await page.locator("#roomId").input_value()


async def join(page: Page, room: str, who: str = "bob", proof: str = "") -> None:
    """Join a room as a user would, with a token for `who`, or with that in `proof`."""
    await page.fill("#token", proof or token(who))
    await page.fill("#roomId", room)
    await page.get_by_role("button", name="Join Room (Callee)").click()


async def hang_up(page: Page) -> None:
    await page.get_by_role("button", name="Hang up").click()
    await expect(page.locator("#setup")).to_be_visible()


async def are_connected(*pages: Page) -> None:
    for page in pages:
        await expect(page.locator("#status")).to_have_text("Connected to peer", timeout=MEDIA_MS)


async def call(site: Site, *, bobs_url: str = "", first: str = "null") -> tuple[Page, Page]:
    """Two tabs in a call, filled in as two users would; `first` runs in both before that."""
    alice, bob = await site.tab(), await site.tab(url=bobs_url)
    for page in (alice, bob):
        await page.evaluate(first)
    await join(bob, await create(alice))
    await are_connected(alice, bob)
    return alice, bob


REMOTE = 'document.getElementById("remoteVideo")'
FRAMES = f"{REMOTE}.getVideoPlaybackQuality().totalVideoFrames"


async def shows_moving_pictures(page: Page) -> None:
    frames = await page.evaluate(FRAMES)
    await page.wait_for_function(f"() => {FRAMES} > {frames} + 10", timeout=MEDIA_MS)


# All fake cameras show the same picture. The id of a stream, which travels in the
# SDP, tells whose camera it is.
STREAM = "id => document.getElementById(id).srcObject?.id ?? ''"
DECODED = """() => {
  const video = document.getElementById("remoteVideo");
  return video.getVideoPlaybackQuality().totalVideoFrames > 10 && video.videoWidth > 0;
}"""
