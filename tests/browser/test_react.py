"""`useCall` in Chromium, in StrictMode: React mounts each component twice."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import dyad
import pytest
from playwright.async_api import Page, Request

from tests.browser.site import MEDIA_MS, OpenSite, Site
from tests.conftest import token
from tests.support.needs import ROOT, needs
from tests.support.python_client import hear
from tests.support.until import until

HARNESS = ROOT / "build" / "react" / "harness.js"
BOB = dyad.Participant("bob", "")
ALICE = dyad.Participant("alice", "")
MOUNT = "([properties]) => harness.render(properties)"
UNMOUNT = "harness.unmount()"
STATE = "harness.call?.state.type"
TOGGLES = 6

# Limits how many browsers run at the same time.
pytestmark = pytest.mark.xdist_group("browser")


@dataclass
class Tab:
    """A page with the component that `clients/react/test/harness.tsx` renders.

    Attributes:
        listens: how often the page has opened a connection to the server.
    """

    page: Page
    url: str
    listens: int = 0

    def note(self, request: Request) -> None:
        if request.url.endswith("/Listen"):
            self.listens += 1

    async def render(self, jwt: str, **properties: Any) -> None:
        await self.page.evaluate(MOUNT, [{"url": self.url, "token": jwt, **properties}])

    async def becomes(self, condition: str) -> None:
        await self.page.wait_for_function(condition, timeout=MEDIA_MS)

    async def is_in(self, state: str) -> None:
        await self.becomes(f"() => {STATE} === '{state}'")


@asynccontextmanager
async def opened(here: Site) -> AsyncIterator[Tab]:
    needs(HARNESS)
    context = await here.browser.new_context()
    page = await context.new_page()
    page.set_default_timeout(MEDIA_MS)
    tab = Tab(page, here.proxy.url)
    page.on("request", tab.note)
    await page.route(
        f"{here.proxy.url}blank",
        lambda it: it.fulfill(
            body='<!doctype html><body><script type="module" src="harness.js"></script>',
            content_type="text/html",
        ),
    )
    await page.route(
        f"{here.proxy.url}harness.js",
        lambda it: it.fulfill(path=HARNESS, content_type="text/javascript"),
    )
    await page.goto(f"{here.proxy.url}blank")
    await page.wait_for_function("() => window.harness !== undefined")
    yield tab
    await context.close()


@asynccontextmanager
async def bobs_room(here: Site) -> AsyncIterator[tuple[dyad.Connection, str]]:
    """A Python client, and the room that it has created."""
    async with dyad.connect(f"127.0.0.1:{here.server.port}", token("bob"), plaintext=True) as bob:
        yield bob, (await bob.create()).room_id


async def hears_that_alice_left(bob: dyad.Connection) -> None:
    assert await hear(bob) == dyad.PeerLeft(ALICE, dyad.Departure.LEFT)


async def test_a_component_makes_one_call_while_it_is_mounted(site: OpenSite) -> None:
    async with site() as here, bobs_room(here) as (bob, room), opened(here) as tab:
        await tab.render(token(), room=room)
        assert await hear(bob) == dyad.PeerJoined(ALICE)
        await tab.becomes("() => harness.call.peer?.userId === 'bob'")
        await tab.page.evaluate(UNMOUNT)
        await hears_that_alice_left(bob)
        assert (tab.listens, await tab.page.evaluate("harness.tokens")) == (1, 1)
        states = await tab.page.evaluate("harness.states")
        assert states == ["idle", "connecting", "connected"]


@pytest.mark.parametrize(
    "step",
    [
        "null",
        "Promise.resolve()",
        "new Promise((done) => setTimeout(done))",
        "harness.reaches('connecting')",
        "harness.reaches('connected')",
    ],
)
async def test_unmounting_at_any_time_leaves_nobody_in_the_room(site: OpenSite, step: str) -> None:
    async with site() as here, bobs_room(here) as (_, room), opened(here) as tab:
        for _ in range(5):
            await tab.page.evaluate(
                f"""async ([properties]) => {{
                  harness.render(properties);
                  await {step};
                  harness.unmount();
                }}""",
                [{"url": tab.url, "token": token(), "room": room}],
            )
        await tab.render(token(), room=room)
        await tab.is_in("connected")
        await tab.page.evaluate(UNMOUNT)
        await until(lambda: len(here.server.dyad.hub) == 1)


async def test_a_component_that_is_disabled_hangs_up_and_may_call_again(site: OpenSite) -> None:
    async with site() as here, bobs_room(here) as (bob, room), opened(here) as tab:
        await tab.render(token(), room=room, enabled=False)
        await tab.render(token(), room=room, enabled=True)
        assert await hear(bob) == dyad.PeerJoined(ALICE)
        await tab.is_in("connected")
        await tab.render(token(), room=room, enabled=False)
        await hears_that_alice_left(bob)
        await tab.is_in("idle")
        await tab.render(token(), room=room)
        assert await hear(bob) == dyad.PeerJoined(ALICE)


async def test_another_room_ends_the_call_and_another_token_does_not(site: OpenSite) -> None:
    async with (
        site() as here,
        bobs_room(here) as (bob, room),
        opened(here) as tab,
        dyad.connect(f"127.0.0.1:{here.server.port}", token("carol"), plaintext=True) as carol,
    ):
        second = (await carol.create()).room_id
        await tab.render(token(), room=room)
        assert await hear(bob) == dyad.PeerJoined(ALICE)
        await tab.render(token(email="alice@example.com"), room=room)
        await tab.is_in("connected")
        await bob.send_offer("nonsense")
        await tab.becomes("() => harness.call.error instanceof Error")
        assert tab.listens == 1
        await tab.render(token(email="alice@example.com"), room=second)
        await hears_that_alice_left(bob)
        # The newest token is in use.
        assert await hear(carol) == dyad.PeerJoined(dyad.Participant("alice", "alice@example.com"))
        await tab.becomes("() => harness.call.error === undefined")


async def test_an_app_may_give_the_created_room_back(site: OpenSite) -> None:
    async with site() as here, opened(here) as tab:
        await tab.render(token(), keepsRoom=True)
        await tab.is_in("connected")
        await tab.render(token(), keepsRoom=True)
        room = await tab.page.evaluate("harness.call.room.roomId")
        async with dyad.connect(
            f"127.0.0.1:{here.server.port}", token("bob"), plaintext=True
        ) as bob:
            assert (await bob.join(room)).peer == ALICE
            await tab.becomes("() => harness.call.peer?.userId === 'bob'")
        assert tab.listens == 1


async def test_the_error_is_told_and_the_call_can_be_entered_again(site: OpenSite) -> None:
    async with site() as here, opened(here) as tab:
        await tab.render("a.b.c")
        await tab.is_in("ended")
        assert await tab.page.evaluate("harness.call.error.code") == "unauthenticated"
        await tab.page.evaluate("harness.call.enterAgain()")
        await tab.becomes("() => harness.states.filter((one) => one === 'ended').length === 2")
        await tab.render(token())
        await tab.is_in("ended")
        await tab.page.evaluate("harness.call.enterAgain()")
        await tab.is_in("connected")
        assert await tab.page.evaluate("harness.call.error === undefined")


async def test_a_wrong_address_is_an_error_of_the_call_and_not_of_the_component(
    site: OpenSite,
) -> None:
    async with site() as here, opened(here) as tab:
        await tab.page.evaluate(MOUNT, [{"url": "ftp://nowhere", "token": token()}])
        await tab.is_in("ended")
        assert await tab.page.evaluate("harness.call.error.code") == "invalid_argument"


async def test_closing_the_page_hangs_up(site: OpenSite) -> None:
    async with site() as here, bobs_room(here) as (bob, room), opened(here) as tab:
        await tab.render(token(), room=room)
        assert await hear(bob) == dyad.PeerJoined(ALICE)
        # Before that, the page does not know yet that it is in the room.
        await tab.is_in("connected")
        await tab.page.goto("about:blank")
        await hears_that_alice_left(bob)


async def test_a_page_that_is_shown_again_is_in_the_call_again(site: OpenSite) -> None:
    async with site() as here, bobs_room(here) as (bob, room), opened(here) as tab:
        await tab.render(token(), room=room)
        assert await hear(bob) == dyad.PeerJoined(ALICE)
        # Chromium keeps no page under test, so the events are the test's.
        await tab.page.evaluate("dispatchEvent(new PageTransitionEvent('pagehide'))")
        await hears_that_alice_left(bob)
        await tab.page.evaluate(
            "dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))"
        )
        assert await hear(bob) == dyad.PeerJoined(ALICE)


SEES = """() => {
  const video = document.querySelector("video");
  const before = window.seen ?? 0;
  const now = video.getVideoPlaybackQuality().totalVideoFrames;
  return video.srcObject !== null && now > before + 5;
}"""


async def test_tracks_that_come_late_and_change_reach_the_other_side(site: OpenSite) -> None:
    async with site() as here, opened(here) as alice, opened(here) as bob:
        await alice.render(token())
        await alice.is_in("connected")
        room = await alice.page.evaluate("harness.call.room.roomId")
        await bob.render(token("bob"), room=room)
        await alice.becomes("() => harness.call.pc !== undefined")
        # One side sends only sound, and the other nothing.
        await alice.render(token(), microphone=True)
        await bob.becomes("() => harness.call.remote?.getAudioTracks().length === 1")
        for _ in range(TOGGLES):
            await alice.render(token(), microphone=True, camera=True)
            await bob.becomes("() => harness.call.remote?.getVideoTracks().length === 1")
            await bob.page.evaluate(
                "window.seen = "
                "document.querySelector('video').getVideoPlaybackQuality().totalVideoFrames"
            )
            await bob.becomes(SEES)
            await alice.render(token(), microphone=True)
            await bob.becomes("() => harness.call.remote?.getVideoTracks().length === 0")
        # The description would grow with each of them.
        assert await alice.page.evaluate("harness.call.pc.getTransceivers().length") == 2
        assert [tab.listens for tab in (alice, bob)] == [1, 1]


async def test_camera_and_microphone_are_closed_with_the_component(site: OpenSite) -> None:
    async with site() as here, opened(here) as tab:
        await tab.page.evaluate("""() => {
          const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
          window.opened = [];
          navigator.mediaDevices.getUserMedia = async (constraints) => {
            const stream = await open(constraints);
            opened.push(...stream.getTracks());
            return stream;
          };
        }""")
        await tab.render(token(), enabled=False, camera=True, microphone=True)
        await tab.becomes("() => harness.local !== undefined")
        # The first of the two mounts has opened nothing.
        assert await tab.page.evaluate("opened.map(({ readyState }) => readyState)") == [
            "live",
            "live",
        ]
        await tab.page.evaluate(UNMOUNT)
        assert await tab.page.evaluate("opened.every(({ readyState }) => readyState === 'ended')")
