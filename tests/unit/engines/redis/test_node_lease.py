"""The lease of a node: the node trusts it only while all other nodes do."""

from dyad_server.engines.redis.bounds import LEASE_SECONDS
from dyad_server.engines.redis.node_lease import NodeLease
from dyad_server.engines.redis.script_answers import Renewal

ASKED, ANSWERED = 100.0, 100.4
SETTLE = 3.0


def leased(*, age: float = 60.0) -> NodeLease:
    lease = NodeLease(SETTLE)
    lease.renewed(ASKED, ANSWERED, Renewal("first", age, b"", 0.0))
    return lease


def has_lapsed(lease: NodeLease) -> bool:
    """This is a function because mypy assumes that an attribute keeps its value."""
    return lease.lapsed


def test_a_node_without_a_lease_cannot_lose_it() -> None:
    lease = NodeLease(SETTLE)
    assert not lease.holds(ASKED)
    assert not lease.ran_out(ASKED)
    assert not lease.fenced


def test_a_lease_ends_for_its_node_before_it_ends_for_others() -> None:
    lease = leased()
    # Redis counts from the moment it receives the request, which is later than ASKED.
    over = ASKED + LEASE_SECONDS
    assert lease.holds(ANSWERED)
    assert not lease.holds(over - 0.4)


def test_an_expired_lease_is_reported_once_and_a_renewal_does_not_restore_it() -> None:
    lease = leased()
    late = ASKED + LEASE_SECONDS
    assert lease.ran_out(late)
    assert not lease.ran_out(late)
    lease.renewed(late, late + 0.1, Renewal("first", 66.0, b"", 0.0))
    assert not lease.holds(late + 0.1), "other nodes may have given its seats away"
    lease.begin_term()
    assert not lease.holds(late + 0.1), "the node has not asserted its seats yet"
    lease.regain(late + 0.2)
    assert lease.holds(late + 0.2)


def test_a_late_assertion_does_not_regain_the_lease() -> None:
    lease = leased()
    late = ASKED + LEASE_SECONDS
    assert lease.ran_out(late)
    lease.regain(late)
    assert lease.fenced
    assert not lease.holds(late)


def test_a_lease_that_redis_lost_has_lapsed_until_a_new_term_begins() -> None:
    lease = leased()
    assert not has_lapsed(lease)
    lease.renewed(ASKED + 2, ANSWERED + 2, Renewal("first", 62.0, b"1", 0.0))
    assert has_lapsed(lease)
    lease.renewed(ASKED + 4, ANSWERED + 4, Renewal("first", 64.0, b"1", 0.0))
    assert has_lapsed(lease), "no new term has begun yet"
    lease.begin_term()
    lease.renewed(ASKED + 5, ANSWERED + 5, Renewal("first", 65.0, b"1", 0.0))
    assert not has_lapsed(lease), "the node knows it already"
    lease.renewed(ASKED + 6, ANSWERED + 6, Renewal("first", 66.0, b"", 0.0))
    assert not has_lapsed(lease), "Redis lost it, but other nodes did not consider this node gone"
    lease.renewed(ASKED + 7, ANSWERED + 7, Renewal("first", 67.0, b"2", 0.0))
    assert has_lapsed(lease)


def test_a_lease_that_lapses_during_an_assertion_is_not_regained_in_that_term() -> None:
    lease = leased()
    late = ASKED + LEASE_SECONDS
    assert lease.ran_out(late)
    lease.renewed(late, late + 0.1, Renewal("first", 66.0, b"", 0.0))
    lease.begin_term()
    lease.renewed(late + 3, late + 3.1, Renewal("first", 69.0, b"1", 0.0))
    lease.regain(late + 3.2)
    assert has_lapsed(lease)
    assert not lease.holds(late + 3.2)


def test_a_lease_that_expires_during_an_assertion_is_not_regained_in_that_term() -> None:
    lease = leased()
    late, later = ASKED + LEASE_SECONDS, ASKED + 2 * LEASE_SECONDS
    assert lease.ran_out(late)
    lease.renewed(late, late + 0.1, Renewal("first", 66.0, b"", 0.0))
    lease.begin_term()
    assert not lease.ran_out(later), "it is reported once"
    lease.renewed(later, later + 0.1, Renewal("first", 72.0, b"", 0.0))
    lease.regain(later + 0.2)
    assert not lease.holds(later + 0.2)
    lease.begin_term()
    lease.regain(later + 0.3)
    assert lease.holds(later + 0.3)


def test_a_generation_settles_with_age_and_a_new_one_starts_over() -> None:
    lease = leased(age=1.0)
    assert lease.unsettled_for(ANSWERED) == SETTLE - 1.0
    assert lease.unsettled_for(ANSWERED + SETTLE) == 0
    lease.renewed(ASKED + 10, ANSWERED + 10, Renewal("second", 0.0, b"", 0.0))
    assert lease.unsettled_for(ANSWERED + 10) == SETTLE


def test_a_slow_redis_clock_does_not_delay_settling() -> None:
    assert leased(age=-3600.0).unsettled_for(ANSWERED) == SETTLE
