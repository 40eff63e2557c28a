"""The scan of a message finds the same frames as the protobuf library."""

import pytest
from dyad.v1 import signaling_pb2 as pb
from dyad_server.grpc_api.field_scan import contents, fields
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

TEXTS = st.text(max_size=200)
FRAMES = st.lists(
    st.builds(
        pb.Frame,
        room_id=TEXTS,
        seq=st.integers(0, 2**64 - 1),
        offer=st.builds(pb.SessionDescription, sdp=TEXTS),
    ),
    max_size=20,
)


@given(TEXTS, FRAMES)
def test_each_frame_is_found_as_it_was_sent(session_id: str, frames: list[pb.Frame]) -> None:
    request = pb.SendRequest(session_id=session_id, frames=frames)
    message = request.SerializeToString()
    found = fields(message, 100)
    assert b"".join(contents(message, found, 1)).decode() == session_id
    assert [pb.Frame.FromString(content) for content in contents(message, found, 2)] == frames


@given(st.binary(max_size=60))
def test_random_bytes_scan_as_the_library_parses_them(message: bytes) -> None:
    try:
        parsed = pb.SignalRequest.FromString(message)
    except DecodeError:
        return
    try:
        found = fields(message, 100)
    except ValueError:
        # The library accepts groups, which the contract does not use.
        assert any(byte & 7 in (3, 4) for byte in message)
        return
    frames = [pb.Frame.FromString(content) for content in contents(message, found, 1) if content]
    assert frames == [frame for frame in parsed.frames if frame.ByteSize()]


def test_a_scan_stops_after_the_given_number_of_fields() -> None:
    assert len(fields(b"\x0a\x00" * 262_000, 500)) == 501
    assert len(fields(b"\x08\x00" * 262_000, 500)) == 501


@pytest.mark.parametrize(
    "message",
    [b"\x0a", b"\x0a\x05abc", b"\x0a\xff\xff\xff\xff\x0f", b"\xff" * 11, b"\x0d\x00", b"\x0b"],
)
def test_bytes_that_are_not_a_message_are_refused(message: bytes) -> None:
    with pytest.raises(ValueError, match=r"field|cut off|number"):
        fields(message, 100)
