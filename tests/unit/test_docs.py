"""The documentation names each command, option, status and error, and its commands are valid.

Other tests do the same for settings (`cli/test_settings_page.py`), metrics and log lines
(`tests/integration/test_metric_values.py`), and the doctor's findings (`test_doctor.py`).
"""

import argparse
import re
import shlex
from collections.abc import Iterator
from dataclasses import fields
from itertools import takewhile
from pathlib import Path

import dyad
import pytest
from dyad.v1 import signaling_pb2 as pb
from dyad_server.cli import main
from dyad_server.config import Config
from dyad_server.grpc_api.status import STATUS
from dyad_server.setting import option

from tests.support.needs import ROOT

DOCS = ROOT / "docs"
COMMANDS = (DOCS / "reference" / "commands.md").read_text()
STATUSES = (DOCS / "reference" / "statuses.md").read_text()
DOCTOR = (DOCS / "doctor.md").read_text()
SETTINGS = {option(setting.name) for setting in fields(Config)}
PAGES = sorted(
    page
    for pattern in ("*.md", "docs/**/*.md", "clients/*/README.md", "deploy/**/*.md")
    for page in ROOT.glob(pattern)
)
FENCED = re.compile(r"(?ms)^( *)```(\w*)[^\n]*\n(.*?)^\1```$")
SUBSTITUTED = re.compile(r"\$\((dyad [^()]*)\)")
# A command begins after these, and ends at a sign of the shell.
BEFORE = {";", "&&", "||", "|", "&", "(", "exec"}
SIGN = re.compile(r"[|<>&;()]+")


def subcommands() -> dict[str, argparse.ArgumentParser]:
    actions = main.parser()._actions  # noqa: SLF001 - argparse has no other way to list them
    (commands,) = (each for each in actions if isinstance(each, argparse._SubParsersAction))  # noqa: SLF001
    return dict(commands.choices)


def typed(text: str) -> Iterator[list[str]]:
    """The arguments of each `dyad` in the shell blocks of a page."""
    for _, language, block in FENCED.findall(text):
        if language not in {"", "sh"}:
            continue
        for line in block.replace("\\\n", " ").splitlines():
            for found in SUBSTITUTED.finditer(line):
                yield shlex.split(found[1])[1:]
            yield from commands(SUBSTITUTED.sub("1", line))


def commands(line: str) -> Iterator[list[str]]:
    reader = shlex.shlex(line, posix=True, punctuation_chars=True)
    reader.whitespace_split = True
    try:
        words = list(reader)
    except ValueError:
        return  # A line of a longer text in quotes.
    for at, word in enumerate(words):
        before = words[at - 1] if at else ";"
        if re.fullmatch(r"([\w.$]*/)*dyad", word) and (before in BEFORE or "=" in before):
            yield list(takewhile(lambda each: not SIGN.fullmatch(each), words[at + 1 :]))


@pytest.mark.parametrize("command", subcommands())
def test_each_command_and_option_is_documented(command: str) -> None:
    page = DOCTOR if command == "doctor" else COMMANDS
    assert f"\n## dyad {command}\n" in COMMANDS
    section = page if command == "doctor" else COMMANDS.partition(f"\n## dyad {command}\n")[2]
    section = section if command == "doctor" else section.partition("\n## ")[0]
    parser = subcommands()[command]
    own = {name for action in parser._actions for name in action.option_strings}  # noqa: SLF001
    if command in {"serve", "check", "doctor"}:
        # Those are in docs/settings.md.
        own -= SETTINGS | {name.replace("--", "--no-", 1) for name in SETTINGS} | {"--config"}
    own -= {"-h", "--help"}
    assert own == set(re.findall(r"`(--[\w-]+)", section)) & own


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_commands_on_a_page_are_valid(page: Path) -> None:
    for words in typed(page.read_text()):
        status = 0
        try:
            # What the shell replaces may be any word, also a number.
            main.parser().parse_args([re.sub(r"\$\w+", "1", word) for word in words])
        except SystemExit as end:
            status = int(end.code or 0)
        assert status == 0, f"dyad {shlex.join(words)}"


def test_commands_are_found_on_pages() -> None:
    text = (
        "```sh\nA=$(dyad token --sub a) b\n(cd x; B=1 dyad check) # dyad\n"
        'echo "$(dyad token --sub b)"\ndyad serve \\\n  --port 1 > log &\n```\n'
    )
    assert list(typed(text)) == [
        ["token", "--sub", "a"],
        ["check"],
        ["token", "--sub", "b"],
        ["serve", "--port", "1"],
    ]


def test_each_status_and_error_says_what_to_do() -> None:
    advice = STATUSES.partition("\n### What to do\n")[2]
    for status in {each.name for each in STATUS.values()}:
        assert re.search(rf"^\| {status} \|", STATUSES, re.MULTILINE), status
        assert f"\n- **{status}.**" in advice, status
    codes = pb.Error.Code.keys() + pb.LeaveRoom.Reason.keys()
    assert set(codes) == set(re.findall(r"^\| `((?:CODE|REASON)_\w+)` \|", STATUSES, re.MULTILINE))
    errors = {kind.__name__ for kind in dyad.Ended.__subclasses__()}
    web = (ROOT / "clients" / "web" / "src" / "errors.ts").read_text()
    ended = re.search(r"const ENDED.*?^\]\)", web, re.MULTILINE | re.DOTALL)
    assert ended
    for name in errors | set(re.findall(r'\["(\w+)",', ended[0])):
        assert f"`{name}`" in STATUSES, name


def test_the_page_of_limits_names_settings() -> None:
    named = set(re.findall(r"`(--[\w-]+)`", (DOCS / "reference" / "limits.md").read_text()))
    limits = {name for name in SETTINGS if name.startswith("--max-")}
    assert limits <= named <= SETTINGS
