"""Takes the screenshot for the README: `python -m tests.browser.picture docs/call.png`."""

import argparse
import asyncio
import uuid
from pathlib import Path

from playwright.async_api import Page

from tests.browser.site import DECODED, MEDIA_MS, Site, are_connected, open_site, running_chromium
from tests.conftest import token

# The picture of Chromium's fake camera looks like a fault. This camera shows somebody.
CAMERA = """hue => {
  const canvas = Object.assign(document.createElement("canvas"), { width: 960, height: 720 });
  const context = canvas.getContext("2d");
  const draw = () => {
    const sway = Math.sin(performance.now() / 700) * 12;
    const wall = context.createLinearGradient(0, 0, 960, 720);
    wall.addColorStop(0, `hsl(${hue} 45% 78%)`);
    wall.addColorStop(1, `hsl(${hue + 30} 40% 55%)`);
    context.fillStyle = wall;
    context.fillRect(0, 0, 960, 720);
    const ellipse = (colour, x, y, width, height) => {
      context.fillStyle = colour;
      context.beginPath();
      context.ellipse(x, y, width, height, 0, 0, 2 * Math.PI);
      context.fill();
    };
    ellipse(`hsl(${hue + 160} 35% 35%)`, 480 + sway / 2, 770, 290, 260);
    ellipse("hsl(25 45% 60%)", 480 + sway, 545, 60, 90);
    ellipse("hsl(20 30% 22%)", 480 + sway, 320, 150, 175);
    ellipse("hsl(25 50% 68%)", 480 + sway, 360, 122, 155);
  };
  draw();
  setInterval(draw, 66);
  navigator.mediaDevices.getUserMedia = async () => {
    const sound = new AudioContext().createMediaStreamDestination().stream;
    return new MediaStream([...canvas.captureStream(15).getTracks(), ...sound.getTracks()]);
  };
}"""
HUES = {"alice": 170, "bob": 25}


async def tab(here: Site, who: str, room: str, width: int, height: int) -> Page:
    context = await here.browser.new_context(viewport={"width": width, "height": height})
    page = await context.new_page()
    await page.add_init_script(f"if (location.host !== '') ({CAMERA})({HUES[who]})")
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
