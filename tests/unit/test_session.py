from dyad_server.session import Arrival, Session


def test_a_number_is_taken_in_once_and_in_order() -> None:
    session: Session[str] = Session(10)
    arrivals = [session.arrive(seq) for seq in (1, 1, 3, 2, 0, 3, 2)]
    assert arrivals == [
        Arrival.NEW,
        Arrival.DUPLICATE,
        Arrival.GAP,
        Arrival.NEW,
        Arrival.NEW,
        Arrival.NEW,
        Arrival.DUPLICATE,
    ]
    assert session.taken_in == 3


def test_what_waits_comes_out_together_once_and_in_order() -> None:
    session: Session[str] = Session(10)
    assert [session.number() for _ in "abc"] == [1, 2, 3]
    assert all(session.put(frame, 1) for frame in "abc")
    assert session.take() == ["a", "b", "c"]
    assert session.take() == []


def test_more_than_may_wait_is_said_at_once() -> None:
    session: Session[str] = Session(10)
    assert session.put("a", 10)
    assert not session.put("b", 1)
    session.take()
    assert session.put("c", 10)
