"""Looks at the call page in one state: in each size, light and dark, with axe, by keyboard."""

import itertools
import os
from typing import Literal

from playwright.async_api import Page

from tests.support.needs import ROOT

AXE = ROOT / "clients" / "node_modules" / "axe-core" / "axe.min.js"
PICTURES = ROOT / "build" / "call-page"
"""Here is a picture of each state after the tests, for people to look at."""

SIZES = {"desktop": (1100, 750), "phone": (390, 664), "landscape": (664, 390)}
Scheme = Literal["light", "dark"]
SCHEMES: tuple[Scheme, ...] = ("light", "dark")


def looks() -> list[tuple[str, Scheme]]:
    """The sizes and schemes to look at a state in: every pair in CI, elsewhere each of them.

    The layout depends on the size alone, and the colours on the scheme alone.
    """
    if os.environ.get("CI"):
        return list(itertools.product(SIZES, SCHEMES))
    return list(zip(SIZES, itertools.cycle(SCHEMES), strict=False))


# Every rule of axe, those that are only best practice too.
RUN = """async () => {
  const { violations } = await axe.run(document, { resultTypes: ["violations"] });
  return violations.flatMap(({ id, nodes }) =>
    nodes.map(({ html, failureSummary }) => `${id}: ${html} ${failureSummary}`));
}"""
# What of the page cannot be reached: buttons outside of the window or below something else,
# and a page that is wider than the window.
HIDDEN = """() => {
  const out = [];
  const covered = document.querySelector("dialog[open]") !== null;
  for (const button of document.querySelectorAll("#controls > button")) {
    if (!button.checkVisibility() || covered) continue;
    const { left, top, right, bottom, width, height } = button.getBoundingClientRect();
    const at = document.elementFromPoint((left + right) / 2, (top + bottom) / 2);
    const inside = left >= 0 && top >= 0 && right <= innerWidth && bottom <= innerHeight;
    if (!inside || !button.contains(at) || width < 24 || height < 24) out.push(button.id);
    if (button.scrollWidth > button.clientWidth) out.push(`${button.id}: its name is cut off`);
  }
  if (document.documentElement.scrollWidth > innerWidth) out.push("the page is too wide");
  return out;
}"""
FOCUSED = "document.activeElement === document.body ? 'body' : document.activeElement.id"


async def look(page: Page, state: str) -> None:
    """Take pictures of this state in the sizes and schemes, and fail if something is wrong."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    if not await page.evaluate("'axe' in window"):
        await page.evaluate(AXE.read_text())
    before = page.viewport_size
    wrong: list[tuple[str, str, str]] = []
    for size, scheme in looks():
        width, height = SIZES[size]
        await page.set_viewport_size({"width": width, "height": height})
        await page.emulate_media(color_scheme=scheme)
        wrong += [(size, scheme, one) for one in await page.evaluate(RUN)]
        wrong += [(size, scheme, one) for one in await page.evaluate(HIDDEN)]
        await page.screenshot(path=PICTURES / f"{state}-{size}-{scheme}.png")
    if before is not None:
        await page.set_viewport_size(before)
    assert not wrong, "\n".join([state, *(" ".join(one) for one in wrong)])


async def is_focused(page: Page) -> str:
    """The id of the element that has the keyboard's focus; fails if that is the body."""
    focused: str = await page.evaluate(FOCUSED)
    assert focused != "body"
    return focused
