"""`python -m tests.checker` shows, over many frames and disconnects, that nothing is lost."""

import argparse
import asyncio
import secrets
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.checker.ledger import Finding
from tests.checker.run import Plan, Progress, check

_REPORT_SECONDS = 15.0


async def prove(plan: Plan, folder: Path) -> bool:
    """Run the plan and print the result; returns whether no fault was found."""
    print(f"seed {plan.seed}, ledgers in {folder}", flush=True)
    progress = Progress()
    began = time.monotonic()
    reporting = asyncio.create_task(_report(progress, began))
    try:
        finding = await check(plan, folder, progress)
    finally:
        reporting.cancel()
    _print(finding, progress, time.monotonic() - began)
    enough = progress.cuts >= plan.cuts and finding.sent >= plan.frames
    return enough and not finding.faults


async def _report(progress: Progress, began: float) -> None:
    while True:
        await asyncio.sleep(_REPORT_SECONDS)
        seconds = time.monotonic() - began
        print(f"{seconds:6.0f} s  {progress.frames:9} frames  {progress.cuts:6} cuts", flush=True)


def _print(finding: Finding, progress: Progress, seconds: float) -> None:
    print(
        f"{finding.sent} frames sent, {finding.heard} heard, {progress.cuts} cuts, "
        f"{finding.away} connections lost, {finding.back} resumed, "
        f"{finding.broken} breaks told, with {finding.excused} frames, in {seconds:.0f} s"
    )
    print(
        f"lost silently {finding.silent}, duplicate {finding.duplicate}, "
        f"reordered {finding.reordered}, altered {finding.altered}, foreign {finding.foreign}, "
        f"unexpected {finding.unexpected}, unfinished {finding.unfinished}"
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.checker", description=__doc__)
    parser.add_argument("--seed", default="", help="the seed of an earlier run, to repeat it")
    parser.add_argument("--frames", type=int, default=1_000_000)
    parser.add_argument("--cuts", type=int, default=1_000)
    parser.add_argument("--pairs", type=int, default=4)
    parser.add_argument("--short", action="store_true", help="no faults longer than 8 s")
    asked = parser.parse_args()
    seed = asked.seed or secrets.token_hex(4)
    plan = Plan(seed, asked.pairs, asked.frames, asked.cuts, long=not asked.short)
    folder = Path(tempfile.mkdtemp(prefix="dyad-checker-"))
    if not asyncio.run(prove(plan, folder)):
        return 1
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
