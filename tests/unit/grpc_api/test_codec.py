"""A forwarded frame is the sender's frame, with what only the server may say."""

from dyad.v1 import signaling_pb2 as pb
from dyad_server.core.commands import Relay
from dyad_server.core.events import Forwarded, Left, Member, Output
from dyad_server.grpc_api import codec
from hypothesis import example, given
from hypothesis import strategies as st

ROOM = "0b9e7a6c-8d2f-4f3e-9c55-3f0d1d0a7b11"
# A field number that no message of the contract has yet.
LATER_FIELD = b"\xa2\x06\x05later"
NUMBERS = st.integers(0, 2**64 - 1)
TEXTS = st.text(max_size=50)
SENDERS = st.builds(pb.Participant, user_id=TEXTS, email=TEXTS)
FRAMES = st.builds(
    pb.Frame,
    room_id=st.sampled_from((ROOM, ROOM.upper())),
    sender=st.none() | SENDERS,
    seq=NUMBERS,
    ack=NUMBERS,
    reply_to=NUMBERS,
    offer=st.builds(pb.SessionDescription, sdp=TEXTS),
)


@given(FRAMES, NUMBERS, NUMBERS, TEXTS, TEXTS)
@example(pb.Frame(room_id=ROOM, ack=7, offer=pb.SessionDescription()), 300, 0, "alice", "")
def test_a_forwarded_frame_has_the_fields_of_both(
    frame: pb.Frame, seq: int, ack: int, user_id: str, email: str
) -> None:
    relay = codec.read(frame.SerializeToString() + LATER_FIELD).event
    assert isinstance(relay, Relay)
    output = Output("bob", ROOM, 0, Forwarded(Member("id", user_id, email), relay.payload))
    expected = pb.Frame(
        room_id=ROOM,
        sender=pb.Participant(user_id=user_id, email=email),
        seq=seq,
        ack=ack,
        offer=frame.offer,
    )
    expected.MergeFromString(LATER_FIELD)
    assert pb.Frame.FromString(codec.write(output, seq, ack, "")) == expected


def test_nothing_of_a_sender_that_a_client_writes_is_forwarded() -> None:
    participant = pb.Participant(user_id="mallory", email="m@example.com")
    participant.MergeFromString(LATER_FIELD)
    frame = pb.Frame(room_id=ROOM, sender=participant, offer=pb.SessionDescription(sdp="v=0"))
    relay = codec.read(frame.SerializeToString()).event
    assert isinstance(relay, Relay)
    output = Output("bob", ROOM, 0, Forwarded(Member("id", "alice"), relay.payload))
    written = pb.Frame.FromString(codec.write(output, 1, 0, ""))
    assert written.sender == pb.Participant(user_id="alice")


def test_a_message_has_its_frames_in_their_order() -> None:
    frames = [codec.write(Output("bob", ROOM, 0, Left()), seq, 3, "") for seq in range(1, 200)]
    frames.append(codec.acknowledge(2**40))
    message = codec.message(pb.ListenResponse.FRAMES_FIELD_NUMBER, frames)
    *told, last = pb.ListenResponse.FromString(message).frames
    assert [frame.seq for frame in told] == list(range(1, 200))
    assert {frame.WhichOneof("event") for frame in told} == {"leave_room"}
    assert last == pb.Frame(ack=2**40)
