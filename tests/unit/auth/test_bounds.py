"""Bounds of `auth` that depend on each other."""

from dyad_server.auth import bounds
from dyad_server.config import Config


def test_the_times_of_a_fetch_increase_in_order() -> None:
    times = [
        bounds.KEYS_PATIENCE_SECONDS,
        bounds.KEYS_TIMEOUT_SECONDS,
        bounds.KEYS_RETRY_SECONDS,
        bounds.KEYS_RENEW_SECONDS,
        bounds.KEYS_KEPT_SECONDS,
    ]
    assert times == sorted(set(times))


def test_the_cache_has_room_for_the_token_of_every_participant() -> None:
    assert Config(jwt_secret="s" * 32).max_streams < bounds.CACHED_TOKENS
