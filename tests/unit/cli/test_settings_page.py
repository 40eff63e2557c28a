"""docs/settings.md is what the code generates."""

import re
from dataclasses import fields

from dyad_server.cli import settings_page
from dyad_server.config import Config
from dyad_server.setting import option

from tests.support.needs import ROOT

PAGE = ROOT / "docs" / "settings.md"


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text() == settings_page.page(), "run `make settings`, and commit the page"


def test_the_page_has_every_setting_once_below_a_heading() -> None:
    text = settings_page.page()
    rows = re.findall(r"^\| `(--\S+)` \|", text, re.MULTILINE)
    assert rows == [option(setting.name) for setting in fields(Config)]
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert len(headings) == len(set(headings)) > 5
