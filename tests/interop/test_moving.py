"""The code of docs/moving that uses Dyad fits the types of the web client."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.support.needs import NODE_PACKAGES, PAGE, ROOT, needs

PAGES = sorted((ROOT / "docs" / "moving").glob("*.md"))
CLIENTS = ROOT / "clients"
# What the pages leave to the reader.
GIVEN = """
declare const url: string, token: string, room: string, sdp: string;
declare const configuration: RTCConfiguration, video: HTMLVideoElement;
declare function show(stream: MediaStream | undefined): void;
declare function hide(): void;
declare function onOffer(sdp: string): void;
declare function onAnswer(sdp: string): void;
declare function onCandidate(candidate: RTCIceCandidateInit): void;
declare function onBye(): void;
"""
LOCAL = "declare const local: MediaStream;\n"


def code(page: Path) -> list[str]:
    """The TypeScript after each "After" of a page."""
    sections = page.read_text().split("\n## ")
    return [
        "".join(re.findall(r"(?ms)^```ts\n(.*?)^```$", section.partition("\nAfter")[2]))
        for section in sections
        if "\nAfter" in section
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_code_fits_the_types_of_the_client(page: Path, tmp_path: Path) -> None:
    needs(NODE_PACKAGES, PAGE)
    parts = [part for part in code(page) if part]
    assert parts
    for number, part in enumerate(parts):
        given = GIVEN + ("" if "const local =" in part else LOCAL)
        text = f'import {{ Call, connect }} from "@dyad/web";\n{given}{part}export {{}};\n'
        (tmp_path / f"part{number}.ts").write_text(text)
    options = {
        "target": "ES2022",
        "lib": ["ES2023", "DOM", "DOM.Iterable"],
        "module": "ESNext",
        "moduleResolution": "bundler",
        "types": [],
        "strict": True,
        "noEmit": True,
        "paths": {"@dyad/web": [str(CLIENTS / "web" / "dist" / "index.d.ts")]},
    }
    config = {"compilerOptions": options, "include": ["*.ts"]}
    (tmp_path / "tsconfig.json").write_text(json.dumps(config))
    tsc = CLIENTS / "node_modules" / ".bin" / "tsc"
    done = subprocess.run([tsc, "-p", tmp_path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
