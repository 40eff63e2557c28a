"""The numbers of frames in both directions, and the frames kept for a resume."""

from collections import deque

from dyad_server.core.session import Arrival, Session
from hypothesis import given
from hypothesis import strategies as st


def session(
    *, bound_bytes: int = 10, bound_frames: int = 3, resumable: bool = False
) -> Session[str]:
    made: Session[str] = Session(bound_bytes, bound_frames, len)
    made.resumable = resumable
    return made


def owes_acknowledgement(here: Session[str]) -> bool:
    """This is a function because mypy assumes that an attribute keeps its value."""
    return here.ack_due


def taken(of: Session[str]) -> list[tuple[int, str]]:
    return [(numbered.seq, numbered.what) for numbered in of.take()]


def test_a_number_is_received_once_and_in_order() -> None:
    here = session()
    arrivals = [here.arrive(seq) for seq in (1, 1, 3, 2, 0, 3, 2)]
    assert arrivals == [
        Arrival.NEW,
        Arrival.DUPLICATE,
        Arrival.GAP,
        Arrival.NEW,
        Arrival.NEW,
        Arrival.NEW,
        Arrival.DUPLICATE,
    ]
    assert here.received == 3


def test_waiting_outputs_are_taken_together_once_and_in_order() -> None:
    here = session()
    assert all(here.put(what) for what in "abc")
    assert taken(here) == [(1, "a"), (2, "b"), (3, "c")]
    assert taken(here) == []


def test_too_many_waiting_outputs_are_reported_at_once() -> None:
    here = session()
    assert here.put("a" * 10)
    assert not here.put("b")
    here.take()
    assert here.put("c" * 10)


def test_unacknowledged_outputs_count_as_waiting_in_a_resumable_session() -> None:
    here = session(resumable=True)
    assert here.put("a" * 6)
    here.take()
    assert not here.put("b" * 6)
    assert here.acknowledged(1)
    assert here.kept_bytes == 6
    many = session(resumable=True)
    assert all(many.put(what) for what in "abcd")
    assert not many.put("e", away=True)


def test_a_rewind_repeats_exactly_the_missing_outputs() -> None:
    here = session(resumable=True)
    for what in "abc":
        here.put(what)
    here.take()
    here.put("d")
    assert here.rewind(2)
    here.put_first("welcome")
    assert taken(here) == [(0, "welcome"), (3, "c"), (4, "d")]


def test_an_ack_of_a_frame_that_was_never_sent_is_refused() -> None:
    here = session(resumable=True)
    here.put("a")
    assert not here.acknowledged(1)
    assert not here.rewind(1)
    here.take()
    assert not here.acknowledged(2)
    assert here.acknowledged(1)


def test_an_acknowledged_output_cannot_be_repeated() -> None:
    here = session(resumable=True)
    for what in "ab":
        here.put(what)
    here.take()
    assert here.acknowledged(2)
    assert not here.rewind(1)


def test_an_acknowledgement_is_due_after_32_frames_or_32_kib() -> None:
    here = session(resumable=True)
    for seq in range(1, 32):
        here.arrive(seq, 10)
    assert not owes_acknowledgement(here)
    here.arrive(32, 10)
    assert owes_acknowledgement(here)
    assert here.ack() == 32
    assert not owes_acknowledgement(here)
    here.arrive(33, 32 * 1024)
    assert owes_acknowledgement(here)
    assert not owes_acknowledgement(session())


@given(st.lists(st.sampled_from(["put", "write", "arrive", "ack", "cut"]), max_size=80))
def test_any_schedule_of_disconnects_delivers_each_frame_once_and_in_order(
    steps: list[str],
) -> None:
    here = session(bound_bytes=10_000, bound_frames=10_000, resumable=True)
    made = 0
    under_way: deque[int] = deque()
    got: list[int] = []
    for step in [*steps, "cut", "write", *["arrive"] * 200]:
        match step:
            case "put":
                made += 1
                here.put(str(made))
            case "write":
                under_way.extend(numbered.seq for numbered in here.take())
            case "arrive" if under_way:
                seq = under_way.popleft()
                assert seq == len(got) + 1, "a gap or a repeat on one stream"
                got.append(seq)
            case "ack":
                assert here.acknowledged(len(got))
            case "cut":
                under_way.clear()
                assert here.rewind(len(got))
    assert got == list(range(1, made + 1))


def test_a_session_knows_whether_outputs_wait() -> None:
    here = session()

    def waits() -> bool:
        return here.waiting

    assert not waits()
    here.put("one")
    assert waits()
    assert waits()
    assert taken(here) == [(1, "one")]
    assert not waits()
    here.put_first("seat")
    assert waits()
    here.take()
    assert not waits()


def test_outputs_to_be_repeated_count_as_waiting() -> None:
    here = session(resumable=True)
    here.put("one")
    here.take()
    assert here.rewind(0)
    assert here.waiting
