"""docs/howto/existing-app.md as a reader follows it, with an app of which Dyad knows nothing."""

import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from dyad_server.auth.mint import mint
from playwright.async_api import Page, async_playwright

from tests.browser.site import FLAGS, MEDIA_MS
from tests.guides.pasting import PASTE, pasted
from tests.guides.test_web_package import DECODED
from tests.support.needs import PAGE, ROOT, needs
from tests.support.ports import free_port

HOWTO = ROOT / "docs" / "howto" / "existing-app.md"
PORTS = ("8080", "8000")
LIFETIME = 300

pytestmark = [pytest.mark.timeout(PASTE), pytest.mark.xdist_group("browser")]


@asynccontextmanager
async def app(folder: Path, port: int, page: str, secret: str) -> AsyncIterator[None]:
    """An app with a login, its own files, and the route and the page of the how-to."""

    async def log_in(request: web.Request) -> web.Response:
        answer = web.Response(text="hello")
        answer.set_cookie("user", request.match_info["user"])
        return answer

    async def token(request: web.Request) -> web.Response:
        user = request.cookies.get("user")
        if user is None:
            raise web.HTTPUnauthorized
        room = request.match_info["room"]
        made = mint(secret, sub=user, email="", ttl=LIFETIME, room=room)
        return web.json_response({"token": made})

    async def call(_: web.Request) -> web.Response:
        return web.Response(text=page, content_type="text/html")

    routes = web.Application()
    routes.router.add_get("/login/{user}", log_in)
    routes.router.add_post("/api/rooms/{room}/token", token)
    routes.router.add_get("/call", call)
    routes.router.add_static("/", folder)
    runner = web.AppRunner(routes)
    await runner.setup()
    try:
        await web.TCPSite(runner, "localhost", port).start()
        yield
    finally:
        await runner.cleanup()


async def says(page: Page, text: str) -> None:
    await page.get_by_role("status").filter(has_text=text).wait_for(timeout=MEDIA_MS)


async def camera_is_off(page: Page) -> None:
    await page.wait_for_function(
        'document.querySelector("video").srcObject.getTracks()'
        '.every(({ readyState }) => readyState === "ended")',
        timeout=MEDIA_MS,
    )


async def test_two_users_of_an_app_see_each_other_on_the_page_of_the_how_to(
    tmp_path: Path,
) -> None:
    needs("bash", "chromium", "openssl", PAGE, ROOT / "clients" / "web" / "dist" / "dyad.min.js")
    ports = {name: free_port() for name in PORTS}
    text = HOWTO.read_text().replace("$HOME/dyad", str(ROOT))
    for name, port in ports.items():
        text = text.replace(name, str(port))
    library, run = re.findall(r"(?ms)^```sh\n(.*?)^```$", text)
    (page,) = re.findall(r"(?ms)^```html\n(.*?)^```$", text)
    async with pasted(library, tmp_path) as shell:
        said = await shell.ends()
        assert await shell.process.wait() == 0, said
    where = f"$DYAD/.venv/bin/dyad dev --port {ports['8080']} --grpc-port 0"
    run = library.splitlines(keepends=True)[0] + run.replace("$DYAD/.venv/bin/dyad dev", where)
    async with pasted(run, tmp_path) as shell, async_playwright() as playwright:
        secret = await shell.says(r"export DYAD_JWT_SECRET=(\S+)")
        browser = await playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=FLAGS
        )
        async with app(tmp_path, ports["8000"], page, secret):
            alice, bob = [await (await browser.new_context()).new_page() for _ in range(2)]
            url = f"http://localhost:{ports['8000']}"
            await alice.goto(f"{url}/call")
            await says(alice, "log in as a user of this call")
            await alice.goto(f"{url}/login/alice")
            await bob.goto(f"{url}/login/bob")
            await alice.goto(f"{url}/call")
            await says(alice, "connected: nobody else is here yet")
            await bob.route("**/dyad.v1.Signaling/*", lambda route: route.abort())
            await bob.goto(alice.url)
            await says(bob, "blocked")
            await camera_is_off(bob)
            await bob.unroute_all()
            await bob.reload()
            await says(alice, "connected: with bob")
            await says(bob, "connected: with alice")
            for each in (alice, bob):
                await each.wait_for_function(DECODED, timeout=MEDIA_MS)
            await alice.get_by_role("button", name="Hang up").click()
            await says(alice, "ended")
            await says(bob, "connected: alice has left")
            # The stream of who left is gone from the picture.
            await bob.wait_for_function(
                'document.querySelectorAll("video")[1].srcObject.getTracks().length === 0',
                timeout=MEDIA_MS,
            )
            # Bob logs out in another tab. His page notices when it reconnects.
            await bob.context.clear_cookies()
            await bob.context.set_offline(True)
            await says(bob, "reconnecting")
            await bob.context.set_offline(False)
            await says(bob, "unauthenticated")
            await camera_is_off(bob)
            await browser.close()
