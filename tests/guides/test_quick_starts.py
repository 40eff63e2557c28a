"""The quick starts of the native clients, pasted into a shell in an empty folder.

`dyad dev` runs meanwhile. Only the path of the checkout and the port are replaced.
"""

import os
import re
import shutil
from contextlib import nullcontext
from pathlib import Path

import pytest

from tests.guides.pasting import PASTE, demo, pasted, quick_start
from tests.interop.conftest import kotlin_build
from tests.support.needs import ROOT, needs

# What each of the two prints when it sees the other.
PICTURES = {
    "python": "a picture of 640 x 480",
    "go": "a picture in video/VP8",
    "kotlin": "a picture of 320 x 240",
}
# https://github.com/devopvoid/webrtc-java/pull/269, which is not released yet.
WEBRTC_JAVA_ENDS = r"^(VM attach current thread failed|Failed to attach thread \d+)\n"
TOOLS = {"python": [], "go": ["go"], "kotlin": ["javac", "mvn"]}


def maven_repository() -> Path:
    """A Maven repository that links the files of the user's, and is separate from it."""
    own = ROOT / "build" / "m2"
    users = Path.home() / ".m2" / "repository"
    if users.is_dir():
        shutil.copytree(users, own, copy_function=link, dirs_exist_ok=True)
    shutil.rmtree(own / "dev" / "dyad", ignore_errors=True)
    return own


def link(file: str, name: str) -> None:
    if not os.path.lexists(name):
        Path(name).symlink_to(file)


@pytest.mark.long
@pytest.mark.timeout(PASTE)
@pytest.mark.parametrize(
    "client",
    ["python", "go", pytest.param("kotlin", marks=pytest.mark.xdist_group("native clients"))],
)
async def test_a_quick_start_as_pasted_places_a_call(client: str, tmp_path: Path) -> None:
    needs("bash", *TOOLS[client])
    env: dict[str, str] = {}
    (text,) = quick_start(client)
    with kotlin_build() if client == "kotlin" else nullcontext():
        if client == "kotlin":
            # On a busy machine, Maven fails because it cannot reach the Kotlin daemon in time.
            # A compiler that runs once is fastest without the JVM's optimizing compiler.
            options = (
                f"-Dmaven.repo.local={maven_repository()}",
                "-Dkotlin.compiler.daemon=false",
                "-XX:TieredStopAtLevel=1",
                "-XX:+UseSerialGC",
            )
            env["MAVEN_OPTS"] = " ".join(options)
        async with demo() as server:
            env["DYAD_JWT_SECRET"] = server.secret
            text = text.replace("$HOME/dyad", str(ROOT)).replace("50051", server.grpc_port)
            async with pasted(text, tmp_path, **env) as shell:
                said = await shell.ends()
        call = "export" + text.rpartition("\nexport")[2]
        async with pasted(call, tmp_path, **env) as shell:
            without = await shell.ends()
        # Maven writes its errors where the program writes the room, so Bob tries as well.
        assert client == "kotlin" or "Bob:" not in without, "there is no server any more"
    said = re.sub(WEBRTC_JAVA_ENDS, "", said, flags=re.MULTILINE)
    room = re.search(r"^room [0-9a-f-]{36}$", said, re.MULTILINE)
    assert room, said
    picture = PICTURES[client]
    lines = ["Bob:", room[0], picture, "Alice:", "bob joined", picture, "bob left: LEFT"]
    assert said.lower().splitlines()[-len(lines) :] == [line.lower() for line in lines], said


@pytest.mark.parametrize(
    ("client", "language"),
    [("python", "python"), ("go", "go"), ("kotlin", "kotlin"), ("web", "ts")],
)
def test_a_snippet_in_the_clients_page_is_part_of_a_quick_start(client: str, language: str) -> None:
    page = (ROOT / "docs" / "clients" / "README.md").read_text()
    (snippet,) = re.findall(rf"^```{language}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert unindented(snippet) in unindented("".join(quick_start(client)))


def unindented(text: str) -> str:
    return "\n".join(line.strip() for line in text.splitlines())
