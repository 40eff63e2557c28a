"""Bounds of `engines.redis` that depend on each other."""

from dyad import link
from dyad_server.config import Config
from dyad_server.engines.redis import bounds

CONFIG = Config(jwt_secret="s" * 32)


def test_a_node_keeps_its_lease_when_two_renewals_fail() -> None:
    own = bounds.LEASE_SECONDS - bounds.LEASE_MARGIN_SECONDS
    assert own > 2 * (bounds.RENEW_SECONDS + bounds.ROUND_TRIP_SECONDS)


def test_a_healthy_node_renews_a_missing_lease_before_others_consider_it_gone() -> None:
    assert bounds.MISSING_MS / 1000 > bounds.RENEW_SECONDS


def test_all_nodes_have_renewed_their_lease_when_a_generation_has_settled() -> None:
    assert bounds.RENEW_SECONDS + bounds.ROUND_TRIP_SECONDS < bounds.SETTLE_SECONDS


def test_a_stuck_connection_is_noticed_before_the_lease_runs_out() -> None:
    round_trip = bounds.PROBE_SECONDS + bounds.READ_BLOCK_MS / 1000 + bounds.ROUND_TRIP_SECONDS
    assert round_trip < bounds.PROBE_LATE_SECONDS < bounds.LEASE_SECONDS


def test_a_script_has_time_for_one_retry() -> None:
    assert bounds.ROUND_TRIP_SECONDS + bounds.RETRY_SECONDS < bounds.SCRIPT_SECONDS
    assert bounds.ANSWER_SECONDS < bounds.ENTER_SECONDS < bounds.SCRIPT_SECONDS


def test_a_question_is_asked_twice_before_the_node_gives_up() -> None:
    for seconds in (bounds.CLAIM_ANSWER_SECONDS, bounds.SEND_SECONDS):
        assert seconds >= 2 * bounds.ASK_AGAIN_SECONDS


def test_a_claim_outlasts_a_lease_and_ends_before_its_client_gives_up() -> None:
    assert bounds.LEASE_SECONDS < bounds.CLAIM_SECONDS < link._TRY_SECONDS  # noqa: SLF001 - the client exports no constant
    assert CONFIG.max_streams_per_user <= bounds.CLAIMS_PER_USER


def test_a_silent_peer_is_reported_within_10_s_and_not_before_its_lease_may_have_ended() -> None:
    assert bounds.LEASE_SECONDS < bounds.SILENT_SECONDS
    # The next resend notices the silence, and then Redis is asked where the peer is.
    assert bounds.SILENT_SECONDS + bounds.RESEND_SECONDS + bounds.SCRIPT_SECONDS <= 10


def test_last_messages_outlast_a_reserved_seat_and_are_not_received_twice() -> None:
    assert CONFIG.resume_grace < bounds.LAST_MESSAGES_SECONDS < bounds.REMEMBER_SECONDS
    assert bounds.REMEMBER_SECONDS < bounds.MOVED_SECONDS


def test_a_resent_message_may_announce_the_leave_of_an_absent_peer() -> None:
    assert 2 * bounds.RESEND_SECONDS < bounds.ABSENT_SECONDS < bounds.SILENT_SECONDS


def test_a_room_is_renewed_many_times_before_it_expires() -> None:
    assert 10 * bounds.KEEP_LOOKS * bounds.WATCH_SECONDS * 1000 < bounds.ROOM_MS


def test_keys_live_longer_than_the_keys_that_depend_on_them() -> None:
    assert bounds.LEASE_MS < bounds.INBOX_MS < bounds.ROOM_MS < bounds.MISSING_LIFE_MS
    assert bounds.MISSING_LIFE_MS < bounds.SEAL_MS < bounds.GENERATION_MS


def test_a_heeded_seal_outlasts_the_enters_of_two_nodes() -> None:
    assert bounds.HEED_MS / 1000 > 2 * bounds.ENTER_SECONDS
    # A Redis that has lost its seals gives no seats for as long.
    assert bounds.SETTLE_SECONDS >= 2 * bounds.ENTER_SECONDS


def test_an_acknowledgement_that_waits_for_company_comes_long_before_a_message_is_resent() -> None:
    assert 10 * (bounds.ACK_SECONDS + 2 * bounds.POST_SECONDS) < bounds.RESEND_SECONDS
