"""A client that reads and never acknowledges."""

import grpc
from dyad.v1 import signaling_pb2 as pb

from tests.conftest import ends, serving
from tests.support.ends import End, offer

FAST = {"max_frames_per_second": 10**6, "max_bytes_per_second": 10**9}
BIG = "x" * 60_000


async def test_a_client_that_never_acknowledges_is_ended_at_256_kib_and_the_peer_is_told(
    transport: type[End],
) -> None:
    asked = pb.JoinRoom(resumable=True)
    async with serving(**FAST) as server, ends(server, transport) as connect:
        alice, bob = connect("alice"), connect("bob")
        await alice.send(pb.Frame(seq=1, join_room=asked))
        room_id = (await alice.hear()).room_id
        await bob.send(pb.Frame(room_id=room_id, seq=1, join_room=asked))
        await bob.hear()
        await alice.hear()
        for n in range(4):
            await alice.send(offer(room_id, BIG, seq=n + 2))
            assert (await bob.hear()).offer.sdp == BIG
        # The fifth exceeds what the server keeps for a client that may resume.
        await alice.send(offer(room_id, BIG, seq=6))
        told = await alice.hear()
        while told.WhichOneof("event") is None:
            told = await alice.hear()
        assert told.leave_room.reason == pb.LeaveRoom.REASON_DISCONNECTED
        ended = await bob.status()
        assert ended is not None
        assert ended.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
