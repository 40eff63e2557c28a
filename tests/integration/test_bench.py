"""`make bench` works: one tiny round against Dyad alone. Its figures mean nothing here."""

import json
import sys
from pathlib import Path

import pytest

from tests.support.needs import ROOT, needs
from tests.support.process import command

# On a new machine, Go compiles gRPC first.
pytestmark = pytest.mark.timeout(900)


async def test_the_load_generator_notices_frames_that_are_lost_changed_or_out_of_order() -> None:
    needs("go")
    folder = str(ROOT / "benchmarks" / "load")
    async with command("go", "-C", folder, "test", "-timeout", "60s", ".") as tests:
        status = await tests.process.wait()
    assert status == 0, tests.said


async def test_the_benchmark_measures_whole_calls_and_frames_and_loses_none(tmp_path: Path) -> None:
    needs("go")
    options = ["--quick", "--here", "--rounds", "1", "--only", "dyad"]
    measures = ["call", "shared", "meeting", "frame"]
    async with command(
        *(sys.executable, "-m", "benchmarks.bench", *options),
        *("--measure", ",".join(measures), "--output", str(tmp_path)),
    ) as bench:
        status = await bench.process.wait()
    assert status == 0, bench.said
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["missing"] == {}
    assert set(result["rounds"]) == set(measures)
    assert (tmp_path / "table.md").read_text() in bench.said
