"""The pages with the APIs of the Go, Kotlin and TypeScript clients are what the code says."""

import runpy
from pathlib import Path
from typing import Any

import pytest

from tests.support.needs import ROOT, needs

REFERENCES: dict[str, Any] = runpy.run_path(str(ROOT / ".ci" / "references.py"))


def test_the_pages_have_every_declaration() -> None:
    needs("go", ROOT / "clients/web/dist/index.d.ts", ROOT / "clients/react/dist/index.d.ts")
    written: dict[Path, str] = REFERENCES["pages"]()
    for page, text in written.items():
        assert page.read_text() == text, "run `make references`, and commit the pages"


@pytest.mark.parametrize(
    ("page", "names"),
    [
        ("go-api.md", ["Dial", "Conn", "ErrTakenOver", "NewServer", "NewPeer"]),
        ("kotlin-api.md", ["Dyad", "Connection", "TakenOver", "FakeServer", "Peer", "Departure"]),
        ("web-api.md", ["connect", "Connection", "DyadError", "FakeServer", "useCall", "Video"]),
    ],
)
def test_a_page_has_what_every_app_uses(page: str, names: list[str]) -> None:
    text = (ROOT / "docs" / "clients" / page).read_text()
    assert [name for name in names if name not in text] == []
