"""Steps that the tests of both engines share: resuming and taking over a seat."""

from collections.abc import Callable

import grpc
from dyad.v1 import signaling_pb2 as pb

from tests.support.ends import End, candidate, offer


def resumable(room_id: str = "", resume_token: str = "", ack: int = 0) -> pb.Frame:
    """A `join_room` that starts a resumable session, or with a token resumes it."""
    asked = pb.JoinRoom(resumable=True, resume_token=resume_token)
    return pb.Frame(room_id=room_id, seq=0 if resume_token else 1, ack=ack, join_room=asked)


async def meet(first: End, second: End) -> tuple[str, str, str]:
    """Let both join a new room; returns its id, and the resume token of each."""
    await first.send(resumable())
    created = await first.hear()
    await second.send(resumable(created.room_id))
    joined = await second.hear()
    assert joined.join_room.HasField("peer")
    assert (await first.hear()).HasField("join_room")
    tokens = created.join_room.resume_token, joined.join_room.resume_token
    assert all(tokens)
    return created.room_id, *tokens


async def resumable_pair(connect: Callable[..., End]) -> tuple[End, End, str, str]:
    """Alice and Bob in a room, the room's id, and Bob's resume token."""
    alice, bob = connect("alice"), connect("bob")
    room_id, _, resume_token = await meet(alice, bob)
    return alice, bob, room_id, resume_token


async def resumes(end: End, room_id: str, resume_token: str, ack: int = 1) -> pb.Frame:
    """Resume the seat on this connection; returns the server's answer."""
    await end.send(resumable(room_id, resume_token, ack))
    answer = await end.hear()
    assert answer.join_room.resumed
    return answer


async def hear(end: End, event: str) -> pb.Frame:
    """The next frame with this event, ignoring bare acknowledgements."""
    while (frame := await end.hear()).WhichOneof("event") is None:
        pass
    assert frame.WhichOneof("event") == event, frame
    return frame


async def is_told_of_the_replacement(peer: End, user: str) -> None:
    left, came = await peer.hear(), await peer.hear()
    assert left.leave_room.reason == pb.LeaveRoom.REASON_REPLACED
    assert (left.sender.user_id, came.sender.user_id) == (user, user)
    assert came.HasField("join_room")


def retry_after_ms(ended: grpc.aio.AioRpcError | None) -> str | None:
    """The trailer `retry-after-ms` of a stream that ended with ABORTED and a sentence."""
    assert ended is not None
    assert ended.code() is grpc.StatusCode.ABORTED
    assert (ended.details() or "").endswith(".")
    told = dict(ended.trailing_metadata() or ()).get("retry-after-ms")
    return None if told is None else str(told)


async def takes_over(laptop: End, phone: End, alice: End, room_id: str) -> None:
    """Let Bob's laptop take over his phone's seat, and continue the call with Alice."""
    await laptop.send(resumable(room_id))
    joined = (await laptop.hear()).join_room
    assert (joined.peer.user_id, joined.polite, joined.resumed) == ("alice", True, False)
    ended = await phone.status()
    assert retry_after_ms(ended) == "-1"
    assert ended is not None
    assert ended.details() == "The same user joined this room from another connection."
    await is_told_of_the_replacement(alice, "bob")
    await alice.send(candidate(room_id, "to the laptop", seq=2))
    assert (await hear(laptop, "ice_candidate")).ice_candidate.candidate == "to the laptop"
    await laptop.send(offer(room_id, "from the laptop", seq=2))
    assert (await hear(alice, "offer")).offer.sdp == "from the laptop"
