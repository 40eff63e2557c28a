"""`dyad.aiortc.Peer` with a browser: a path that is lost on either side is replaced."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import dyad
import pytest
from aiortc.mediastreams import AudioStreamTrack, VideoStreamTrack
from playwright.async_api import Page, expect

from tests.browser.site import DECODED, MEDIA_MS, OpenSite, Site, shows_moving_pictures
from tests.conftest import token
from tests.integration.test_client_aiortc import Side, side

ROOM = "6c1f3c3e-9d2c-4b7e-8f53-0d6f3f9f7a10"

# Limits how many browsers run at the same time.
pytestmark = pytest.mark.xdist_group("browser")


@asynccontextmanager
async def call(site: Site, *, page_first: bool) -> AsyncIterator[tuple[Side, Page]]:
    """An aiortc end and a page in a call; the one who is there first makes the offer."""
    fragment = f"token={token('alice', room=ROOM)}&auto=1"
    target, bob = f"127.0.0.1:{site.server.port}", token("bob", room=ROOM)
    page = None
    if page_first:
        page = await site.tab(fragment)
        await expect(page.locator("#headline")).to_have_text("Waiting for the other person")
    async with dyad.connect(target, bob, plaintext=True) as connection:
        room = await connection.create()
        assert (room.peer is not None) == page_first
        async with side(connection, room, AudioStreamTrack, VideoStreamTrack) as own:
            page = page or await site.tab(fragment)
            await page.wait_for_function(DECODED, timeout=MEDIA_MS)
            yield own, page


@pytest.mark.parametrize("page_first", [True, False])
async def test_after_a_restart_both_see_each_other_again(
    site: OpenSite, *, page_first: bool
) -> None:
    async with site() as here, call(here, page_first=page_first) as (own, page):
        await own.sees_the_other()
        await own.peer.restart()
        await own.sees_the_other()
        await shows_moving_pictures(page)


@pytest.mark.parametrize("page_first", [True, False])
async def test_a_path_that_is_lost_is_replaced(site: OpenSite, *, page_first: bool) -> None:
    async with site() as here, call(here, page_first=page_first) as (own, page):
        await own.sees_the_other()
        await own.lose_the_path()
        await own.sees_the_other()
        await shows_moving_pictures(page)
