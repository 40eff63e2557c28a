"""Buckets, quotas and the throttle, with a fake clock."""

from dyad_server.core.limits import Bucket, Quota, Throttle


def test_a_bucket_gives_its_burst_and_then_its_rate() -> None:
    bucket = Bucket(rate=10, burst=50, now=0)
    assert all(bucket.take(1, 0) for _ in range(50))
    assert not bucket.take(1, 0)
    assert not bucket.take(1, 0.09)
    assert bucket.take(1, 0.11)
    assert not bucket.take(1, 0.11)


def test_a_bucket_never_has_more_than_its_burst() -> None:
    bucket = Bucket(rate=10, burst=5, now=0)
    assert not bucket.take(6, 1000)
    assert bucket.take(5, 1000)


def test_a_refused_amount_is_not_taken() -> None:
    bucket = Bucket(rate=0.001, burst=5, now=0)
    assert not bucket.take(6, 0)
    assert bucket.take(5, 0)


def test_a_quota_counts_each_key_separately() -> None:
    quota = Quota(2)
    quota.take("alice")
    quota.take("alice")
    assert quota.full("alice")
    assert not quota.full("bob")
    quota.give_back("alice")
    assert not quota.full("alice")


def test_a_throttle_has_a_bucket_for_each_key() -> None:
    throttle = Throttle(rate=1, burst=3, most=10)
    assert throttle.take("here", 3, 0)
    assert not throttle.take("here", 1, 0.5)
    assert throttle.take("elsewhere", 1, 0.5)
    assert throttle.take("here", 1, 1.5)


def test_a_throttle_forgets_a_key_whose_bucket_is_full_again() -> None:
    throttle = Throttle(rate=1, burst=3, most=100)
    for n in range(50):
        throttle.take(f"user {n}", 3, 0)
    assert len(throttle) == 50
    for n in range(25):
        throttle.take(f"later {n}", 3, 3)
    assert len(throttle) == 25


def test_a_throttle_remembers_a_bounded_number_of_keys_and_keeps_active_ones() -> None:
    throttle = Throttle(rate=0.001, burst=1, most=100)
    throttle.take("silent", 1, 0)
    for n in range(10_000):
        allowed = throttle.take("active", 1, 0)
        assert allowed == (n == 0)
        throttle.take(f"user {n}", 1, 0)
    assert len(throttle) == 100
    assert throttle.take("silent", 1, 0)
