"""Firefox as it is installed, driven by Marionette: Mozilla's protocol of JSON over TCP.

Playwright needs a Firefox of its own, and Selenium needs geckodriver, which also speaks this.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.browser.site import MEDIA_MS
from tests.support.process import command
from tests.support.until import until

_POLL = 0.05
_PREFERENCES: dict[str, bool | int] = {
    # A free port, which Firefox writes into a file of the profile.
    "marionette.port": 0,
    # A camera and a microphone that are always there, and that nobody has to allow.
    "media.navigator.streams.fake": True,
    "media.navigator.permission.disabled": True,
    # Small pictures, 10 a second: these CPUs encode, decode and show each of them.
    "media.navigator.video.default_width": 160,
    "media.navigator.video.default_height": 120,
    "media.navigator.video.default_fps": 10,
    # Both ends are on this machine, which may have no other network.
    "media.peerconnection.ice.loopback": True,
    "media.peerconnection.ice.obfuscate_host_addresses": False,
    "network.manage-offline-status": False,
    "media.autoplay.default": 0,
}


class Firefox:
    """One window of a running Firefox, with a profile of its own."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._last = 0

    async def begin(self) -> None:
        """Open the session. Nothing else works before that."""
        await self._message()  # It introduces itself.
        await self._do("WebDriver:NewSession", strictFileInteractability=True)

    async def open(self, url: str) -> None:
        await self._do("WebDriver:Navigate", url=url)

    async def evaluate(self, expression: str) -> Any:
        """The value of this JavaScript expression in the page."""
        answer = await self._do("WebDriver:ExecuteScript", script=f"return {expression}", args=[])
        return answer["value"]

    async def becomes(self, expression: str) -> None:
        """Wait until this JavaScript expression is true."""
        async with asyncio.timeout(MEDIA_MS / 1000):
            while not await self.evaluate(expression):  # noqa: ASYNC110 - no event announces it
                await asyncio.sleep(_POLL)

    async def fill(self, css: str, text: str) -> None:
        """Type this text into an empty field, as a user does."""
        await self._do("WebDriver:ElementSendKeys", id=await self._find(css), text=text)

    async def click(self, css: str) -> None:
        await self._do("WebDriver:ElementClick", id=await self._find(css))

    async def quit(self) -> None:
        await self._do("Marionette:Quit", flags=["eForceQuit"])
        self._writer.close()

    async def _find(self, css: str) -> str:
        found = await self._do("WebDriver:FindElement", using="css selector", value=css)
        (reference,) = found["value"].values()
        assert isinstance(reference, str)
        return reference

    async def _do(self, name: str, **parameters: object) -> Any:
        self._last += 1
        text = json.dumps([0, self._last, name, parameters]).encode()
        self._writer.write(b"%d:%s" % (len(text), text))
        _, number, error, result = await self._message()
        assert number == self._last
        assert error is None, error
        return result

    async def _message(self) -> Any:
        length = await self._reader.readuntil(b":")
        return json.loads(await self._reader.readexactly(int(length[:-1])))


@asynccontextmanager
async def running_firefox(profile: Path) -> AsyncIterator[Firefox]:
    """Firefox with an empty profile in this folder. It quits at the end."""
    lines = [
        f"user_pref({json.dumps(name)}, {json.dumps(to)});" for name, to in _PREFERENCES.items()
    ]
    (profile / "user.js").write_text("\n".join(lines))
    port = profile / "MarionetteActivePort"
    options = ("--marionette", "--headless", "--no-remote", "--profile", str(profile))
    async with command("firefox", *options, "about:blank"):
        await until(lambda: port.is_file() and port.read_text() != "")
        firefox = Firefox(*await asyncio.open_connection("127.0.0.1", int(port.read_text())))
        await firefox.begin()
        try:
            yield firefox
        finally:
            await firefox.quit()
