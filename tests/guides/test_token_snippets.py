"""The tokens of docs/howto/tokens.md: each language's program runs, and Dyad takes its token."""

import re
from pathlib import Path

import pytest
from dyad_server.auth.keys import secret_key
from dyad_server.auth.verifier import Verifier
from dyad_server.ops.clock import LoopClock

from tests.guides.pasting import PASTE, pasted
from tests.support.keys import only
from tests.support.needs import ROOT, needs

PAGE = ROOT / "docs" / "howto" / "tokens.md"
SECRET = "a secret of this test, of more than 32 bytes"
ROOM = "0d9c7b1e-6f0a-4b52-9d3c-2f4a8e6b1c57"
PROGRAMS = {
    "Python": ["python3"],
    "Node.js": ["npm"],
    "Go": ["go"],
    "Java": ["javac", "mvn"],
    "PHP": ["php"],
}
SECTION = re.compile(
    r"(?ms)^### (?P<language>.+?)\n.*?`(?P<name>[\w-]+\.\w+)`:\n\n"
    r"```\w+\n(?P<program>.*?)^```\n\n```sh\n(?P<commands>.*?)^```\n"
)


def sections() -> dict[str, re.Match[str]]:
    return {found["language"]: found for found in SECTION.finditer(PAGE.read_text())}


def test_each_language_has_a_program() -> None:
    assert sections().keys() == PROGRAMS.keys()


@pytest.mark.timeout(PASTE)
@pytest.mark.parametrize("language", PROGRAMS)
async def test_dyad_takes_the_token_of_a_backend(language: str, tmp_path: Path) -> None:
    needs("bash", *PROGRAMS[language])
    section = sections()[language]
    (tmp_path / section["name"]).write_text(section["program"])
    async with pasted(section["commands"], tmp_path, DYAD_JWT_SECRET=SECRET) as shell:
        said = await shell.ends()
    verifier = Verifier(only(secret_key(SECRET)), LoopClock())
    token = await verifier.verify(said.split()[-1])
    who = token.identity
    assert (who.user_id, who.email, who.room) == ("alice", "alice@example.com", ROOM)
