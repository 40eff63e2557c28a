"""Times in buckets."""

import random

import pytest
from dyad_server.load.histogram import Histogram


def histogram(*times: float) -> Histogram:
    made = Histogram()
    for seconds in times:
        made.add(seconds)
    return made


@pytest.mark.parametrize("share", [0.5, 0.9, 0.99, 1.0])
def test_percentiles_are_exact_to_two_percent(share: float) -> None:
    chance = random.Random(1)
    times = sorted(chance.lognormvariate(-6, 2) for _ in range(10_000))
    exact = times[round(share * len(times)) - 1]
    assert histogram(*times).quantile(share) == pytest.approx(exact, rel=0.021)


def test_without_times_there_are_no_percentiles() -> None:
    assert histogram().quantile(0.5) is None
    assert len(histogram()) == 0


def test_the_greatest_is_exact_and_no_percentile_exceeds_it() -> None:
    times = histogram(0.123456)
    assert times.greatest == 0.123456
    assert times.quantile(0.99) == 0.123456


@pytest.mark.parametrize("seconds", [0.0, 1e-9, 1e-5, 86400.0])
def test_any_time_can_be_counted(seconds: float) -> None:
    found = histogram(seconds).quantile(0.5)
    assert found is not None
    assert found == pytest.approx(seconds, rel=0.021, abs=1e-5)


def test_merging_equals_counting_all_in_one() -> None:
    one, other = histogram(0.001, 0.002), histogram(0.003, 4.0)
    one.merge(other)
    whole = histogram(0.001, 0.002, 0.003, 4.0)
    assert one.counts == whole.counts
    assert (one.greatest, len(one)) == (4.0, 4)
