"""The web client as published: packed, installed, bundled, and loaded by a script tag."""

import asyncio
import gzip
import json
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import dyad
import pytest
from dyad_server.cli import envoy
from playwright.async_api import Page, async_playwright

from tests.browser.site import FLAGS, MEDIA_MS
from tests.conftest import SECRET, token
from tests.guides.pasting import PASTE, demo, pasted, quick_start
from tests.interop.conftest import NPM
from tests.support.needs import NODE_PACKAGES, PAGE, ROOT, needs
from tests.support.ports import free_port
from tests.support.process import command, dyad_serve
from tests.support.python_client import hear

WEB = ROOT / "clients" / "web"
ROOM = "6c1f3c3e-9d2c-4b7e-8f53-0d6f3f9f7a10"
READY = 15
FILES = ("-m", "http.server", "0", "--bind", "127.0.0.1")
# As a person starts a browser: no program drives it. The folder of the profile comes last.
BROWSERS = {
    "chromium": ("--headless", "--no-sandbox", "--disable-gpu", "--user-data-dir="),
    "firefox": ("--headless", "--no-remote", "--profile="),
}
DECODED = """() => {
  const video = document.querySelectorAll("video")[1];
  return video?.getVideoPlaybackQuality().totalVideoFrames > 10 && video.videoWidth > 0;
}"""

pytestmark = [pytest.mark.timeout(PASTE), pytest.mark.xdist_group("browser")]


@dataclass(frozen=True)
class App:
    """The folder in which the quick start's app was built.

    Attributes:
        folder: the path of the folder.
        ports: the free port that replaces each port of the quick start.
    """

    folder: Path
    ports: dict[str, str]

    def moved(self, text: str) -> str:
        for name, port in self.ports.items():
            text = text.replace(name, port)
        return text

    def says(self, program: Path, *arguments: str) -> str:
        return subprocess.run(
            [program, *arguments], cwd=self.folder, stdout=subprocess.PIPE, check=True, text=True
        ).stdout


@pytest.fixture(scope="module")
async def app(tmp_path_factory: pytest.TempPathFactory) -> App:
    needs("bash", NPM, NODE_PACKAGES)
    ports = {name: str(free_port()) for name in ("8080", "3000")}
    made = App(tmp_path_factory.mktemp("app"), ports)
    text = made.moved(quick_start("web")[0].replace("$HOME/dyad", str(ROOT)))
    async with pasted(text, made.folder) as shell:
        said = await shell.ends()
        assert await shell.process.wait() == 0, said
    return made


async def listens(port: str) -> None:
    async with asyncio.timeout(READY):
        while True:
            with suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", int(port))
                writer.close()
                return
            await asyncio.sleep(0.05)  # No event tells that the port is open.


@dataclass(frozen=True)
class Tabs:
    """The tabs of two people.

    Attributes:
        pages: the pages.
        opened: the URL of each request that they have made.
    """

    pages: list[Page]
    opened: list[str]


@asynccontextmanager
async def two_tabs(app: App, text: str, origin: str) -> AsyncIterator[Tabs]:
    """Paste this text, which prints two links, and open each in a browser context of its own.

    Args:
        app: the app that the text serves.
        text: the second block of the quick start.
        origin: where that serves the app.
    """
    moved = app.moved(origin)
    async with (
        demo("--port", app.ports["8080"], "--origin", moved) as server,
        pasted(app.moved(text), app.folder, DYAD_JWT_SECRET=server.secret) as shell,
        async_playwright() as playwright,
    ):
        assert origin in server.said, "an app there may call without --origin"
        links = [await shell.says(r"(http://localhost:\d+/#\S+)") for _ in range(2)]
        for port in app.ports.values():
            await listens(port)
        chromium = shutil.which("chromium")
        browser = await playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        try:
            pages = [await (await browser.new_context()).new_page() for _ in links]
            opened: list[str] = []
            for page, link in zip(pages, links, strict=True):
                page.on("request", lambda it: opened.append(it.url))
                await page.goto(link)
            yield Tabs(pages, opened)
        finally:
            await browser.close()


async def test_the_quick_start_as_pasted_shows_two_people_to_each_other(app: App) -> None:
    needs("chromium")
    _, show = quick_start("web")
    async with two_tabs(app, show, "http://localhost:3000") as tabs:
        for page in tabs.pages:
            await page.wait_for_function(DECODED, timeout=MEDIA_MS)


