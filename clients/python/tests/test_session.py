"""The client's session, without a server."""

import pytest
from dyad.errors import TakenOver
from dyad.limits import Limits, Pace
from dyad.session import ACK_BYTES, ACK_FRAMES, UNACKED_BYTES, UNACKED_FRAMES, Session
from dyad.v1 import signaling_pb2 as pb


def test_frames_are_numbered_and_go_out_together_once() -> None:
    session = Session()
    assert [session.put(_offer(text)) for text in "abc"] == [1, 2, 3]
    assert _said(session) == ["a", "b", "c"]
    assert session.take() is None


def test_a_message_stays_within_its_bound() -> None:
    session = Session()
    for text in ("a" * 100_000, "b" * 100_000, "c" * 300_000, "d"):
        session.put(_offer(text))
    assert [len(_said(session)) for _ in range(3)] == [2, 1, 1]


def test_a_number_is_received_once_and_a_gap_is_the_end() -> None:
    session = Session()
    arrivals = [session.arrive(pb.Frame(seq=seq)) for seq in (1, 2, 2, 0, 1, 3)]
    assert arrivals == [True, True, False, True, False, True]
    with pytest.raises(TakenOver):
        session.arrive(pb.Frame(seq=5))


def test_the_last_frame_of_a_message_acknowledges() -> None:
    session = Session()
    session.arrive(pb.Frame(seq=1))
    session.put(_offer("a"))
    session.put(_offer("b"))
    message = session.take()
    assert message is not None
    assert [frame.ack for frame in message.frames] == [0, 1]


def test_many_frames_are_acknowledged_without_a_frame_to_send() -> None:
    session = Session()
    for seq in range(1, ACK_FRAMES):
        session.arrive(pb.Frame(seq=seq))
    assert session.take() is None
    session.arrive(pb.Frame(seq=ACK_FRAMES))
    assert session.take() == pb.SignalRequest(frames=[pb.Frame(ack=ACK_FRAMES)])
    assert session.take() is None


def test_many_bytes_are_acknowledged_without_a_frame_to_send() -> None:
    session = Session()
    frame = _offer("x" * ACK_BYTES)
    frame.seq = 1
    session.arrive(frame)
    assert session.take() == pb.SignalRequest(frames=[pb.Frame(ack=1)])


def test_unacknowledged_frames_are_bounded() -> None:
    session = _seated()
    for number in range(UNACKED_FRAMES):
        session.put(_offer(str(number)))
    assert not _is_full(session)
    session.put(_offer("one more"))
    assert _is_full(session)
    assert len(_said(session)) == UNACKED_FRAMES
    assert session.take() is None
    session.arrive(pb.Frame(ack=2))
    assert not _is_full(session)
    assert _said(session) == ["one more"]


