"""Takes the screenshot for the README: `python -m tests.browser.picture docs/call.png`."""

import argparse
import asyncio
import uuid
from pathlib import Path

from playwright.async_api import Page

from tests.browser.site import DECODED, MEDIA_MS, Site, are_connected, open_site, running_chromium
from tests.conftest import token

# The picture of a fake camera looks like a fault. Without a camera, the page
# draws a picture of its own, in a random colour.
NO_CAMERA = """hue => {
  navigator.mediaDevices.getUserMedia = async () => { throw new DOMException() };
  Math.random = () => hue / 360;
}"""
HUES = {"alice": 170, "bob": 225}


async def tab(here: Site, who: str, room: str, width: int, height: int) -> Page:
    context = await here.browser.new_context(viewport={"width": width, "height": height})
    page = await context.new_page()
    await page.add_init_script(f"({NO_CAMERA})({HUES[who]})")
    own = token(who, email=f"{who}@example.com", room=room)
    await page.goto(f"{here.proxy.url}#stun=&token={own}&auto=1")
    return page


async def take(picture: Path, width: int, height: int) -> None:
    room = str(uuid.uuid4())
    # The other transport needs an event loop of its own.
    async with running_chromium() as browser, open_site(browser, grpc_api="aio") as here:
        pages = [await tab(here, who, room, width, height) for who in HUES]
        await are_connected(*pages)
        for page in pages:
            await page.wait_for_function(DECODED, timeout=MEDIA_MS)
        shown = pages[0]
        await shown.get_by_role("button", name="OK").click()
        await shown.locator("#quality summary").click()
        # The plot begins to show something.
        for _ in range(4):
            before = await shown.locator("#tripLine").get_attribute("points")
            await shown.wait_for_function(
                "before => document.getElementById('tripLine').getAttribute('points') !== before",
                arg=before,
            )
        await shown.screenshot(path=picture)


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("picture", type=Path)
    arguments.add_argument("--width", type=int, default=960)
    arguments.add_argument("--height", type=int, default=640)
    given = arguments.parse_args()
    asyncio.run(take(given.picture, given.width, given.height))
