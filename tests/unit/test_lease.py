"""The lease: a node believes itself there only while all others do."""

from dyad_server.engines.redis.lease import LEASE_SECONDS, Lease

ASKED, ANSWERED = 100.0, 100.4
SETTLE = 3.0


def leased(*, age: float = 60.0) -> Lease:
    lease = Lease(SETTLE)
    lease.renewed(ASKED, ANSWERED, "first", age, gone=True)
    return lease


def test_a_node_that_never_had_one_holds_nothing_and_it_cannot_run_out() -> None:
    lease = Lease(SETTLE)
    assert not lease.holds(ASKED)
    assert not lease.ran_out(ASKED)
    assert not lease.fenced


def test_it_ends_for_the_node_before_it_can_have_ended_for_anybody_else() -> None:
    lease = leased()
    # Redis counts from when it was asked, which is later than ASKED.
    over = ASKED + LEASE_SECONDS
    assert lease.holds(ANSWERED)
    assert not lease.holds(over - 0.4)


def test_that_it_ran_out_is_said_once_and_a_renewal_alone_does_not_make_it_good() -> None:
    lease = leased()
    late = ASKED + LEASE_SECONDS
    assert lease.ran_out(late)
    assert not lease.ran_out(late)
    lease.renewed(late, late + 0.1, "first", 66.0, gone=True)
    assert not lease.holds(late + 0.1), "others may sit there by now"
    lease.regain(late + 0.2)
    assert lease.holds(late + 0.2)


def test_who_asserts_too_late_regains_nothing() -> None:
    lease = leased()
    late = ASKED + LEASE_SECONDS
    assert lease.ran_out(late)
    lease.regain(late)
    assert lease.fenced
    assert not lease.holds(late)


def test_a_lease_that_redis_lost_unnoticed_has_lapsed_until_it_is_regained() -> None:
    lease = leased()
    assert not lease.lapsed, "the first one cannot have been lost"
    lease.renewed(ASKED + 2, ANSWERED + 2, "first", 62.0, gone=True)
    assert lease.lapsed
    lease.renewed(ASKED + 4, ANSWERED + 4, "first", 64.0, gone=False)
    assert lease.lapsed, "nobody has asserted who sits here yet"
    lease.regain(ANSWERED + 4)
    assert not lease.lapsed


def test_a_generation_settles_by_its_age_and_a_new_one_settles_anew() -> None:
    lease = leased(age=1.0)
    assert lease.unsettled_for(ANSWERED) == SETTLE - 1.0
    assert lease.unsettled_for(ANSWERED + SETTLE) == 0
    lease.renewed(ASKED + 10, ANSWERED + 10, "second", 0.0, gone=False)
    assert lease.unsettled_for(ANSWERED + 10) == SETTLE


def test_a_clock_of_redis_that_is_behind_does_not_make_it_settle_later() -> None:
    assert leased(age=-3600.0).unsettled_for(ANSWERED) == SETTLE
