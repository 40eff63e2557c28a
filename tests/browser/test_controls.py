"""The call page's controls: by mouse, by keyboard, and what they do for the other one."""

from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from tests.browser.looking import is_focused
from tests.browser.site import (
    MEDIA_MS,
    OpenSite,
    are_connected,
    call,
    create,
    hang_up,
    shows_moving_pictures,
)
from tests.conftest import token
from tests.support.certificates import certificate

# Limits how many browsers run at the same time.
pytestmark = pytest.mark.xdist_group("browser")

TRACKS = """() => Object.fromEntries(document.getElementById("localVideo").srcObject.getTracks()
  .map(({ kind, enabled, label }) => [kind, { enabled, label }]))"""
# How loud the other one is, from 0 to 1. The fake microphone beeps every second.
LOUDNESS = """async () => [...(await window.calls.at(-1).getStats()).values()]
  .find(({ type, kind }) => type === "inbound-rtp" && kind === "audio")?.totalAudioEnergy ?? 0"""
# Every device that the page has opened.
OPENED = """() => {
  window.opened = [];
  const devices = navigator.mediaDevices;
  const open = devices.getUserMedia.bind(devices);
  devices.getUserMedia = async (wanted) => {
    const stream = await open(wanted);
    window.opened.push(...stream.getTracks());
    return stream;
  };
}"""
# The user takes time to allow a device, or it is slow to open.
LATE = """() => {
  const devices = navigator.mediaDevices;
  const open = devices.getUserMedia;
  const allowed = new Promise((allow) => (window.allow = allow));
  devices.getUserMedia = async (wanted) => (await allowed, open.call(devices, wanted));
}"""
ARE_CLOSED = """() =>
  window.opened.length >= 2 && window.opened.every(({ readyState }) => readyState === "ended")"""
# As on a phone: the menu to share a link, and a screen that may be kept on.
PHONE = """() => {
  navigator.share = async ({ url }) => { window.shared = url; };
  window.locks = 0;
  navigator.wakeLock.request = async () => {
    window.locks += 1;
    return { released: false, release: async () => { window.locks -= 1; } };
  };
}"""


def button(name: str) -> str:
    return f'role=button[name="{name}"]'


async def gets_louder(page: Page) -> None:
    before = await page.evaluate(LOUDNESS)
    await page.wait_for_function(
        f"async before => await ({LOUDNESS})() > before", arg=before, timeout=MEDIA_MS
    )


async def test_mute_and_unmute(site: OpenSite) -> None:
    async with site() as here:
        alice, bob = await call(here)
        await gets_louder(bob)
        await alice.click(button("Mute"))
        assert not (await alice.evaluate(TRACKS))["audio"]["enabled"]
        await alice.click(button("Unmute"))
        await expect(alice.locator(button("Mute"))).to_be_visible()
        await gets_louder(bob)


async def test_a_camera_that_is_off_is_closed_and_the_other_one_sees_a_drawn_picture(
    site: OpenSite,
) -> None:
    async with site() as here:
        alice, bob = await call(here, first=OPENED)
        await shows_moving_pictures(bob)
        camera = (await alice.evaluate(TRACKS))["video"]["label"]
        await alice.click(button("Camera off"))
        cameras = "window.opened.filter(({ kind }) => kind === 'video')"
        assert await alice.evaluate(f"{cameras}.every(one => one.readyState === 'ended')")
        assert (await alice.evaluate(TRACKS))["video"]["label"] != camera
        await shows_moving_pictures(bob)
        await alice.click(button("Camera on"))
        await expect(alice.locator(button("Camera off"))).to_be_visible()
        assert (await alice.evaluate(TRACKS))["video"]["label"] == camera
        await shows_moving_pictures(bob)
        assert await bob.evaluate("window.calls.length") == 1


async def test_camera_and_microphone_are_closed_at_hang_up(site: OpenSite) -> None:
    async with site() as here:
        alice, bob = await call(here, first=OPENED)
        await hang_up(alice)
        await alice.wait_for_function(ARE_CLOSED)
        assert await alice.evaluate("document.getElementById('localVideo').srcObject") is None
        await bob.evaluate('dispatchEvent(new PageTransitionEvent("pagehide"))')
        await bob.wait_for_function(ARE_CLOSED)


async def test_a_camera_that_is_allowed_after_the_hang_up_is_closed(site: OpenSite) -> None:
    async with site() as here:
        page = await here.tab()
        await page.evaluate(OPENED)
        await page.evaluate(LATE)
        await create(page)
        await hang_up(page)
        await page.evaluate("window.allow()")
        await page.wait_for_function(ARE_CLOSED)


async def test_a_link_that_calls_by_itself_does_not_turn_on_the_camera(
    site: OpenSite, tmp_path: Path
) -> None:
    async with site(tls=certificate(tmp_path, "proxy")) as here:
        url = f"https://call.test:{here.proxy.port}/"
        page = await here.tab(f"token={token()}&auto", url=url)
        await expect(page.locator("#advice")).to_contain_text("Your camera and microphone are off.")
        await expect(page.locator("#link")).to_be_visible()
        assert set(await page.evaluate(TRACKS)) == {"video"}
        await page.evaluate(OPENED)
        await page.click(button("Unmute"))
        await page.click(button("Camera on"))
        await page.wait_for_function("() => window.opened.length === 2")


