"""The example of an agent that answers calls from the call page, and talks back."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import Page

from tests.browser.site import DECODED, MEDIA_MS, WATCH, OpenSite, Site, shows_moving_pictures
from tests.browser.test_page import ASKED_ABOUT_THE_CAMERA
from tests.conftest import token
from tests.support.needs import ROOT
from tests.support.until import PATIENCE

AGENT = ROOT / "clients" / "python" / "examples" / "agent.py"
ROOM = "6c1f3c3e-9d2c-4b7e-8f53-0d6f3f9f7a10"
# The energy of what was played: silence has none.
LOUD = """async () => [...(await window.calls.at(-1).getStats()).values()].some(
  ({ type, kind, totalAudioEnergy }) =>
    type === "inbound-rtp" && kind === "audio" && totalAudioEnergy > 0.001)"""

# Limits how many browsers run at the same time.
pytestmark = pytest.mark.xdist_group("browser")


@asynccontextmanager
async def answering(site: Site) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(AGENT), f"127.0.0.1:{site.server.port}", "--plaintext"),
        env=os.environ | {"TOKEN": token("agent", room=ROOM)},
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        _, said = await process.communicate()
        assert b"Traceback" not in said, said.decode()


async def calling(site: Site, who: str, *, first: str = "") -> Page:
    """A page in a call with the agent; `first` runs before everything else."""
    context = await site.browser.new_context()
    await context.add_init_script(f"{WATCH};{first}")
    page = await context.new_page()
    await page.goto(f"{site.proxy.url}#stun=&token={token(who, room=ROOM)}&auto=1")
    await page.wait_for_function(DECODED, timeout=MEDIA_MS)
    return page


async def test_the_agent_is_seen_and_heard_by_one_caller_after_the_other(site: OpenSite) -> None:
    async with site() as here, answering(here) as agent:
        for who in ("alice", "bob"):
            page = await calling(here, who)
            await shows_moving_pictures(page)
            await page.wait_for_function(LOUD, timeout=MEDIA_MS)
            await page.evaluate('dispatchEvent(new PageTransitionEvent("pagehide"))')
            await page.close()
        assert agent.returncode is None


async def test_a_microphone_allowed_late_is_answered_with_sound(site: OpenSite) -> None:
    async with site() as here, answering(here):
        page = await calling(here, "alice", first=f"({ASKED_ABOUT_THE_CAMERA})()")
        await page.evaluate("window.allow()")
        await page.wait_for_function(LOUD, timeout=MEDIA_MS)
        await shows_moving_pictures(page)


async def test_the_agent_follows_a_page_that_restarts_ice(site: OpenSite) -> None:
    async with site() as here, answering(here), asyncio.timeout(2 * PATIENCE):
        page = await calling(here, "alice")
        before = await page.evaluate("window.calls.at(-1).remoteDescription.sdp")
        await page.evaluate("window.calls.at(-1).restartIce()")
        changed = "old => window.calls.at(-1).remoteDescription.sdp !== old"
        await page.wait_for_function(changed, arg=before, timeout=MEDIA_MS)
        await shows_moving_pictures(page)
