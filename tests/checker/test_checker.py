"""Pairs talk while they are disconnected: every frame arrives once and in order."""

from pathlib import Path

import pytest

from tests.checker.run import Plan, Progress, check

# `make checker` does the same over 1,000 disconnects and 1,000,000 frames.
PLAN = Plan(seed="1", pairs=2, frames=30_000, cuts=30)


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_over_many_disconnects_nothing_is_lost_duplicated_or_reordered(
    tmp_path: Path,
) -> None:
    progress = Progress()
    finding = await check(PLAN, tmp_path, progress)
    assert finding.faults == {}
    assert finding.heard == finding.sent >= PLAN.frames
    assert progress.cuts >= PLAN.cuts
    assert finding.back == finding.away >= PLAN.cuts, "a participant did not resume"
    assert finding.broken == 0, "no fault is longer than the seat is reserved"
