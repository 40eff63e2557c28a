"""Each state that the call page can show, in words, in pictures and for screen readers."""

import re

import pytest
from playwright.async_api import Page, expect

from tests.browser.looking import AXE, is_focused, look
from tests.browser.site import (
    FLAGS,
    MEDIA_MS,
    OpenSite,
    Proxy,
    are_connected,
    call,
    create,
    hang_up,
    join,
    open_site,
    running_chromium,
    shows_moving_pictures,
)
from tests.conftest import serving, token
from tests.support import proxy as tcp
from tests.support.needs import needs

# Limits how many browsers run at the same time.
pytestmark = pytest.mark.xdist_group("browser")

AWAY = "^Reconnecting to the server…$|^The server is out of reach.$"
LEEWAY = 30
"""How long the server still accepts a token after its `exp`, in seconds."""


@pytest.fixture(autouse=True)
def axe() -> None:
    needs(AXE)


async def says(page: Page, headline: str) -> None:
    await expect(page.locator("#headline")).to_have_text(re.compile(headline))


async def test_before_a_call(site: OpenSite) -> None:
    async with site() as here:
        page = await here.tab()
        await look(page, "setup")
        await page.get_by_text("Settings").click()
        await look(page, "settings")
        await page.fill("#token", "nonsense")
        await expect(page.locator("#me")).to_have_text("This is not a token: it has no user in it.")
        await join(page, "nonsense")
        await expect(page.locator("#message")).to_contain_text("not the id of a room")
        await look(page, "refused")
        invited = await here.tab("room=6c1f3c3e-9d2c-4b7e-8f53-0d6f3f9f7a10")
        await look(invited, "invited")


async def test_a_server_that_does_not_answer(site: OpenSite) -> None:
    async with site() as here, tcp.Proxy(here.proxy.port) as way:
        page = await here.tab(url=f"http://localhost:{way.port}/")
        way.stall()
        await page.fill("#token", token())
        await page.get_by_role("button", name="Create Room (Caller)").click()
        await says(page, "^Connecting to the server…$")
        await look(page, "connecting-to-the-server")
        await expect(page.locator("#message")).to_contain_text("out of reach")


async def test_alone(site: OpenSite) -> None:
    async with site() as here, tcp.Proxy(here.proxy.port) as way:
        page = await here.tab(url=f"http://localhost:{way.port}/")
        await create(page)
        await says(page, "^Waiting for the other person$")
        await look(page, "waiting")
        await way.refuse()
        await way.cut()
        await says(page, AWAY)
        await look(page, "waiting-without-server")
        await says(page, "out of reach")
        await expect(page.locator("#advice")).to_contain_text("keeps trying")
        await look(page, "waiting-server-away")


async def test_connecting_to_the_other_one(site: OpenSite) -> None:
    async with site() as here:
        # Media may only go through a TURN server, and there is none.
        alice, bob = await here.tab("relay"), await here.tab()
        await join(bob, await create(alice))
        await says(alice, "^Connecting to bob…$")
        await says(bob, "no way to alice")
        await look(bob, "no-way")
        await hang_up(alice)
        await join(alice, await bob.locator("#roomId").input_value(), "alice")
        await says(bob, "^Connecting to alice…$")
        await look(bob, "connecting")


async def test_in_a_call(site: OpenSite) -> None:
    async with site() as here:
        alice, bob = await call(here)
        await expect(alice.locator("#grade")).to_have_text(re.compile("^Quality: "))
        await look(alice, "call")
        await alice.locator("#quality summary").click()
        await look(alice, "quality")
        await alice.locator("#quality summary").click()
        await alice.get_by_role("button", name="Devices").click()
        await expect(alice.get_by_label("Microphone")).to_be_visible()
        await look(alice, "devices")
        await alice.keyboard.press("Escape")
        assert await is_focused(alice) == "devices"
        await alice.get_by_role("button", name="Mute").click()
        await alice.get_by_role("button", name="Camera off").click()
        await look(alice, "muted")
        await here.proxy.stop()
        await says(alice, AWAY)
        await look(alice, "reconnecting")
        await says(alice, "out of reach")
        await look(alice, "server-away")
        await here.proxy.start()
        await expect(alice.locator("#notice")).to_have_class("empty")
        await hang_up(bob)
        await says(alice, "^bob hung up")
        await look(alice, "they-left")


