"""What participants on different nodes see where nothing fails but a connection."""

from dyad.v1 import signaling_pb2 as pb

from tests.integration.test_nodes import nodes
from tests.support.ends import End, candidate, join, leave


async def hear(end: End, event: str) -> pb.Frame:
    """The next frame with this event, past what only acknowledges."""
    while (frame := await end.hear()).WhichOneof("event") is None:
        pass
    assert frame.WhichOneof("event") == event, frame
    return frame


async def test_one_who_leaves_and_joins_again_is_heard_again(transport: type[End]) -> None:
    async with nodes(transport) as here:
        alice, bob = here.connect("alice", 0), here.connect("bob", 1)
        await alice.send(join())
        room_id = (await hear(alice, "join_room")).room_id
        for turn in range(4):
            await bob.send(join(room_id))
            assert (await hear(bob, "join_room")).join_room.peer.user_id == "alice"
            assert (await hear(alice, "join_room")).sender.user_id == "bob"
            for speaker, listener in ((alice, bob), (bob, alice)):
                for number in range(5):
                    await speaker.send(candidate(room_id, f"{turn} {number}"))
                for number in range(5):
                    frame = await hear(listener, "ice_candidate")
                    assert frame.ice_candidate.candidate == f"{turn} {number}"
            await bob.send(leave(room_id))
            await hear(bob, "leave_room")
            assert (await hear(alice, "leave_room")).leave_room.reason == pb.LeaveRoom.REASON_LEFT
