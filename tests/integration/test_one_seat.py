"""One user, one seat: a user's second connection, over both transports."""

import uuid

import grpc
import pytest
from dyad.v1 import signaling_pb2 as pb
from dyad_server.core.states import State

from tests.conftest import ends, serving, token
from tests.support.ends import End, candidate, end_of, join, leave, offer
from tests.support.proxy import Proxy
from tests.support.seats import (
    is_told_of_the_replacement,
    resumable,
    resumable_pair,
    resumes,
    retry_after_ms,
    takes_over,
)
from tests.support.until import until


async def test_a_second_device_takes_over_the_seat_and_the_first_is_told_not_to_reconnect(
    transport: type[End],
) -> None:
    async with serving() as server, ends(server, transport) as connect:
        alice, phone, room_id, _ = await resumable_pair(connect)
        laptop = connect("bob")
        await takes_over(laptop, phone, alice, room_id)
        assert len(server.dyad.hub) == 2


async def test_opening_a_link_twice_does_not_pair_a_user_with_itself(
    transport: type[End],
) -> None:
    async with serving() as server, ends(server, transport) as connect:
        room_id = str(uuid.uuid4())
        tabs = [connect("alice", room=room_id) for _ in range(3)]
        for tab in tabs:
            await tab.send(join())
            joined = (await tab.hear()).join_room
            assert not joined.HasField("peer")
            assert not joined.polite
        for tab in tabs[:-1]:
            assert retry_after_ms(await tab.status()) == "-1"
        bob = connect("bob", room=room_id)
        await bob.send(join())
        assert (await bob.hear()).join_room.peer.user_id == "alice"
        assert (await tabs[-1].hear()).sender.user_id == "bob"


async def test_a_dead_connection_does_not_keep_its_user_out(
    transport: type[End],
) -> None:
    # No ping notices it during the test, as if a proxy answered them.
    quiet = {"keepalive_time": 600.0, "write_timeout": 600.0}
    async with serving(**quiet) as server, ends(server, transport) as connect:
        alice = connect("alice")
        await alice.send(join())
        room_id = (await alice.hear()).room_id
        async with (
            Proxy(server.port) as network,
            grpc.aio.insecure_channel(f"127.0.0.1:{network.port}") as channel,
        ):
            dead = transport(channel, token("bob"))
            await dead.send(join(room_id))
            await dead.hear()
            await alice.hear()
            network.stall()
            back = connect("bob")
            await back.send(join(room_id))
            assert (await back.hear()).join_room.peer.user_id == "alice"
            await is_told_of_the_replacement(alice, "bob")
            await alice.send(candidate(room_id, "still here"))
            assert (await back.hear()).ice_candidate.candidate == "still here"
            dead.cut()


@pytest.mark.parametrize("gone", ["still connected", "its seat reserved", "its grace time over"])
async def test_a_device_that_wakes_up_does_not_disconnect_the_other_device_of_its_user(
    transport: type[End], gone: str
) -> None:
    grace = 0.2 if gone == "its grace time over" else 15.0
    async with serving(resume_grace=grace) as server, ends(server, transport) as connect:
        alice, laptop, room_id, resume_token = await resumable_pair(connect)
        if gone != "still connected":
            laptop.cut()
            await until(lambda: any(each.state is State.RESERVED for each in server.dyad.hub))
        if gone == "its grace time over":
            told = await alice.hear()
            assert told.leave_room.reason == pb.LeaveRoom.REASON_DISCONNECTED
        phone = connect("bob")
        await phone.send(resumable(room_id))
        await phone.hear()
        woken = await end_of(connect("bob"), resumable(room_id, resume_token, ack=1))
        assert retry_after_ms(woken) == "-1"
        await phone.send(offer(room_id, "still here", seq=2))
        while not (frame := await alice.hear()).HasField("offer"):
            pass
        assert frame.offer.sdp == "still here"


async def test_a_resume_ends_the_previous_connection_for_good(
    transport: type[End],
) -> None:
    async with serving() as server, ends(server, transport) as connect:
        _, bob, room_id, resume_token = await resumable_pair(connect)
        await resumes(connect("bob"), room_id, resume_token)
        assert retry_after_ms(await bob.status()) == "-1"


async def test_a_refused_resume_may_join_again_if_the_user_has_no_other_session(
    transport: type[End],
) -> None:
    async with serving(resume_grace=0.2) as server, ends(server, transport) as connect:
        alice, bob, room_id, resume_token = await resumable_pair(connect)
        bob.cut()
        assert (await alice.hear()).leave_room.reason == pb.LeaveRoom.REASON_DISCONNECTED
        late = await end_of(connect("bob"), resumable(room_id, resume_token, ack=1))
        assert retry_after_ms(late) is None


async def test_the_newest_of_fifty_connections_of_one_user_has_the_seat(
    transport: type[End],
) -> None:
    async with serving(max_streams_per_user=100) as server, ends(server, transport) as connect:
        alice = connect("alice")
        await alice.send(join())
        room_id = (await alice.hear()).room_id
        many = [connect("bob") for _ in range(50)]
        for each in many:
            await each.send(join(room_id))
        for each in many[:-1]:
            assert retry_after_ms(await each.status()) == "-1"
        assert (await many[-1].hear()).join_room.peer.user_id == "alice"
        assert len(server.dyad.hub) == 2


# Room ids in any case.


async def test_the_case_of_a_room_id_does_not_matter(transport: type[End]) -> None:
    async with serving() as server, ends(server, transport) as connect:
        alice, bob = connect("alice"), connect("bob")
        await alice.send(resumable())
        room_id = (await alice.hear()).room_id
        assert room_id == room_id.lower()
        await bob.send(resumable(room_id.upper()))
        joined = await bob.hear()
        assert joined.join_room.peer.user_id == "alice"
        assert joined.room_id == room_id
        assert (await alice.hear()).room_id == room_id
        await bob.send(offer(room_id.upper(), "from iOS", seq=2))
        heard = await alice.hear()
        assert (heard.offer.sdp, heard.room_id) == ("from iOS", room_id)
        bob.cut()
        back = connect("bob")
        resumed = await resumes(back, room_id.upper(), joined.join_room.resume_token)
        assert resumed.room_id == room_id
        await back.send(leave(room_id.title(), seq=3))
        left = await back.hear()
        assert (left.reply_to, left.room_id) == (3, room_id)
        assert left.HasField("leave_room")


async def test_the_case_of_the_room_in_a_token_does_not_matter(transport: type[End]) -> None:
    room_id = str(uuid.uuid4())
    async with serving() as server, ends(server, transport) as connect:
        alice = connect("alice", room=room_id.upper())
        await alice.send(join())
        assert (await alice.hear()).room_id == room_id
        bob = connect("bob", room=room_id)
        await bob.send(join(room_id.upper()))
        assert (await bob.hear()).join_room.peer.user_id == "alice"
