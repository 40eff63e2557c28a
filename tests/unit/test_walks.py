"""The page docs/walks.md names files and functions that exist."""

import importlib
import re
from types import ModuleType

import pytest

from tests.support.needs import ROOT

CODE = re.compile(r"`([^`\n]+)`")
NAME = re.compile(r"[a-z_0-9]+(\.\w+)+")
NAMED = sorted(set(CODE.findall((ROOT / "docs" / "walks.md").read_text())))
FILES = [name for name in NAMED if "/" in name or (ROOT / name).suffix in {".md", ".toml"}]
NAMES = [name for name in NAMED if NAME.fullmatch(name) and name not in FILES]


@pytest.mark.parametrize("name", FILES)
def test_a_file_on_the_page_exists(name: str) -> None:
    assert (ROOT / name).exists() or (ROOT / "server" / "dyad_server" / name).exists()


@pytest.mark.parametrize("name", NAMES)
def test_a_name_on_the_page_exists(name: str) -> None:
    """The longest prefix of the name is a module, and the rest are its attributes."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found: ModuleType | object = importlib.import_module(
                ".".join(("dyad_server", *parts[:length]))
            )
        except ModuleNotFoundError:
            continue
        for part in parts[length:]:
            found = getattr(found, part)
        return
    pytest.fail(f"no module of the server is a prefix of {name}")


def test_the_page_has_five_walks_that_name_files_and_functions() -> None:
    walks = (ROOT / "docs" / "walks.md").read_text().split("\n## ")[1:]
    assert len(walks) == 5
    for walk in walks:
        named = CODE.findall(walk)
        assert set(named) & set(FILES) or set(named) & set(NAMES), walk.partition("\n")[0]
