"""The table of docs/protocol.md: which end leads to what, and when."""

import grpc
import pytest
from dyad.comeback import Comeback, How, Try
from dyad.errors import Ended, ended
from hypothesis import given
from hypothesis import strategies as st

CODE = grpc.StatusCode
CUT = ended(CODE.UNAVAILABLE, "cut")
REFUSED = ended(CODE.ABORTED, "refused")
DENIED = ended(CODE.UNAUTHENTICATED, "denied")


def comeback(*, new_tokens: bool = True, chance: float = 1.0) -> Comeback:
    return Comeback(60, new_tokens=new_tokens, chance=lambda: chance)


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
def test_these_ends_lead_back(code: grpc.StatusCode) -> None:
    assert comeback().lost(ended(code, ""), progress=0, now=0) == Try(How.RESUME, 0.1)


@pytest.mark.parametrize(
    "code", [CODE.PERMISSION_DENIED, CODE.ABORTED, CODE.OK, CODE.UNIMPLEMENTED]
)
def test_these_ends_are_final(code: grpc.StatusCode) -> None:
    end = ended(code, "")
    with pytest.raises(Ended) as final:
        comeback().lost(end, progress=0, now=0)
    assert final.value is end


@pytest.mark.parametrize("code", [CODE.ABORTED, CODE.UNAVAILABLE, CODE.UNAUTHENTICATED])
def test_an_end_that_the_server_calls_final_is(code: grpc.StatusCode) -> None:
    ours, end = comeback(), ended(code, "", "-1")
    with pytest.raises(Ended) as final:
        ours.lost(end, progress=0, now=0)
    assert final.value is end
    ours.lost(CUT, progress=0, now=0)
    for how in How:
        with pytest.raises(Ended) as final:
            ours.failed(how, end, leaving=False, now=1)
        assert final.value is end
        assert ours.failed(how, end, leaving=True, now=1) is None


def test_one_refused_its_seat_joins_again() -> None:
    ours = comeback()
    ours.lost(CUT, progress=0, now=0)
    assert ours.failed(How.RESUME, REFUSED, leaving=False, now=1) == Try(How.REJOIN, 0.25)


@pytest.mark.parametrize("code", [CODE.RESOURCE_EXHAUSTED, CODE.DEADLINE_EXCEEDED])
def test_one_ended_for_a_limit_and_refused_its_seat_learns_of_the_limit(
    code: grpc.StatusCode,
) -> None:
    ours, limit = comeback(), ended(code, "")
    ours.lost(limit, progress=0, now=0)
    ours.failed(How.RESUME, CUT, leaving=False, now=1)
    with pytest.raises(Ended) as final:
        ours.failed(How.RESUME, REFUSED, leaving=False, now=2)
    assert final.value is limit


def test_aborted_is_final_where_it_answers_a_plain_join() -> None:
    ours = comeback()
    ours.lost(CUT, progress=0, now=0)
    ours.failed(How.RESUME, REFUSED, leaving=False, now=1)
    with pytest.raises(Ended):
        ours.failed(How.REJOIN, REFUSED, leaving=False, now=2)


def test_a_try_that_meets_no_server_is_made_again_the_same_way() -> None:
    ours = comeback()
    ours.lost(CUT, progress=0, now=0)
    for how in How:
        again = ours.failed(how, CUT, leaving=False, now=1)
        assert again is not None
        assert again.how is how


def test_a_new_token_is_tried_once() -> None:
    ours = comeback()
    ours.lost(DENIED, progress=0, now=0)
    with pytest.raises(Ended):
        ours.failed(How.RESUME, DENIED, leaving=False, now=1)


def test_a_token_denied_much_later_is_tried_once_again() -> None:
    ours = comeback()
    for now in (0, 100):
        ours.lost(DENIED, progress=0, now=now)
        ours.succeeded(now=now)


def test_without_another_token_a_denial_is_final() -> None:
    with pytest.raises(Ended):
        comeback(new_tokens=False).lost(DENIED, progress=0, now=0)


@pytest.mark.parametrize(("how", "end"), [(How.RESUME, REFUSED), (How.REJOIN, CUT)])
def test_one_about_to_leave_has_left_once_its_seat_is_not_held(how: How, end: Ended) -> None:
    ours = comeback()
    ours.lost(CUT, progress=0, now=0)
    assert ours.failed(how, end, leaving=True, now=1) is None


def test_one_about_to_leave_comes_back_to_say_so() -> None:
    ours = comeback()
    ours.lost(CUT, progress=0, now=0)
    assert ours.failed(How.RESUME, CUT, leaving=True, now=1) == Try(How.RESUME, 0.25)


def test_the_waits_grow() -> None:
    ours = comeback()
    first = ours.lost(CUT, progress=0, now=0)
    others = [ours.failed(How.RESUME, CUT, leaving=False, now=0) for _ in range(7)]
    assert [again.wait for again in (first, *others) if again] == [0.1, 0.25, 0.5, 1, 2, 4, 4, 4]


@pytest.mark.parametrize(("chance", "wait"), [(0, 2), (1, 3)])
def test_the_server_is_not_asked_before_it_said(chance: float, wait: float) -> None:
    end = ended(CODE.UNAVAILABLE, "", "2000")
    assert comeback(chance=chance).lost(end, progress=0, now=0).wait == wait


def test_it_gives_up_with_the_last_end() -> None:
    ours, last = comeback(), ended(CODE.UNAVAILABLE, "last")
    ours.lost(CUT, progress=0, now=10)
    ours.failed(How.RESUME, CUT, leaving=False, now=69)
    with pytest.raises(Ended) as final:
        ours.failed(How.RESUME, last, leaving=False, now=70)
    assert final.value is last


def test_coming_back_over_and_over_without_getting_on_is_giving_up_in_the_end() -> None:
    ours, now = comeback(), 0.0
    while now < 120:
        try:
            now += ours.lost(CUT, progress=7, now=now).wait
        except Ended:
            break
        ours.succeeded(now=now)
        now += 1
    assert 50 < now < 70


@pytest.mark.parametrize(("progress", "held"), [(8, 0.1), (7, 5)])
def test_one_that_got_on_begins_anew(progress: int, held: float) -> None:
    ours = comeback()
    ours.lost(CUT, progress=7, now=0)
    ours.failed(How.RESUME, CUT, leaving=False, now=50)
    ours.succeeded(now=51)
    assert ours.lost(CUT, progress=progress, now=51 + held).wait == 0.1
    assert ours.deadline == 51 + held + 60


@given(
    st.lists(st.tuples(st.sampled_from(list(CODE)), st.floats(0, 10), st.booleans()), max_size=50)
)
def test_whatever_happens_no_try_is_put_past_the_deadline(
    happenings: list[tuple[grpc.StatusCode, float, bool]],
) -> None:
    ours, now = comeback(), 0.0
    try:
        again = ours.lost(CUT, progress=0, now=0)
        for code, seconds, leaving in happenings:
            assert now + again.wait <= ours.deadline
            now += again.wait + seconds
            following = ours.failed(again.how, ended(code, ""), leaving=leaving, now=now)
            if following is None:
                return
            again = following
    except Ended:
        pass
