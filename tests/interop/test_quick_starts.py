"""The quick starts of the native clients, pasted into a shell in an empty folder.

Only where the checkout is differs, and the port.
"""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.interop.pasting import PASTE, pasted, quick_start
from tests.support.needs import ROOT, needs
from tests.support.redis import free_port

TOOLS = {"python": [], "go": ["go"], "kotlin": ["javac", "mvn"]}


def maven_repository() -> Path:
    """One that begins as the user's and keeps to itself what is installed into it."""
    own = ROOT / "build" / "m2"
    users = Path.home() / ".m2" / "repository"
    own.mkdir(parents=True, exist_ok=True)
    if users.is_dir():
        subprocess.run(["cp", "-rsn", f"{users}/.", own], check=True)
    shutil.rmtree(own / "dev" / "dyad", ignore_errors=True)
    return own


@pytest.mark.timeout(PASTE)
@pytest.mark.parametrize("client", TOOLS)
async def test_a_quick_start_as_pasted_places_a_call(client: str, tmp_path: Path) -> None:
    needs("bash", "openssl", *TOOLS[client])
    port = str(free_port())
    env = {"DYAD_PORT": port}
    if client == "kotlin":
        env["MAVEN_OPTS"] = f"-Dmaven.repo.local={maven_repository()}"
    (text,) = quick_start(client)
    text = text.replace("$HOME/dyad", str(ROOT)).replace("50051", port)
    async with pasted(text, tmp_path, **env) as shell:
        said = await shell.ends()
    room = re.search(r"^room [0-9a-f-]{36}$", said, re.MULTILINE)
    assert room, said
    lines = [room[0], "an offer from alice", room[0], "bob joined", "bob left: LEFT"]
    assert said.lower().splitlines()[-5:] == [line.lower() for line in lines], said
