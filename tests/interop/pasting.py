"""The quick starts of the clients' READMEs, and a shell to paste them into."""

import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.interop.output import Output, bash
from tests.support.needs import ROOT

# The first run on a machine waits for other builds, then fetches and compiles everything.
PASTE = 1800


def quick_start(client: str) -> list[str]:
    """The blocks of the quick start that a reader pastes."""
    readme = (ROOT / "clients" / client / "README.md").read_text()
    section = readme.partition("\n## Quick start\n")[2].partition("\n##")[0]
    return re.findall(r"^```sh\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)


@asynccontextmanager
async def pasted(text: str, folder: Path, **env: str) -> AsyncIterator[Output]:
    """A shell in this folder, with `text` pasted, and `dyad`, npm and node on its path."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    async with bash(folder, os.environ | {"PATH": path} | env) as process:
        assert process.stdin is not None
        process.stdin.write(text.encode())
        process.stdin.close()
        yield Output(process)
