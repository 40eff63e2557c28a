"""One user, one seat, and an answer to every resume, with rooms in Redis."""

import grpc
import pytest
from dyad.v1 import signaling_pb2 as pb
from dyad_server.core.participant import Participant
from dyad_server.core.states import State
from redis.asyncio import Redis

from tests.integration.test_nodes import Nodes, nodes
from tests.nodes.test_calls import another
from tests.support.clock import within
from tests.support.ends import End, ListenEnd, SignalEnd, candidate, end_of, leave, offer
from tests.support.seats import (
    hear,
    is_told_of_the_replacement,
    resumable,
    resumes,
    retry_after_ms,
    takes_over,
)
from tests.support.until import until


async def bobs_seat_is_reserved(here: Nodes) -> tuple[End, Participant, str, str]:
    """Alice and Bob on the first node, where Bob's seat is reserved: his connection is gone."""
    alice, bob, room_id, resume_token = await here.pair(0, 0)
    hub = here.servers[0].dyad.hub
    (seated,) = (each for each in hub if each.identity.user_id == "bob")
    bob.cut()
    await until(lambda: seated.state is State.RESERVED)
    return alice, seated, room_id, resume_token


@pytest.mark.parametrize("node", [0, 1, 2], ids=["the peer's", "the same", "a third"])
async def test_a_second_device_takes_over_the_seat_from_any_node(
    transport: type[End], node: int
) -> None:
    async with nodes(transport, 3) as here:
        alice, phone, room_id, resume_token = await here.pair(0, 1)
        laptop = here.connect("bob", node)
        await takes_over(laptop, phone, alice, room_id)
        for other in range(3):
            woken = await end_of(here.connect("bob", other), resumable(room_id, resume_token, 1))
            assert retry_after_ms(woken) == "-1"
        await laptop.send(offer(room_id, "still here", seq=3))
        assert (await hear(alice, "offer")).offer.sdp == "still here"


async def test_a_second_device_takes_over_a_seat_handed_off_by_a_drained_node() -> None:
    async with nodes(SignalEnd, 1) as here:
        async with another(here) as second:
            alice, bob, room_id, resume_token = await here.pair(0, 1)
            await second.stop()
            assert (await end_of(bob)).code() is grpc.StatusCode.UNAVAILABLE
        laptop = here.connect("bob", 0)
        await laptop.send(resumable(room_id))
        assert (await laptop.hear()).join_room.peer.user_id == "alice"
        await is_told_of_the_replacement(alice, "bob")
        woken = await end_of(here.connect("bob", 0), resumable(room_id, resume_token, ack=1))
        assert retry_after_ms(woken) == "-1"


async def test_a_waking_device_is_told_that_its_users_seat_is_handed_off() -> None:
    async with nodes(SignalEnd, 1) as here:
        alice, _, room_id, resume_token = await here.pair(0, 0)
        async with another(here) as second:
            laptop = here.connect("bob", 1)
            await laptop.send(resumable(room_id))
            await laptop.hear()
            await is_told_of_the_replacement(alice, "bob")
            await second.stop()
            assert (await end_of(laptop)).code() is grpc.StatusCode.UNAVAILABLE
        async with within(2):
            woken = await end_of(here.connect("bob", 0), resumable(room_id, resume_token, ack=1))
        assert retry_after_ms(woken) == "-1"


async def test_a_resume_under_way_when_the_grace_time_ends_succeeds(transport: type[End]) -> None:
    async with nodes(transport, 1, resume_grace=0.4) as here:
        async with Redis(port=here.redis.port) as redis:
            alice, _, room_id, resume_token = await bobs_seat_is_reserved(here)
            # Redis answers only when the grace time would be over.
            await redis.client_pause(800, all=False)
            back = here.connect("bob", 0)
            await resumes(back, room_id, resume_token)
        await alice.send(candidate(room_id, "still here", seq=2))
        assert (await hear(back, "ice_candidate")).ice_candidate.candidate == "still here"


async def test_a_disconnect_during_a_resume_restarts_the_grace_time() -> None:
    async with nodes(SignalEnd, 1, resume_grace=0.4) as here:
        async with Redis(port=here.redis.port) as redis:
            alice, seated, room_id, resume_token = await bobs_seat_is_reserved(here)
            hub = here.servers[0].dyad.hub
            await redis.client_pause(800, all=False)
            back = here.connect("bob", 0)
            await back.send(resumable(room_id, resume_token, ack=1))
            await until(lambda: seated.state is State.RESUMING)
            back.cut()
            await until(lambda: seated.state is State.RESERVED)
        told = await hear(alice, "leave_room")
        assert told.leave_room.reason == pb.LeaveRoom.REASON_DISCONNECTED
        assert len(hub) == 1


async def test_a_resume_during_ones_own_leave_is_told_that_the_seat_is_free() -> None:
    async with nodes(ListenEnd, 1) as here, Redis(port=here.redis.port) as redis:
        alice, seated, room_id, resume_token = await bobs_seat_is_reserved(here)
        await redis.client_pause(2000, all=False)
        back = here.connect("bob", 0)
        await back.send(resumable(room_id, resume_token, ack=1))
        await until(lambda: seated.state is State.RESUMING)
        await back.send(leave(room_id, seq=2))
        ended = await back.status()
        assert retry_after_ms(ended) is None
        assert (await hear(alice, "leave_room")).leave_room.reason == pb.LeaveRoom.REASON_LEFT