async def test_a_picture_that_stopped(site: OpenSite) -> None:
    async with site() as here:
        alice, bob = await call(here)
        await shows_moving_pictures(alice)
        # As if the network between the two was gone: no frame tells Alice.
        await bob.evaluate("window.calls[0].close()")
        await says(alice, "^The picture of bob has stopped.$")
        await look(alice, "gap")


async def test_signaling_lost_in_a_call(site: OpenSite) -> None:
    async with site(resume_grace=0.3) as here, Proxy(here.server.port) as bobs:
        alice, bob = await call(here, bobs_url=bobs.url)
        await bobs.stop()
        await says(alice, "^The server has lost bob")
        await look(alice, "they-lost-the-server")
        await bob.close()
        await says(alice, "^The connection of bob was lost")
        await look(alice, "they-are-gone")


async def test_the_server_lost_the_room(site: OpenSite) -> None:
    async with site() as here:
        alice, _ = await call(here)
        await here.proxy.stop()
        await here.server.stop()
        async with serving(port=here.server.port):
            await here.proxy.start()
            await says(alice, "lost this room")
            await look(alice, "room-gone")


async def test_a_token_that_expired(site: OpenSite) -> None:
    async with site(end_at_expiry=True) as here:
        alice, bob = await here.tab(), await here.tab()
        await join(bob, await create(alice), proof=token("bob", ttl=4 - LEEWAY))
        await says(bob, "expired")
        await are_connected(bob)
        await look(bob, "token-expired")


async def test_taken_over_by_another_tab(site: OpenSite) -> None:
    async with site() as here:
        page, other = await here.tab(), await here.tab()
        room = await create(page)
        await join(other, room, "alice")
        await expect(page.locator("#message")).to_contain_text("taken over by another tab")
        await look(page, "taken-over")


async def test_a_device_without_a_camera(site: OpenSite) -> None:
    async with site() as here:
        refuse = """() => {
          navigator.mediaDevices.getUserMedia = async () => {
            throw new DOMException("", "NotAllowedError");
          };
        }"""
        alice, _ = await call(here, first=refuse)
        await expect(alice.locator("#advice")).to_contain_text("allow camera and microphone")
        await look(alice, "no-camera")
        await alice.get_by_role("button", name="OK").click()
        await expect(alice.locator("#notice")).to_have_class("empty")
        await is_focused(alice)


# The page asks the server only when its microphone is open, and tells when it mutes the call.
TELLS = """if (location.host !== "") {
  const devices = navigator.mediaDevices;
  const open = devices.getUserMedia.bind(devices);
  const { fetch } = window;
  let opened;
  const isOpen = new Promise((resolve) => (opened = resolve));
  devices.getUserMedia = async (wanted) => {
    const stream = await open(wanted);
    opened();
    return stream;
  };
  window.fetch = async (...request) => (await isOpen, fetch(...request));
  addEventListener("volumechange", () => console.log("muted"), true);
}"""


async def test_sound_that_the_browser_has_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    flags = [*FLAGS, "--autoplay-policy=user-gesture-required"]
    monkeypatch.setattr("tests.browser.site.FLAGS", flags)
    async with running_chromium() as browser, open_site(browser) as here:
        alice, bob = [await (await browser.new_context()).new_page() for _ in range(2)]
        for page in (alice, bob):
            await page.add_init_script(TELLS)
        # Whatever a test runs in a page counts as a gesture of the user, so it only listens.
        async with alice.expect_console_message(
            lambda message: message.text == "muted", timeout=MEDIA_MS
        ):
            for page, who in ((alice, "alice"), (bob, "bob")):
                own = token(who, room="6c1f3c3e-9d2c-4b7e-8f53-0d6f3f9f7a10")
                await page.goto(f"{here.proxy.url}#stun=&token={own}&auto")
        await says(alice, "has muted this call")
        await shows_moving_pictures(alice)
        await look(alice, "sound-blocked")
        await alice.get_by_role("button", name="Turn on the sound").click()
        await expect(alice.locator("#notice")).to_have_class("empty")
        assert not await alice.evaluate("document.getElementById('remoteVideo').muted")
        await is_focused(alice)
        await shows_moving_pictures(alice)
