"""What a test needs that the machine may lack: then the test skips, and in CI it fails."""

import os
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "build" / "web" / "index.html"
"""The call page, of `make build/web/index.html`."""
NODE_PACKAGES = ROOT / "clients" / "node_modules" / ".ready"
"""What the web client and the call page depend on is installed."""


def needs(*things: str | Path) -> None:
    """Skip this test, or in CI fail it, unless these programs or files exist."""
    missing = [str(thing) for thing in things if not _is_here(thing)]
    if missing:
        sentence = f"This test needs what is not here: {', '.join(missing)}."
        if os.environ.get("CI"):
            pytest.fail(sentence)
        pytest.skip(sentence)


def _is_here(thing: str | Path) -> bool:
    return thing.is_file() if isinstance(thing, Path) else shutil.which(thing) is not None