def test_unacknowledged_bytes_are_bounded() -> None:
    session = _seated()
    for _ in range(5):
        session.put(_offer("x" * (UNACKED_BYTES // 5)))
    assert _is_full(session)
    assert sum(len(_said(session)) for _ in range(2)) == 4
    assert session.take() is None
    session.arrive(pb.Frame(ack=2))
    assert not _is_full(session)
    assert len(_said(session)) == 1


def test_a_server_that_accepts_less_at_once_gets_less_at_once() -> None:
    session = Session(window_bytes=100_000, message_bytes=50_000, message_frames=3)
    session.put(pb.Frame(join_room=pb.JoinRoom(resumable=True)))
    session.take()
    session.arrive(_acknowledged("first"))
    for _ in range(6):
        session.put(_offer("x" * 20_000))
    for text in "abcd":
        session.put(_offer(text))
    assert [len(_said(session)) for _ in range(2)] == [2, 2]
    assert session.take() is None
    session.arrive(pb.Frame(ack=5))
    assert [len(_said(session)) for _ in range(2)] == [3, 3]


def test_no_frame_waits_for_an_acknowledgement_that_the_server_need_not_send() -> None:
    # 30 frames, which have 32,700 bytes as the server counts, and then one of the largest.
    pace = Pace(Limits(), 0)
    session = Session(window_frames=pace.window_frames, window_bytes=pace.window_bytes)
    session.put(pb.Frame(join_room=pb.JoinRoom(resumable=True)))
    session.take()
    session.arrive(_acknowledged("first"))
    for _ in range(30):
        session.put(_offer("x" * 1080))
    session.put(_offer("x" * 65_500))
    assert len(_said(session)) == 31


def test_a_frame_larger_than_the_bound_waits_for_no_acknowledgement_that_is_not_due() -> None:
    session = _seated()
    session.put(_offer("small"))
    session.put(_offer("x" * 300_000))
    assert [len(_said(session)) for _ in range(2)] == [1, 1]
    session.put(_offer("small"))
    assert session.take() is None


def test_a_resume_asks_for_the_seat_and_sends_nothing_else() -> None:
    session = _seated()
    session.put(_offer("a"))
    session.cut()
    assert session.take() == pb.SignalRequest(
        frames=[
            pb.Frame(
                room_id="r",
                ack=1,
                join_room=pb.JoinRoom(resumable=True, resume_token="first"),
            )
        ]
    )
    assert session.take() is None


def test_frames_the_server_lacks_are_sent_again_with_their_numbers_then_new_ones() -> None:
    session = _seated()
    for text in "abc":
        session.put(_offer(text))
    session.take()
    session.cut()
    session.put(_offer("d"))
    session.take()
    assert session.arrive(_resumed("second", ack=2))
    message = session.take()
    assert message is not None
    assert [(frame.seq, frame.offer.sdp) for frame in message.frames] == [
        (3, "b"),
        (4, "c"),
        (5, "d"),
    ]
    assert session.resume_token == "second"


def test_a_resumed_seat_is_acknowledged_at_once() -> None:
    session = _seated()
    session.cut()
    session.take()
    session.arrive(_resumed("second", ack=1))
    assert session.take() == pb.SignalRequest(frames=[pb.Frame(ack=1)])


def test_any_other_answer_resumes_nothing() -> None:
    session = _seated()
    session.cut()
    session.take()
    with pytest.raises(TakenOver):
        session.arrive(_acknowledged("third"))


def test_nothing_is_kept_if_the_server_reserves_no_seat() -> None:
    session = _seated(resume_token="")
    for number in range(UNACKED_FRAMES + 1):
        session.put(_offer(str(number)))
    assert _is_full(session)
    assert sum(len(_said(session)) for _ in range(2)) == UNACKED_FRAMES + 1
    assert not _is_full(session)


def test_leaving_forgets_the_resume_token() -> None:
    session = _seated()
    session.put(pb.Frame(room_id="r", leave_room=pb.LeaveRoom()))
    session.take()
    session.arrive(pb.Frame(room_id="r", seq=2, ack=2, reply_to=2, leave_room=pb.LeaveRoom()))
    assert (session.room_id, session.resume_token) == ("", "")


def _offer(sdp: str) -> pb.Frame:
    return pb.Frame(room_id="r", offer=pb.SessionDescription(sdp=sdp))


def _acknowledged(resume_token: str) -> pb.Frame:
    join_room = pb.JoinRoom(resume_token=resume_token)
    return pb.Frame(room_id="r", seq=1, ack=1, reply_to=1, join_room=join_room)


def _resumed(resume_token: str, ack: int) -> pb.Frame:
    join_room = pb.JoinRoom(resumed=True, resume_token=resume_token)
    return pb.Frame(room_id="r", ack=ack, join_room=join_room)


def _seated(resume_token: str = "first") -> Session:
    session = Session()
    session.put(pb.Frame(join_room=pb.JoinRoom(resumable=True)))
    session.take()
    session.arrive(_acknowledged(resume_token))
    return session


def _is_full(session: Session) -> bool:
    """A function, because mypy assumes that an attribute does not change."""
    return session.full


def _said(session: Session) -> list[str]:
    message = session.take()
    assert message is not None
    return [frame.offer.sdp for frame in message.frames]
