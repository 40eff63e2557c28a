"""The call page in Firefox, as it is installed."""

from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.browser.firefox import Firefox, running_firefox
from tests.browser.site import (
    MEDIA_MS,
    SECOND_BROWSER,
    OpenSite,
    Proxy,
    are_connected,
    create,
    hang_up,
    shows_moving_pictures,
)
from tests.conftest import serving, token
from tests.support.needs import PAGE, needs

STATUS = "document.getElementById('status').textContent"
CONNECTED = f"{STATUS} === 'Connected to peer'"

# Firefox does not count the frames of a stream, so compare what it shows.
PICTURE = """(() => {
  const canvas = Object.assign(document.createElement("canvas"), { width: 16, height: 12 });
  canvas.getContext("2d").drawImage(document.getElementById("remoteVideo"), 0, 0, 16, 12);
  return canvas.toDataURL();
})()"""
CHANGES = 5


pytestmark = pytest.mark.xdist_group(SECOND_BROWSER)


async def enters(firefox: Firefox, url: str, who: str, room: str = "") -> None:
    """Create a room, or join it, as a user would."""
    await firefox.open(f"{url}#stun=&")
    await firefox.fill("#token", token(who))
    if room:
        await firefox.fill("#roomId", room)
    await firefox.click("#join" if room else "#create")


async def sees_moving_pictures(firefox: Firefox) -> None:
    await firefox.becomes("document.getElementById('remoteVideo').videoWidth > 0")
    for _ in range(CHANGES):
        picture = await firefox.evaluate(PICTURE)
        await firefox.becomes(f"{PICTURE} !== '{picture}'")


async def test_two_firefoxes_see_each_other_and_hanging_up_ends_the_call(tmp_path: Path) -> None:
    needs("firefox", PAGE)
    profiles = [tmp_path / who for who in ("alice", "bob")]
    for profile in profiles:
        profile.mkdir()
    async with (
        serving() as server,
        Proxy(server.port) as proxy,
        running_firefox(profiles[0]) as alice,
        running_firefox(profiles[1]) as bob,
    ):
        await enters(alice, proxy.url, "alice")
        await alice.becomes("document.getElementById('roomId').value !== ''")
        room = await alice.evaluate("document.getElementById('roomId').value")
        await enters(bob, proxy.url, "bob", room)
        for one in (alice, bob):
            await one.becomes(CONNECTED)
            await sees_moving_pictures(one)
        await bob.click("#hangup")
        await bob.becomes("!document.getElementById('setup').hidden")
        await alice.becomes(f"{STATUS} === 'Connected'")
        # The camera's light is out.
        assert await bob.evaluate("document.getElementById('localVideo').srcObject === null")


async def test_firefox_and_chromium_see_each_other(site: OpenSite, tmp_path: Path) -> None:
    needs("firefox")
    async with site() as here, running_firefox(tmp_path) as firefox:
        chromium = await here.tab()
        room = await create(chromium)
        await enters(firefox, here.proxy.url, "bob", room)
        await firefox.becomes(CONNECTED)
        await are_connected(chromium)
        await sees_moving_pictures(firefox)
        await shows_moving_pictures(chromium)
        await hang_up(chromium)
        await firefox.becomes(f"{STATUS} === 'Connected'")
        await expect(chromium.locator("#status")).to_have_text("Disconnected", timeout=MEDIA_MS)
