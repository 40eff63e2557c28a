"""docs/tutorials/web-app.md as a reader follows it, up to two users who see each other."""

import re
import shutil
from pathlib import Path

import pytest
from playwright.async_api import Page, async_playwright

from tests.browser.site import FLAGS, MEDIA_MS
from tests.guides.pasting import PASTE, pasted
from tests.guides.test_web_package import DECODED, listens
from tests.interop.conftest import NPM
from tests.support.needs import NODE_PACKAGES, PAGE, ROOT, needs
from tests.support.ports import free_port

TUTORIAL = ROOT / "docs" / "tutorials" / "web-app.md"
FILE = re.compile(r"(?ms)`(?P<name>[\w./-]+)`:\n\n```\w+\n(?P<text>.*?)^```$")
PORTS = ("50051", "8080", "8000", "5173")
PASSWORDS = {"alice": "wonderland", "bob": "builder"}

pytestmark = [pytest.mark.timeout(PASTE), pytest.mark.xdist_group("browser")]


async def log_in(page: Page, user: str) -> None:
    await page.get_by_placeholder("name").fill(user)
    await page.get_by_placeholder("password").fill(PASSWORDS[user])
    await page.get_by_role("button", name="Log in").click()


async def test_two_users_of_the_tutorials_app_see_each_other(tmp_path: Path) -> None:
    needs("bash", "chromium", "openssl", NPM, NODE_PACKAGES, PAGE)
    ports = {name: str(free_port()) for name in PORTS}
    text = TUTORIAL.read_text().replace("$HOME/dyad", str(ROOT))
    for name, port in ports.items():
        text = text.replace(name, port)
    begin, run = re.findall(r"(?ms)^```sh\n(.*?)^```$", text)
    async with pasted(begin, tmp_path) as shell:
        said = await shell.ends()
        assert await shell.process.wait() == 0, said
    # The example's own port is in its package.json.
    for file in [*FILE.finditer(text), None]:
        name = file["name"] if file else "package.json"
        path = tmp_path / name
        path.write_text(file["text"] if file else path.read_text().replace("5173", ports["5173"]))
    async with (
        pasted(begin.splitlines(keepends=True)[0] + run, tmp_path) as shell,
        async_playwright() as playwright,
    ):
        url = await shell.says(r"Open (http://localhost:\d+)")
        for port in ports.values():
            await listens(port)
        browser = await playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=FLAGS
        )
        try:
            pages = [await (await browser.new_context()).new_page() for _ in PASSWORDS]
            alice, bob = pages
            await alice.goto(url)
            await alice.wait_for_function("location.hash")
            await alice.get_by_placeholder("name").fill("alice")
            await alice.get_by_role("button", name="Log in").click()
            await alice.get_by_text("answers 401").wait_for(timeout=MEDIA_MS)
            await log_in(alice, "alice")
            await bob.goto(alice.url)
            await log_in(bob, "bob")
            for page in pages:
                await page.wait_for_function(DECODED, timeout=MEDIA_MS)
            assert await bob.get_by_role("status").text_content() == "with alice"
        finally:
            await browser.close()
