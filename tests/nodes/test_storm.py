"""Whatever fails, frames between pairs on several nodes are never lost silently."""

import os
import secrets
import time

import pytest

from tests.checker.ledger import Finding
from tests.nodes.schedule import ALL, FORGETTING, MOVING, Weather
from tests.nodes.storm import storm
from tests.support.depth import depth

FAULTS = depth("STORM_FAULTS", here=8, ci=40)
SEED = os.environ.get("STORM_SEED") or secrets.token_hex(4)
# On a busy machine a short disconnect may outlast the grace time. Both ends are then
# told, which is no loss. Long runs are made on a quiet machine, and are strict.
QUIET = "STORM_FAULTS" in os.environ
PAIRS = 4
REDIS = pytest.mark.parametrize("redis", ["a", "ab"], ids=["one Redis", "two Redis"])


async def survived(weather: Weather, redis: str) -> Finding:
    """Run a storm that must lose nothing silently; returns what was compared.

    Args:
        weather: its faults.
        redis: has a letter for each Redis.
    """
    print(f"seed {SEED}")
    began = time.monotonic()
    outcome = await storm(SEED, weather, pairs=PAIRS, faults=FAULTS, redis=redis)
    print(outcome, f"in {time.monotonic() - began:.0f} s")
    finding = outcome.finding
    strict = QUIET and weather is not ALL
    if finding.faults or (strict and (finding.broken or outcome.visits)):
        print(*outcome.history, sep="\n")
        pytest.fail(f"STORM_SEED={SEED} repeats it: {outcome}")
    # Or the test would show nothing.
    assert outcome.faults.total() >= FAULTS - 2
    assert finding.heard > 20 * FAULTS
    return finding


@pytest.mark.long
@pytest.mark.xdist_group("busy")
@pytest.mark.timeout(3600)
@REDIS
async def test_a_storm_of_all_faults_loses_nothing_silently(redis: str) -> None:
    finding = await survived(ALL, redis)
    # On a busy machine, perhaps no reconnect succeeds in time. Then both ends are told.
    assert finding.away > 0


@pytest.mark.long
@pytest.mark.xdist_group("busy")
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    ("weather", "redis"),
    [(MOVING, "a"), (FORGETTING, "a"), (FORGETTING, "ab")],
    ids=["moving", "forgetting", "forgetting, two Redis"],
)
async def test_no_call_breaks_if_no_fault_outlasts_the_grace_time(
    weather: Weather, redis: str
) -> None:
    await survived(weather, redis)
