"""The planted bugs: each is a patch that states the bug and the test that must catch it."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent
_BUG = "Bug: "
_CAUGHT_BY = "Caught by: "


@dataclass(frozen=True)
class Mutant:
    """A planted bug.

    Attributes:
        patch: its file.
        bug: what it does wrong.
        test: the test that must fail with it: `file::test`.
    """

    patch: Path
    bug: str
    test: str

    @property
    def name(self) -> str:
        return self.patch.stem

    def apply(self, tree: Path, *options: str) -> str:
        """Apply the patch to `tree`, as `git apply` with these options does.

        Returns:
            Why it does not apply; empty if it applies.
        """
        command = ["git", "apply", *options, str(self.patch)]
        done = subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)
        return done.stderr if done.returncode else ""


def mutants() -> list[Mutant]:
    """All planted bugs, sorted by name."""
    return [_read(patch) for patch in sorted(FOLDER.glob("*.patch"))]


def _read(patch: Path) -> Mutant:
    bug, test, *_ = patch.read_text().splitlines()
    assert bug.startswith(_BUG), patch
    assert test.startswith(_CAUGHT_BY), patch
    return Mutant(patch, bug.removeprefix(_BUG), test.removeprefix(_CAUGHT_BY))
