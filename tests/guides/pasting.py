"""The quick starts of the clients' READMEs, and a shell to paste them into."""

import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.interop.output import Output, bash
from tests.support.needs import PAGE, ROOT, needs
from tests.support.process import DYAD, command

# The first run on a machine waits for other builds, then fetches and compiles everything.
PASTE = 1800


def quick_start(client: str) -> list[str]:
    """The blocks of the quick start that a reader pastes."""
    readme = (ROOT / "clients" / client / "README.md").read_text()
    section = readme.partition("\n## Quick start\n")[2].partition("\n##")[0]
    return re.findall(r"^```sh\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Demo:
    """What `dyad dev`, which `make demo` runs, says to its user."""

    said: str
    secret: str
    grpc_port: str


@asynccontextmanager
async def demo(*options: str) -> AsyncIterator[Demo]:
    """`dyad dev`, with free ports unless the options say otherwise."""
    needs(PAGE)
    async with command(DYAD, "dev", "--port", "0", "--grpc-port", "0", *options) as running:
        await running.says(r"Press Ctrl-C to stop\.\n")
        patterns = (
            r"export DYAD_JWT_SECRET=(\S+)",
            r"Server: +127\.0\.0\.1:(\d+)",
        )
        secret, grpc_port = [(await running.says(each))[1] for each in patterns]
        yield Demo(running.said, secret, grpc_port)


@asynccontextmanager
async def pasted(text: str, folder: Path, **env: str) -> AsyncIterator[Output]:
    """A shell in this folder, with `text` pasted, and `dyad`, npm and node on its path."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    async with bash(folder, os.environ | {"PATH": path} | env) as process:
        assert process.stdin is not None
        process.stdin.write(text.encode())
        process.stdin.close()
        yield Output(process)