async def test_another_microphone_is_chosen(site: OpenSite) -> None:
    async with site() as here:
        alice, bob = await call(here)
        await gets_louder(bob)
        before = (await alice.evaluate(TRACKS))["audio"]["label"]
        await alice.click(button("Devices"))
        choice = alice.get_by_label("Microphone")
        options = await choice.locator("option").all_inner_texts()
        other = next(one for one in options if one != before)
        await choice.select_option(label=other)
        await alice.wait_for_function(
            f"other => ({TRACKS})().audio?.label === other", arg=other, timeout=MEDIA_MS
        )
        await alice.click(button("Done"))
        await gets_louder(bob)
        # The next call uses it too.
        await hang_up(alice)
        await create(alice)
        await alice.wait_for_function(
            f"other => ({TRACKS})().audio?.label === other", arg=other, timeout=MEDIA_MS
        )


async def test_of_two_microphones_chosen_at_once_the_last_one_is_used(site: OpenSite) -> None:
    async with site() as here:
        page = await here.tab()
        await create(page)
        await page.wait_for_function(f"() => ({TRACKS})().audio")
        used = (await page.evaluate(TRACKS))["audio"]["label"]
        await page.click(button("Devices"))
        choice = page.get_by_label("Microphone")
        options = await choice.locator("option").all_inner_texts()
        first, last = [one for one in options if one != used][:2]
        await page.evaluate(LATE)
        await choice.select_option(label=first)
        await choice.select_option(label=last)
        await page.evaluate("window.allow()")
        await page.wait_for_function(
            f"last => ({TRACKS})().audio?.label === last", arg=last, timeout=MEDIA_MS
        )


async def test_a_chosen_microphone_that_is_no_longer_there_is_replaced(site: OpenSite) -> None:
    async with site() as here:
        page = await here.tab()
        await create(page)
        await page.click(button("Devices"))
        gone = """() => {
          const choice = document.getElementById("microphoneChoice");
          choice.replaceChildren(new Option("Gone", "0123"));
          choice.dispatchEvent(new Event("change"));
        }"""
        await page.evaluate(gone)
        await page.click(button("Done"))
        await expect(page.locator(button("Mute"))).to_be_visible()


async def test_full_screen(site: OpenSite) -> None:
    async with site() as here:
        alice, _ = await call(here)
        await alice.click(button("Full screen"))
        await alice.click(button("Leave full screen"))
        await alice.click(button("Full screen"))
        await expect(alice.locator(button("Leave full screen"))).to_be_visible()
        await hang_up(alice)
        await alice.wait_for_function("() => document.fullscreenElement === null")


async def test_a_phone_shares_the_link_by_its_menu_and_keeps_its_screen_on(
    site: OpenSite,
) -> None:
    async with site() as here:
        page = await here.tab()
        await page.evaluate(PHONE)
        room = await create(page)
        await page.click(button("Share link"))
        assert room in await page.evaluate("window.shared")
        assert await page.evaluate("window.locks") == 1
        await hang_up(page)
        await page.wait_for_function("() => window.locks === 0")


async def test_the_link_is_copied(site: OpenSite) -> None:
    async with site() as here:
        page = await here.tab()
        await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        room = await create(page)
        await page.click(button("Copy link"))
        await expect(page.locator(button("Copied"))).to_be_visible()
        assert room in await page.evaluate("navigator.clipboard.readText()")


async def tab_to(page: Page, wanted: str) -> None:
    """Press Tab until this element has the focus; fails if the keyboard cannot reach it."""
    for _ in range(30):
        await page.keyboard.press("Tab")
        if await page.evaluate("document.activeElement.id") == wanted:
            return
    raise AssertionError(f"the keyboard does not reach {wanted}")


async def test_a_whole_call_by_keyboard_and_the_focus_never_falls_to_the_body(
    site: OpenSite,
) -> None:
    async with site() as here:
        alice, bob = await here.tab(), await here.tab()
        await tab_to(alice, "token")
        await alice.keyboard.type(token("alice"))
        await alice.keyboard.press("Enter")
        await expect(alice.locator("#link")).to_be_visible()
        assert await is_focused(alice) == "headline"
        room = await alice.locator("#roomId").input_value()
        await tab_to(bob, "token")
        await bob.keyboard.type(token("bob"))
        await tab_to(bob, "roomId")
        await bob.keyboard.type(room)
        await bob.keyboard.press("Enter")
        await are_connected(alice, bob)
        for page in (alice, bob):
            # What they read last is gone from the page.
            await is_focused(page)
            for control in ("microphone", "camera", "devices", "fullscreen"):
                await tab_to(page, control)
        await tab_to(alice, "microphone")
        await alice.keyboard.press("Enter")
        await expect(alice.locator(button("Unmute"))).to_be_focused()
        await tab_to(alice, "devices")
        await alice.keyboard.press("Enter")
        await expect(alice.get_by_label("Microphone")).to_be_visible()
        await alice.keyboard.press("Escape")
        assert await is_focused(alice) == "devices"
        await tab_to(alice, "hangup")
        await alice.keyboard.press("Enter")
        await expect(alice.locator("#setupTitle")).to_be_focused()
        await expect(bob.locator("#link")).to_be_visible()
        await is_focused(bob)


async def test_a_dialog_that_is_open_when_the_call_ends_does_not_block_the_page(
    site: OpenSite,
) -> None:
    async with site() as here:
        page, other = await here.tab(), await here.tab()
        room = await create(page)
        await page.click(button("Devices"))
        await other.fill("#token", token("alice"))
        await other.fill("#roomId", room)
        await other.click(button("Join Room (Callee)"))
        await expect(page.locator("#message")).to_contain_text("taken over")
        await is_focused(page)
        await page.click(button("Join Room (Callee)"))
        await expect(page.locator("#link")).to_be_visible()
