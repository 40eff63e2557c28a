"""`python -m tests.mutants`: plant each bug in a copy of the tree; its test must fail there."""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.mutants.mutant import Mutant, mutants
from tests.support.needs import PAGE, ROOT

_PARTS = ("server", "clients/python", "clients/go", "deploy", "docs", "tests")
# pytest's own: tests ran, and some failed. Any other means that they did not run.
_PASSED, _FAILED = 0, 1


class Tree:
    """A copy of the tested code and of the tests."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for part in _PARTS:
            ignored = shutil.ignore_patterns("__pycache__", ".*")
            shutil.copytree(ROOT / part, folder / part, ignore=ignored)
        shutil.copy(ROOT / "pyproject.toml", folder)
        # Envoy serves it.
        page = folder / PAGE.relative_to(ROOT)
        page.parent.mkdir(parents=True)
        shutil.copy(PAGE, page)
        paths = (folder / "server", folder / "clients" / "python", folder)
        self._env = os.environ | {
            "PYTHONPATH": os.pathsep.join(map(str, paths)),
            # Of two files written within a second, the first one's would be taken.
            "PYTHONDONTWRITEBYTECODE": "1",
            # Many a bug shows as a hang. The tests pass within this without a bug.
            "TEST_PATIENCE": "20",
            # As wide as pytest says what failed.
            "COLUMNS": "240",
        }
        found = self._python("-c", "import dyad, dyad_server; print(dyad, dyad_server)").stdout
        assert found.count(str(folder)) == len(("dyad", "dyad_server")), found

    def test(self, *names: str) -> subprocess.CompletedProcess[str]:
        """Run these tests here."""
        return self._python("-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *names)

    def _python(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=self.folder,
            env=self._env,
            capture_output=True,
            text=True,
            check=False,
        )


def caught(mutant: Mutant, tree: Tree) -> tuple[bool, str]:
    """Whether the bug was caught, and how, or why not."""
    if why := mutant.apply(tree.folder):
        return False, f"does not apply: {why}"
    try:
        done = tree.test(mutant.test)
    finally:
        mutant.apply(tree.folder, "--reverse")
    if done.returncode == _PASSED:
        return False, "LIVES"
    if done.returncode != _FAILED:
        return False, f"does not run: {done.stdout}{done.stderr}"
    # Logged lines above it may look the same.
    *_, summary = done.stdout.partition("short test summary info")
    lines = summary.splitlines()
    return True, next(line for line in lines if line.startswith(("FAILED ", "ERROR ")))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("names", nargs="*", help="only these")
    asked = parser.parse_args().names
    planted = [mutant for mutant in mutants() if not asked or mutant.name in asked]
    with tempfile.TemporaryDirectory(prefix="dyad-mutants-") as folder:
        tree = Tree(Path(folder))
        done = tree.test(*sorted({mutant.test for mutant in planted}))
        if done.returncode != _PASSED:
            print(f"Without any bug the tests do not pass.\n{done.stdout}{done.stderr}")
            return 1
        count = 0
        for mutant in planted:
            began = time.monotonic()
            well, how = caught(mutant, tree)
            count += well
            print(f"{time.monotonic() - began:5.1f} s  {mutant.name}: {mutant.bug}")
            print(f"         {how if well else f'{mutant.test} {how}'}", flush=True)
    print(f"{count} of {len(planted)} caught")
    return 0 if count == len(planted) else 1


if __name__ == "__main__":
    sys.exit(main())
