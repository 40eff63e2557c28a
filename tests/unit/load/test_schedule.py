"""When calls start."""

from itertools import pairwise

import pytest
from dyad_server.load.schedule import Schedule


def starts(schedule: Schedule, until: float = float("inf")) -> list[tuple[int, float]]:
    return list(schedule.due(until))


def test_calls_start_evenly_and_end_before_the_duration() -> None:
    times = [at for _, at in starts(Schedule(4.0, ramp=0, duration=2.0))]
    assert times == [0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75]


def test_in_the_ramp_the_rate_grows_evenly() -> None:
    times = [at for _, at in starts(Schedule(10.0, ramp=4.0, duration=6.0))]
    gaps = [later - earlier for earlier, later in pairwise(times)]
    # Half as many as without a ramp, and then all of them.
    assert sum(at < 4 for at in times) == 20
    assert sum(at >= 4 for at in times) == 20
    assert all(later < earlier + 1e-9 for earlier, later in pairwise(gaps))
    assert gaps[-1] == pytest.approx(0.1)


def test_what_was_missed_is_due_at_once_with_the_time_that_it_should_have_had() -> None:
    schedule = Schedule(10.0, ramp=0, duration=10.0)
    assert starts(schedule, 0.0) == [(0, 0.0)]
    assert starts(schedule, 0.05) == []
    assert [number for number, _ in starts(schedule, 0.5)] == [1, 2, 3, 4, 5]
    assert schedule.next_at == pytest.approx(0.6)


@pytest.mark.parametrize("ramp", [0.0, 3.0])
def test_processes_share_the_calls_of_one_schedule(ramp: float) -> None:
    whole = starts(Schedule(7.0, ramp=ramp, duration=10.0))
    shares = [
        starts(Schedule(7.0, ramp=ramp, duration=10.0, first=index, step=3)) for index in range(3)
    ]
    assert sorted(call for share in shares for call in share) == whole
    sizes = [len(share) for share in shares]
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("elapsed", [0.0, 1.0, 3.0, 5.5, 20.0])
def test_it_knows_how_many_are_due(elapsed: float) -> None:
    schedule = Schedule(10.0, ramp=3.0, duration=8.0)
    expected = schedule.started_by(elapsed)
    assert len(starts(schedule, elapsed)) == pytest.approx(expected, abs=1)


def test_after_the_last_call_nothing_is_due() -> None:
    schedule = Schedule(1.0, ramp=0, duration=1.0)
    starts(schedule)
    assert schedule.next_at is None
    assert starts(schedule) == []