async def test_the_quick_starts_page_says_why_there_is_no_call(app: App) -> None:
    needs("chromium")
    _, show = quick_start("web")
    show = show.replace("alice", "alice --jwt-secret 00000000000000000000000000000000")
    async with two_tabs(app, show, "http://localhost:3000") as tabs:
        said = "The token's signature does not match the key."
        await tabs.pages[0].get_by_text(said).wait_for(timeout=MEDIA_MS)


async def test_what_is_published_is_the_library_and_nothing_else(app: App) -> None:
    packed = json.loads(app.says(NPM, "pack", "--dry-run", "--json", "--silent", str(WEB)))
    published = {file["path"] for file in packed[0]["files"]}
    modules = {path.relative_to(WEB / "src") for path in WEB.glob("src/**/*.ts")}
    built = {module.with_suffix("") for module in modules}
    bundle = {f"dist/dyad.min{kind}" for kind in (".js", ".js.map", ".d.ts")}
    kinds = (".js", ".js.map", ".d.ts", ".d.ts.map")
    assert published == {
        *("LICENSE", "README.md", "package.json"),
        *(f"src/{module}" for module in modules),
        *(f"dist/{module}{kind}" for module in built for kind in kinds),
        *bundle,
    }


@pytest.mark.parametrize(
    ("imports", "bytes_at_most"), [("connect, Peer", 20_000), ("connect", 20_000), ("Peer", 2_500)]
)
async def test_an_app_bundles_only_what_it_imports(
    app: App, imports: str, bytes_at_most: int
) -> None:
    entry = app.folder / "takes.mjs"
    entry.write_text(f'import {{ {imports} }} from "@dyad/web"; globalThis.taken = [{imports}];')
    options = ("--bundle", "--minify", "--format=esm", "--target=es2022")
    bundle = app.says(app.folder / "node_modules/.bin/esbuild", entry.name, *options)
    assert "globalThis.taken" in bundle
    assert len(gzip.compress(bundle.encode())) < bytes_at_most


@pytest.mark.parametrize(
    ("module", "resolution"), [("nodenext", "nodenext"), ("esnext", "bundler")]
)
async def test_its_types_hold_in_an_app(app: App, module: str, resolution: str) -> None:
    call = app.folder / "call.mts"
    shutil.copy(app.folder / "call.ts", call)
    strictly = ("--noEmit", "--strict", "--exactOptionalPropertyTypes", "--target", "es2022")
    resolved = ("--module", module, "--moduleResolution", resolution, "--types", "")
    assert app.says(NODE_PACKAGES.with_name(".bin") / "tsc", *strictly, *resolved, call.name) == ""


@pytest.mark.parametrize("browser", ["chromium", "firefox"])
async def test_a_script_tag_is_enough(app: App, browser: str, tmp_path: Path) -> None:
    needs(browser, PAGE)
    readme = (WEB / "README.md").read_text()
    (page,) = re.findall(r"^```html\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)
    async with AsyncExitStack() as running:
        server = await running.enter_async_context(dyad_serve(SECRET))
        files = await running.enter_async_context(
            command(sys.executable, "-u", *FILES, "--directory", str(app.folder))
        )
        origin = (await files.says(r"http://127\.0\.0\.1:(\d+)"))[1]
        port = free_port()
        text = envoy.render(
            ROOT / "deploy" / "envoy.yaml", listen_port=port, server_ports=[server.port], page=PAGE
        )
        text = text.replace(f"//localhost:{port}\n", f"//localhost:{origin}\n")
        await running.enter_async_context(envoy.running(text, port))
        (app.folder / "script.html").write_text(page.replace("8080", str(port)))
        bob = await running.enter_async_context(
            dyad.connect(f"127.0.0.1:{server.port}", token("bob", room=ROOM), plaintext=True)
        )
        await bob.create()
        url = f"http://localhost:{origin}/script.html#{token('alice', room=ROOM)}"
        profile = BROWSERS[browser][-1] + str(tmp_path)
        await running.enter_async_context(command(browser, *BROWSERS[browser][:-1], profile, url))
        async with asyncio.timeout(MEDIA_MS / 1000):
            assert isinstance(await hear(bob), dyad.PeerJoined)
            await bob.send_offer("my SDP, too")
            answer = await hear(bob)
        assert isinstance(answer, dyad.Answer)
        assert answer.sdp == "my SDP"
