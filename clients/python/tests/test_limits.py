"""The pace of the client, against the limits of the server."""

from collections import deque

import pytest
from dyad.limits import Limits, Pace
from dyad.session import UNACKED_FRAMES
from dyad_server.config import Config
from dyad_server.core.bounds import BURST_SECONDS
from dyad_server.core.limits import Bucket
from hypothesis import example, given
from hypothesis import strategies as st

SERVER = Config(jwt_secret="s" * 32)


def test_the_default_limits_are_those_of_the_server() -> None:
    assert Limits() == Limits(
        SERVER.max_frame_bytes, SERVER.max_frames_per_second, SERVER.max_bytes_per_second
    )


# All that may be unacknowledged arrives at once, and as much as possible follows.
@example([(90, 29_000, 0, 5)] * 5 + [(90, 29_000, 0, 0)] * 5)
@example([(90, 100, 0, 5)] * 5 + [(90, 100, 0, 0)] * 5)
@given(
    st.lists(
        st.tuples(st.integers(0, 90), st.integers(0, 29_000), st.floats(0, 20), st.floats(0, 60)),
        max_size=100,
    )
)
def test_the_server_accepts_what_keeps_the_pace_however_the_network_delays_it(
    messages: list[tuple[int, int, float, float]],
) -> None:
    pace, now, arrival = Pace(Limits(), 0), 0.0, 0.0
    frames_bucket, bytes_bucket = (
        Bucket(rate, rate * BURST_SECONDS, 0)
        for rate in (SERVER.max_frames_per_second, SERVER.max_bytes_per_second)
    )
    flying: deque[tuple[float, int, int]] = deque()
    for frames, size, pause, delay in messages:
        now += pause
        # The session waits while this much is not acknowledged, so not known to have arrived.
        while flying and (
            sum(size for _, _, size in flying) + size > pace.window_bytes
            or sum(frames for _, frames, _ in flying) + frames
            > min(pace.window_frames, UNACKED_FRAMES)
        ):
            now = max(now, flying.popleft()[0])
        now += pace.wait(frames, size, now)
        pace.spend(frames, size, now)
        # Messages arrive in order.
        arrival = max(arrival, now + delay)
        flying.append((arrival, max(frames, 1), size))
        assert frames_bucket.take(max(frames, 1), arrival)
        assert bytes_bucket.take(size, arrival)


def test_what_fits_the_burst_is_sent_at_once() -> None:
    pace = Pace(Limits(), 0)
    for _ in range(3):
        assert pace.wait(50, 16_384, 0) == 0
        pace.spend(50, 16_384, 0)
    assert pace.wait(90, 0, 0) == pytest.approx(1)
    assert pace.wait(0, 29_491, 0) == pytest.approx(1, abs=0.1)


def test_a_message_larger_than_the_burst_waits_until_everything_may_be_sent() -> None:
    pace = Pace(Limits(bytes_per_second=1000), 0)
    assert pace.wait(1, 60_000, 0) == 0
    pace.spend(1, 60_000, 0)
    assert pace.wait(1, 60_000, 0) == pytest.approx(60_000 / 900)


def test_a_frame_that_the_server_would_never_accept_is_too_large() -> None:
    assert Limits().largest_frame == 65_536
    assert Limits(bytes_per_second=1000).largest_frame == 4500


@pytest.mark.parametrize("name", ["frame_bytes", "frames_per_second", "bytes_per_second"])
def test_a_limit_of_nothing_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Limits(**{name: 0})


def test_an_empty_message_counts_as_a_frame() -> None:
    pace = Pace(Limits(), 0)
    for _ in range(150):
        pace.spend(0, 0, 0)
    assert pace.wait(1, 0, 0) > 0
