"""Writes the API references of the Go, Kotlin and TypeScript clients: `make references`.

Each is a page of docs/clients with every declaration that an app can use, and its comment. A
test compares the pages with the code, so a change of an API is also a change of its page.
"""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
CLIENTS = ROOT / "clients"
GO = {"dyad": "dyad", "dyadtest": "dyad/dyadtest", "pion": "pion"}
KOTLIN = {
    "dev.dyad": "dyad/src/main/kotlin/dev/dyad",
    "dev.dyad.testing": "dyad/src/main/kotlin/dev/dyad/testing",
    "dev.dyad.peer": "peer/src/main/kotlin/dev/dyad/peer",
}
# Where the names of each package are, and their types.
WEB = {
    "@dyad/web": ("web/src/index.ts", "web/dist"),
    "@dyad/web/testing": ("web/src/testing/index.ts", "web/dist/testing"),
    "@dyad/react": ("react/src/index.ts", "react/dist"),
}

_EXPORT = re.compile(r'export (?:type )?\{ (.*?) \} from "\./(.*?)\.js"')
_INTERNAL = re.compile(r"    /\*\* @internal.*\n.*\n|    #private;\n")
_NOT_PUBLIC = re.compile(
    r"\s*(?:internal|private) constructor\s*\((?:[^()]|\([^()]*\))*\)"
    r"|\((?:internal|private) val [^()]*\)"
)
_PUBLIC = re.compile(
    r"(?ms)(?P<comment>^ */\*\*(?:(?!\*/).)*\*/\n)?"
    r"^(?P<indent> *)(?P<begins>public |(?<=    )[A-Z_]{2,}(?=[(,;\n]))"
)

Declarations = Iterator[tuple[str, str]]
"""The name of each, and its text."""


def pages() -> dict[Path, str]:
    """Each page, and what it must contain."""
    folder = ROOT / "docs" / "clients"
    return {
        folder / "web-api.md": _page("TypeScript", "ts", {each: _web(*WEB[each]) for each in WEB}),
        folder / "go-api.md": _page("Go", "text", {each: _go(GO[each]) for each in GO}),
        folder / "kotlin-api.md": _page(
            "Kotlin", "kotlin", {each: _kotlin(KOTLIN[each]) for each in KOTLIN}
        ),
    }


def _page(client: str, language: str, packages: dict[str, Declarations]) -> str:
    parts = [
        f"# {client} API",
        "<!-- Generated: `make references`. The text is in the comments of the code. -->",
    ]
    for package, declarations in packages.items():
        parts.append(f"## {package}")
        for name, text in declarations:
            parts.append(f"### {name}\n\n```{language}\n{text.strip()}\n```")
    return "\n\n".join(parts) + "\n"


def _go(folder: str) -> Declarations:
    command = ["go", "doc", "-all", "."]
    done = subprocess.run(command, cwd=CLIENTS / "go" / folder, capture_output=True, check=True)  # noqa: S603 - the command is the line above
    said = re.sub(r"\n[A-Z]+\n", "\n", done.stdout.decode())
    # Methods and constants of a type follow it, and belong to it.
    first, *others = re.split(r"\n(?=(?:type|func) \w)", said)
    yield "Overview", first.partition("\n")[2]
    for text in others:
        yield re.findall(r"\w+", text)[1], text


def _web(index: str, types: str) -> Declarations:
    for names, module in _EXPORT.findall((CLIENTS / index).read_text()):
        lines = (CLIENTS / types / f"{module}.d.ts").read_text()
        lines = _INTERNAL.sub("", lines).splitlines()
        for name in names.split(", "):
            yield name, "\n".join(_typescript(name, lines))


def _typescript(name: str, lines: list[str]) -> list[str]:
    begins = re.compile(rf"export (?:declare )?(?:class|interface|type|function|const) {name}\b")
    (first,) = [number for number, line in enumerate(lines) if begins.match(line)]
    last = first
    while not re.match(r"[^\s*/].*;$|\}$", lines[last]):
        last += 1
    if lines[first - 1].endswith("*/"):
        first -= 1
        while not lines[first].startswith("/**"):
            first -= 1
    return lines[first : last + 1]


def _kotlin(folder: str) -> Declarations:
    """The compiler insists that what is public says so; constants of an enum always are."""
    for file in sorted((CLIENTS / "kotlin" / folder).glob("*.kt")):
        text = file.read_text()
        declarations: list[list[str]] = []
        for found in _PUBLIC.finditer(text):
            line = found["indent"] + _signature(text[found.start("begins") :])
            if not found["indent"]:
                declarations.append([])
            if declarations:
                declarations[-1].append((found["comment"] or "") + line)
        for head, *members in declarations:
            code = head.rpartition("*/")[2]
            names = re.findall(
                r"(?:class|interface|object|fun(?! interface)) (?:<.*?> .*\.)?(\w+)", code
            )
            yield names[-1], "\n".join([f"{head} {{", *members, "}"] if members else [head])


def _signature(text: str) -> str:
    """What comes before the body or the value of the declaration with which `text` begins."""
    if constant := re.match(r"[A-Z_]{2,}", text):
        return constant[0]
    depth = 0
    for at, character in enumerate(text):
        depth += {"(": 1, ")": -1}.get(character, 0)
        rest = text[at:]
        if (
            depth == 0
            and re.match(
                r" \{| =\s| by |[,;]|\n(?!\s*(?::|internal constructor|private constructor))", rest
            )
            and not text[:at].endswith(":")
        ):
            break
    return _NOT_PUBLIC.sub("", text[:at])


def write() -> None:
    """Write all pages."""
    for page, text in pages().items():
        page.write_text(text)


if __name__ == "__main__":
    write()
