"""What the figures of a run say."""

from typing import Any

import pytest
from dyad_server.load.plan import Plan
from dyad_server.load.results import Results, Usage
from dyad_server.load.tally import Failure, Report, Tally
from dyad_server.load.verdict import missed, own_limits

GONE = Failure("join", "UNAVAILABLE", "It is gone.")


def plan(**settings: Any) -> Plan:
    chosen: dict[str, Any] = {"targets": ("localhost:1",), "duration": 10.0} | settings
    return Plan(**chosen)


def report(
    *, made: int = 10, failed: int = 0, relay: float = 0.001, lag: float = 0.001, cores: float = 0.3
) -> Report:
    told = Report()
    told.tally.merge(Tally(started=made + failed, made=made))
    for _ in range(failed):
        told.tally.call_over(GONE)
    told.tally.times["relay Signal to Signal"].add(relay)
    told.tally.times["join Signal"].add(0.001)
    told.lag.add(lag)
    told.late.add(lag)
    return told.at_the_end(0, seconds=1.0, cpu_seconds=cores)


def results(*reports: Report) -> Results:
    gathered = Results(1, began=100.0)
    for number, told in enumerate(reports, start=1):
        gathered.hear(0, told)
        gathered.point(100.0 + number, None)
    return gathered


def test_a_good_run_misses_nothing_and_was_not_limited_by_its_generator() -> None:
    found = results(*[report()] * 5)
    rate = plan(calls_per_second=10)
    assert missed(rate, found) == []
    assert own_limits(rate, found) == []


@pytest.mark.parametrize(("allowed", "sentences"), [(0, 1), (9, 1), (10, 0), (100, 0)])
def test_more_failures_than_allowed_are_told(allowed: float, sentences: int) -> None:
    found = results(report(made=9, failed=1))
    assert len(missed(plan(max_errors=allowed), found)) == sentences


def test_a_run_without_calls_is_a_failure() -> None:
    assert missed(plan(max_errors=100), results()) == ["No call was made."]


def test_a_p99_above_its_threshold_is_told_with_both_figures() -> None:
    found = results(*[report(relay=0.25)] * 3)
    (sentence,) = missed(plan(max_p99=200), found)
    assert sentence == "The p99 of relay is 250.0 ms; --max-p99 allows 200 ms."
    assert missed(plan(max_p99=251), found) == []


def test_a_busy_and_late_generator_says_that_it_was_the_limit() -> None:
    (sentence,) = own_limits(plan(), results(*[report(lag=0.2, cores=0.99)] * 5))
    assert sentence.startswith("The load generator was the limit, not the server")
    assert "99 % of a core" in sentence.replace("99%", "99 %")
    assert "--processes" in sentence


def test_a_late_generator_with_little_cpu_says_that_the_machine_was_the_limit() -> None:
    (sentence,) = own_limits(plan(), results(*[report(lag=0.2, cores=0.2)] * 5))
    assert sentence.startswith("This machine was the limit, not the server")


def test_a_busy_generator_that_is_on_time_was_not_the_limit() -> None:
    found = results(*[report(cores=0.99)] * 5)
    assert own_limits(plan(calls_per_second=10), found) == []


def test_calls_without_users_are_told() -> None:
    told = report()
    told.tally.call_left_out()
    (sentence,) = own_limits(plan(calls_per_second=10), results(told))
    assert "1 calls were not started" in sentence


def test_a_rate_that_was_not_reached_is_told() -> None:
    (sentence,) = own_limits(plan(calls_per_second=20), results(*[report()] * 5))
    assert sentence.startswith("The load generator started 50 calls, although 100 were due")


def test_a_point_is_complete_when_each_process_has_reported() -> None:
    gathered = Results(2, began=0.0)
    gathered.hear(0, report())
    first = gathered.complete
    gathered.hear(1, report())
    assert (first, gathered.complete) == (False, True)
    point = gathered.point(1.0, None)
    assert (point.started, point.calls_per_second) == (20, 20.0)


def test_the_cpu_of_the_server_is_that_of_the_interval() -> None:
    gathered = Results(1, began=0.0)
    gathered.begin(10.0, Usage(5.0, 1000.0))
    gathered.hear(0, report())
    point = gathered.point(12.0, Usage(6.0, 2000.0))
    assert (point.server_cores, point.server_bytes) == (0.5, 2000.0)
    # It has restarted.
    assert gathered.point(14.0, Usage(0.1, 1000.0)).server_cores is None
    assert gathered.point(16.0, Usage(2.1, 1000.0)).server_cores == 1.0
    assert gathered.server_cpu == 3.0
