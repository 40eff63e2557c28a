"""Buckets, quotas and the throttle, with a clock handed in."""

from dyad_server.limits import Bucket, Quota, Throttle


def test_a_bucket_gives_its_burst_and_then_its_rate() -> None:
    bucket = Bucket(rate=10, burst=50, now=0)
    assert all(bucket.take(1, 0) for _ in range(50))
    assert not bucket.take(1, 0)
    assert not bucket.take(1, 0.09)
    assert bucket.take(1, 0.11)
    assert not bucket.take(1, 0.11)


def test_a_bucket_holds_no_more_than_its_burst() -> None:
    bucket = Bucket(rate=10, burst=5, now=0)
    assert not bucket.take(6, 1000)
    assert bucket.take(5, 1000)


def test_what_is_refused_costs_nothing() -> None:
    bucket = Bucket(rate=0.001, burst=5, now=0)
    assert not bucket.take(6, 0)
    assert bucket.take(5, 0)


def test_a_quota_counts_each_key_for_itself() -> None:
    quota = Quota(2)
    quota.take("alice")
    quota.take("alice")
    assert quota.full("alice")
    assert not quota.full("bob")
    quota.give_back("alice")
    assert not quota.full("alice")


def test_a_throttle_has_a_bucket_for_each_key() -> None:
    throttle = Throttle(rate=1, burst=3)
    assert throttle.take("here", 3, 0)
    assert not throttle.take("here", 1, 0.5)
    assert throttle.take("elsewhere", 1, 0.5)
    assert throttle.take("here", 1, 1.5)


def test_a_throttle_remembers_a_bounded_number_and_forgets_the_longest_silent() -> None:
    throttle = Throttle(rate=0.001, burst=1)
    for key in ("first", "second", "first", *(f"address {n}" for n in range(9_999))):
        throttle.take(key, 1, 0)
    assert not throttle.take("first", 1, 0)
    assert throttle.take("second", 1, 0)
