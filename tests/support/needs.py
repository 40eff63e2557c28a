"""Programs and files that a test needs: without them it skips, and in CI it fails."""

import os
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "build" / "web" / "index.html"
"""The call page, built by `make build/web/index.html`."""
NODE_PACKAGES = ROOT / "clients" / "node_modules" / ".ready"
"""Exists once the dependencies of the web client and the call page are installed."""


def needs(*things: str | Path) -> None:
    """Skip this test, or fail it in CI, unless these programs and files exist."""
    missing = [str(thing) for thing in things if not _is_here(thing)]
    if missing:
        sentence = f"This test needs programs or files that are missing: {', '.join(missing)}."
        if os.environ.get("CI"):
            pytest.fail(sentence)
        pytest.skip(sentence)


def _is_here(thing: str | Path) -> bool:
    return thing.is_file() if isinstance(thing, Path) else shutil.which(thing) is not None
