"""The React hooks as published: packed, and installed by the example, which Vite builds."""

import json

import pytest
from playwright.async_api import Page

from tests.browser.site import MEDIA_MS
from tests.guides.pasting import PASTE, pasted, quick_start
from tests.guides.test_web_package import DECODED, App, two_tabs
from tests.interop.conftest import NPM
from tests.support.needs import NODE_PACKAGES, ROOT, needs
from tests.support.ports import free_port

REACT = ROOT / "clients" / "react"

pytestmark = [pytest.mark.timeout(PASTE), pytest.mark.xdist_group("browser")]


@pytest.fixture(scope="module")
async def app(tmp_path_factory: pytest.TempPathFactory) -> App:
    needs("bash", NPM, NODE_PACKAGES)
    ports = {name: str(free_port()) for name in ("8080", "5173")}
    made = App(tmp_path_factory.mktemp("app"), ports)
    text = quick_start("react")[0].replace("$HOME/dyad", str(ROOT))
    async with pasted(text, made.folder) as shell:
        said = await shell.ends()
        assert await shell.process.wait() == 0, said
    for name in ("package.json", "vite.config.ts"):
        file = made.folder / name
        file.write_text(made.moved(file.read_text()))
    return made


async def is_in_a_call(page: Page) -> None:
    await page.wait_for_function(DECODED, timeout=MEDIA_MS)


@pytest.mark.parametrize("served", ["dev", "preview"])
async def test_the_quick_start_as_pasted_shows_two_people_to_each_other(
    app: App, served: str
) -> None:
    # Only React's development build, in `dev`, mounts twice.
    needs("chromium")
    _, show = quick_start("react")
    text = show.replace("run dev", f"run {served}")
    async with two_tabs(app, text, "http://localhost:5173") as tabs:
        alice, bob = tabs.pages
        for page in tabs.pages:
            await is_in_a_call(page)
        assert sum(url.endswith("/Listen") for url in tabs.opened) == len(tabs.pages)
        assert await alice.get_by_role("status").text_content() == "connected with bob"
        await bob.get_by_role("button", name="Hang up").click()
        await alice.get_by_text("connected, alone").wait_for(timeout=MEDIA_MS)
        await bob.get_by_role("button", name="Call").click()
        for page in tabs.pages:
            await is_in_a_call(page)


async def test_what_is_published_is_the_library_and_nothing_else(app: App) -> None:
    packed = json.loads(app.says(NPM, "pack", "--dry-run", "--json", "--silent", str(REACT)))
    published = {file["path"] for file in packed[0]["files"]}
    modules = {path.relative_to(REACT / "src") for path in REACT.glob("src/**/*.ts*")}
    kinds = (".js", ".js.map", ".d.ts", ".d.ts.map")
    assert published == {
        *("LICENSE", "README.md", "package.json"),
        *(f"src/{module}" for module in modules),
        *(f"dist/{module.with_suffix('')}{kind}" for module in modules for kind in kinds),
    }
    # A framework with server components needs this line to be the first.
    assert (REACT / "dist" / "index.js").read_text().startswith('"use client";')


def test_the_snippet_is_a_part_of_the_example() -> None:
    readme = (REACT / "README.md").read_text()
    snippet = readme.partition("```tsx\n")[2].partition("```")[0]
    assert snippet in (REACT / "example" / "src" / "App.tsx").read_text()
