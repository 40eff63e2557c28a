"""The table in docs/protocol.md: after which end the client reconnects, how, and when."""

import grpc
import pytest
from dyad.errors import Ended, ended
from dyad.reconnect import How, ReconnectPolicy, Try
from hypothesis import given
from hypothesis import strategies as st

CODE = grpc.StatusCode
CUT = ended(CODE.UNAVAILABLE, "cut")
REFUSED = ended(CODE.ABORTED, "refused")
DENIED = ended(CODE.UNAUTHENTICATED, "denied")


def policy(*, new_tokens: bool = True, chance: float = 1.0) -> ReconnectPolicy:
    return ReconnectPolicy(60, new_tokens=new_tokens, chance=lambda: chance)


@pytest.mark.parametrize(
    "code",
    [
        CODE.UNAVAILABLE,
        CODE.UNKNOWN,
        CODE.INTERNAL,
        CODE.CANCELLED,
        CODE.RESOURCE_EXHAUSTED,
        CODE.DEADLINE_EXCEEDED,
        CODE.UNAUTHENTICATED,
    ],
)
def test_the_client_reconnects_after_these_ends(code: grpc.StatusCode) -> None:
    assert policy().broke(ended(code, ""), progress=0, now=0) == Try(How.RESUME, 0.1)


@pytest.mark.parametrize(
    "code", [CODE.PERMISSION_DENIED, CODE.ABORTED, CODE.OK, CODE.UNIMPLEMENTED]
)
def test_these_statuses_are_final(code: grpc.StatusCode) -> None:
    end = ended(code, "")
    with pytest.raises(Ended) as final:
        policy().broke(end, progress=0, now=0)
    assert final.value is end


@pytest.mark.parametrize("code", [CODE.ABORTED, CODE.UNAVAILABLE, CODE.UNAUTHENTICATED])
def test_an_end_that_the_server_calls_final_is_final(code: grpc.StatusCode) -> None:
    ours, end = policy(), ended(code, "", "-1")
    with pytest.raises(Ended) as final:
        ours.broke(end, progress=0, now=0)
    assert final.value is end
    ours.broke(CUT, progress=0, now=0)
    for how in How:
        with pytest.raises(Ended) as final:
            ours.failed(how, end, leaving=False, now=1)
        assert final.value is end
        assert ours.failed(how, end, leaving=True, now=1) is None


def test_a_client_whose_resume_is_refused_joins_again() -> None:
    ours = policy()
    ours.broke(CUT, progress=0, now=0)
    assert ours.failed(How.RESUME, REFUSED, leaving=False, now=1) == Try(How.REJOIN, 0.25)


@pytest.mark.parametrize("code", [CODE.RESOURCE_EXHAUSTED, CODE.DEADLINE_EXCEEDED])
def test_a_refused_resume_after_a_limit_raises_the_limit(
    code: grpc.StatusCode,
) -> None:
    ours, limit = policy(), ended(code, "")
    ours.broke(limit, progress=0, now=0)
    ours.failed(How.RESUME, CUT, leaving=False, now=1)
    with pytest.raises(Ended) as final:
        ours.failed(How.RESUME, REFUSED, leaving=False, now=2)
    assert final.value is limit


def test_aborted_is_final_as_the_answer_to_a_plain_join() -> None:
    ours = policy()
    ours.broke(CUT, progress=0, now=0)
    ours.failed(How.RESUME, REFUSED, leaving=False, now=1)
    with pytest.raises(Ended):
        ours.failed(How.REJOIN, REFUSED, leaving=False, now=2)


def test_a_try_that_reaches_no_server_is_repeated_in_the_same_way() -> None:
    ours = policy()
    ours.broke(CUT, progress=0, now=0)
    for how in How:
        again = ours.failed(how, CUT, leaving=False, now=1)
        assert again is not None
        assert again.how is how


def test_a_new_token_is_tried_once() -> None:
    ours = policy()
    ours.broke(DENIED, progress=0, now=0)
    with pytest.raises(Ended):
        ours.failed(How.RESUME, DENIED, leaving=False, now=1)


def test_a_token_denied_much_later_is_replaced_once_more() -> None:
    ours = policy()
    for now in (0, 100):
        ours.broke(DENIED, progress=0, now=now)
        ours.connected(now=now)


def test_a_denial_is_final_if_the_app_gives_no_other_token() -> None:
    with pytest.raises(Ended):
        policy(new_tokens=False).broke(DENIED, progress=0, now=0)


@pytest.mark.parametrize(("how", "end"), [(How.RESUME, REFUSED), (How.REJOIN, CUT)])
def test_a_leaving_client_has_left_once_its_seat_is_released(how: How, end: Ended) -> None:
    ours = policy()
    ours.broke(CUT, progress=0, now=0)
    assert ours.failed(how, end, leaving=True, now=1) is None


def test_a_leaving_client_reconnects_to_deliver_its_hang_up() -> None:
    ours = policy()
    ours.broke(CUT, progress=0, now=0)
    assert ours.failed(How.RESUME, CUT, leaving=True, now=1) == Try(How.RESUME, 0.25)


def test_the_waits_grow() -> None:
    ours = policy()
    first = ours.broke(CUT, progress=0, now=0)
    others = [ours.failed(How.RESUME, CUT, leaving=False, now=0) for _ in range(7)]
    assert [again.wait for again in (first, *others) if again] == [0.1, 0.25, 0.5, 1, 2, 4, 4, 4]


@pytest.mark.parametrize(("chance", "wait"), [(0, 2), (1, 3)])
def test_a_wait_is_at_least_what_the_server_asks_for(chance: float, wait: float) -> None:
    end = ended(CODE.UNAVAILABLE, "", "2000")
    assert policy(chance=chance).broke(end, progress=0, now=0).wait == wait


def test_a_client_gives_up_with_the_last_error() -> None:
    ours, last = policy(), ended(CODE.UNAVAILABLE, "last")
    ours.broke(CUT, progress=0, now=10)
    ours.failed(How.RESUME, CUT, leaving=False, now=69)
    with pytest.raises(Ended) as final:
        ours.failed(How.RESUME, last, leaving=False, now=70)
    assert final.value is last


def test_reconnecting_again_and_again_without_progress_ends_in_giving_up() -> None:
    ours, now = policy(), 0.0
    while now < 120:
        try:
            now += ours.broke(CUT, progress=7, now=now).wait
        except Ended:
            break
        ours.connected(now=now)
        now += 1
    assert 50 < now < 70


@pytest.mark.parametrize(("progress", "lasted"), [(8, 0.1), (7, 5)])
def test_waits_and_deadline_start_over_after_progress_or_5_s(progress: int, lasted: float) -> None:
    ours = policy()
    ours.broke(CUT, progress=7, now=0)
    ours.failed(How.RESUME, CUT, leaving=False, now=50)
    ours.connected(now=51)
    assert ours.broke(CUT, progress=progress, now=51 + lasted).wait == 0.1
    assert ours.deadline == 51 + lasted + 60


@given(
    st.lists(st.tuples(st.sampled_from(list(CODE)), st.floats(0, 10), st.booleans()), max_size=50)
)
def test_no_try_starts_after_the_deadline(
    ends: list[tuple[grpc.StatusCode, float, bool]],
) -> None:
    ours, now = policy(), 0.0
    try:
        again = ours.broke(CUT, progress=0, now=0)
        for code, seconds, leaving in ends:
            assert now + again.wait <= ours.deadline
            now += again.wait + seconds
            following = ours.failed(again.how, ended(code, ""), leaving=leaving, now=now)
            if following is None:
                return
            again = following
    except Ended:
        pass
