"""Heartbeats and leases over both transports."""

import asyncio
from functools import partial
from typing import Any

import grpc
from dyad.v1 import signaling_pb2 as pb
from dyad_server.core.participant import Connection
from dyad_server.server import Server

from tests.conftest import Connect, ends, serving
from tests.support.ends import End, candidate, join
from tests.support.seats import resumable_pair, resumes
from tests.support.until import PATIENCE, until

QUICK: dict[str, Any] = {"heartbeat": 0.2, "lease": 5.0}


async def heartbeat(end: End) -> None:
    """Read up to the next message without frames."""
    async with asyncio.timeout(PATIENCE):
        while True:
            message = await end.call.read()
            if not message.frames and not getattr(message, "session_id", ""):
                return


def connection_of(server: Server, user: str) -> Connection:
    (participant,) = (each for each in server.dyad.hub if each.identity.user_id == user)
    assert participant.connection is not None
    return participant.connection


def heard_after(connection: Connection, moment: float) -> bool:
    return connection.heard_at > moment


def let_the_lease_run_out(connection: Connection) -> None:
    """Make a participant look as if it had sent nothing for a long time."""
    connection.heard_at -= 1000


async def numbered(connect: Connect, user: str) -> tuple[End, str]:
    end = connect(user)
    await end.send(join(seq=1))
    return end, (await end.hear()).room_id


async def test_a_heartbeat_is_sent_after_silence_and_any_message_answers_it(
    transport: type[End],
) -> None:
    async with serving(**QUICK) as server, ends(server, transport) as connect:
        alice, _ = await numbered(connect, "alice")
        connection = connection_of(server, "alice")
        for _ in range(3):
            await heartbeat(alice)
            before = connection.heard_at
            await alice.send()
            await until(partial(heard_after, connection, before))


async def test_a_participant_silent_for_its_lease_is_ended_and_its_peer_is_told(
    transport: type[End],
) -> None:
    async with serving(**QUICK) as server, ends(server, transport) as connect:
        alice, room_id = await numbered(connect, "alice")
        bob = connect("bob")
        await bob.send(join(room_id, seq=1))
        await bob.hear()
        await alice.hear()
        let_the_lease_run_out(connection_of(server, "bob"))
        ended = await bob.status()
        assert ended is not None
        assert ended.code() is grpc.StatusCode.UNAVAILABLE
        assert ended.details() == "Nothing was received for too long: reconnect."
        assert (await alice.hear()).leave_room.reason == pb.LeaveRoom.REASON_DISCONNECTED


async def test_the_seat_of_a_resumable_participant_is_reserved_when_its_lease_ends(
    transport: type[End],
) -> None:
    async with serving(**QUICK) as server, ends(server, transport) as connect:
        alice, bob, room_id, resume_token = await resumable_pair(connect)
        let_the_lease_run_out(connection_of(server, "bob"))
        ended = await bob.status()
        assert ended is not None
        assert ended.code() is grpc.StatusCode.UNAVAILABLE
        await alice.send(candidate(room_id, "meanwhile", seq=2))
        back = connect("bob")
        await resumes(back, room_id, resume_token)
        assert (await back.hear()).ice_candidate.candidate == "meanwhile"


async def test_a_participant_that_only_receives_is_sent_heartbeats(transport: type[End]) -> None:
    async with serving(**QUICK) as server, ends(server, transport) as connect:
        alice, bob, room_id, _ = await resumable_pair(connect)
        talking = asyncio.create_task(_talk(alice, room_id))
        try:
            await heartbeat(bob)
        finally:
            talking.cancel()
            await asyncio.gather(talking, return_exceptions=True)


async def _talk(end: End, room_id: str) -> None:
    seq = 2
    while True:
        await end.send(candidate(room_id, "on and on", seq=seq))
        seq += 1
        await asyncio.sleep(0.05)


async def test_a_session_that_never_numbered_a_frame_has_no_lease(transport: type[End]) -> None:
    async with serving(**QUICK) as server, ends(server, transport) as connect:
        by_hand = connect("alice")
        await by_hand.send(join())
        await by_hand.hear()
        let_the_lease_run_out(connection_of(server, "alice"))
        for _ in range(4):
            await heartbeat(by_hand)
        assert connection_of(server, "alice").open
