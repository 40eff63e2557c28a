"""One timer for many waits: each ends in time, and none affects another."""

import pytest
from dyad_server.grpc_api.time_limit import TimeLimit

from tests.support.fake_clock import FakeClock

SECONDS = 5.0


class Waiter:
    def __init__(self) -> None:
        self.told = 0

    def out_of_time(self) -> None:
        self.told += 1


def test_a_wait_that_reaches_the_limit_is_told_once() -> None:
    clock, waiter = FakeClock(), Waiter()
    limit = TimeLimit(SECONDS, clock)
    limit.begin(waiter)
    clock.advance(SECONDS - 0.1)
    assert waiter.told == 0
    clock.advance(0.2)
    assert (waiter.told, len(limit)) == (1, 0)
    clock.advance(3 * SECONDS)
    assert waiter.told == 1


def test_each_of_many_waits_has_the_full_time() -> None:
    clock, first, second = FakeClock(), Waiter(), Waiter()
    limit = TimeLimit(SECONDS, clock)
    limit.begin(first)
    clock.advance(SECONDS / 2)
    limit.begin(second)
    clock.advance(SECONDS / 2)
    assert (first.told, second.told) == (1, 0)
    clock.advance(SECONDS / 2)
    assert second.told == 1


def test_a_wait_that_ends_in_time_is_not_told() -> None:
    clock, waiter, other = FakeClock(), Waiter(), Waiter()
    limit = TimeLimit(SECONDS, clock)
    limit.begin(waiter)
    limit.begin(other)
    limit.end(waiter)
    clock.advance(2 * SECONDS)
    assert (waiter.told, other.told) == (0, 1)


def test_one_that_waits_again_has_the_full_time_again() -> None:
    clock, waiter = FakeClock(), Waiter()
    limit = TimeLimit(SECONDS, clock)
    limit.begin(waiter)
    clock.advance(SECONDS - 1)
    limit.end(waiter)
    limit.begin(waiter)
    clock.advance(2)
    assert waiter.told == 0
    clock.advance(SECONDS)
    assert waiter.told == 1


def test_a_waiter_that_fails_does_not_end_the_limit_of_others() -> None:
    class Broken:
        def out_of_time(self) -> None:
            raise RuntimeError

    clock, waiter = FakeClock(), Waiter()
    limit = TimeLimit(SECONDS, clock)
    limit.begin(Broken())
    limit.begin(waiter)
    with pytest.raises(RuntimeError):
        clock.advance(SECONDS)
    clock.advance(0)
    assert waiter.told == 1


def test_a_wait_that_begins_at_the_end_of_another_delays_no_other() -> None:
    clock, waiter = FakeClock(), Waiter()
    limit = TimeLimit(SECONDS, clock)

    class Again:
        def out_of_time(self) -> None:
            limit.begin(self)

    limit.begin(Again())
    clock.advance(1)
    limit.begin(waiter)
    clock.advance(SECONDS)
    assert waiter.told == 1
