"""Participants at a limit, and beyond it by one byte or by thousands."""

import asyncio
import contextlib
import time

import grpc
import pytest
from dyad.v1 import signaling_pb2 as pb

from tests.conftest import token
from tests.faults.site import UNBOUND, Watch, told_of_the_end
from tests.support.ends import End, ListenEnd, SignalEnd, candidate, join, leave, offer
from tests.support.http2 import SIGNAL, connected

LIMIT = 65_536
JOINERS = 50
COMINGS = 10


def sized(room_id: str, size: int) -> pb.Frame:
    """An offer whose frame has exactly this size on the wire."""
    frame = offer(room_id, "x" * (size - 100))
    frame.offer.sdp += "x" * (size - frame.ByteSize())
    assert frame.ByteSize() == size
    return frame


@pytest.mark.parametrize("transport", [SignalEnd, ListenEnd])
async def test_a_frame_at_the_limit_arrives_and_one_byte_more_ends_its_sender(
    watched: Watch, transport: type[End]
) -> None:
    async with (
        watched(*UNBOUND) as site,
        site.end("alice", transport) as alice,
        site.end("bob", transport) as bob,
    ):
        await alice.send(join())
        room_id = (await alice.hear()).room_id
        await bob.send(join(room_id))
        await bob.hear()
        await alice.hear()
        for size in (LIMIT - 1, LIMIT):
            frame = sized(room_id, size)
            await alice.send(frame)
            assert (await bob.hear()).offer == frame.offer
        with contextlib.suppress(grpc.aio.AioRpcError):
            # Over `Send`, that request fails too.
            await alice.send(sized(room_id, LIMIT + 1))
        ended = await alice.status()
        assert ended is not None
        assert ended.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        await told_of_the_end(bob)
        await site.has(1)


async def test_ten_thousand_frames_a_second_end_their_sender_and_the_peer_is_told(
    watched: Watch,
) -> None:
    async with watched() as site, site.end("bob") as bob, connected(site.port) as alice:
        await bob.send(join())
        room_id = (await bob.hear()).room_id
        stream = alice.call(token("alice"), SIGNAL)
        alice.say(stream, pb.SignalRequest(frames=[join(room_id)]))
        await bob.hear()
        sent = 0
        began = time.monotonic()
        while stream not in alice.trailers and sent < 10_000:
            frames = [candidate("", str(n)) for n in range(sent, sent + 100)]
            for frame in frames:
                frame.room_id = room_id
            alice.say(stream, pb.SignalRequest(frames=frames))
            sent += 100
            await asyncio.sleep(0.01)
        assert (await alice.ended(stream))["grpc-status"] == "8", "RESOURCE_EXHAUSTED"
        took = time.monotonic() - began
        heard = 0
        while (frame := await bob.hear()).HasField("ice_candidate"):
            assert frame.ice_candidate.candidate == str(heard)
            heard += 1
        assert frame.leave_room.reason == pb.LeaveRoom.REASON_DISCONNECTED
        # The burst of five seconds at 100 frames a second, and what the rate allowed meanwhile.
        assert 490 <= heard <= 501 + 100 * took
        await site.has(1)


async def test_fifty_users_race_for_a_seat_and_one_gets_it(watched: Watch) -> None:
    kinds: list[type[End]] = [SignalEnd, ListenEnd]
    async with watched() as site, contextlib.AsyncExitStack() as stack:
        alice = await stack.enter_async_context(site.end("alice"))
        await alice.send(join())
        room_id = (await alice.hear()).room_id
        ends = [
            await stack.enter_async_context(site.end(f"joiner-{n}", kind))
            for n, kind in enumerate(kinds * (JOINERS // 2))
        ]

        async def answer(end: End) -> str:
            await end.send(join(room_id))
            frame = await end.hear()
            return frame.WhichOneof("event") or ""

        answers = await asyncio.gather(*(answer(end) for end in ends))
        assert answers.count("join_room") == 1
        assert answers.count("error") == JOINERS - 1
        winner = f"joiner-{answers.index('join_room')}"
        assert (await alice.hear()).sender.user_id == winner
        await site.has(JOINERS + 1)


async def test_joins_and_leaves_in_a_race_never_put_three_in_a_room(watched: Watch) -> None:
    async with watched(*UNBOUND) as site, contextlib.AsyncExitStack() as stack:
        alice = await stack.enter_async_context(site.end("alice"))
        await alice.send(join())
        room_id = (await alice.hear()).room_id
        ends = [await stack.enter_async_context(site.end(f"racer-{n}")) for n in range(10)]
        inside: set[str] = set()

        async def come_and_go(name: str, end: End) -> None:
            came = 0
            while came < COMINGS:
                await end.send(join(room_id))
                frame = await end.hear()
                if frame.HasField("error"):
                    assert frame.error.code == pb.Error.CODE_ROOM_FULL
                    continue
                assert not inside, f"{name} came while {inside} was there"
                inside.add(name)
                came += 1
                await end.send(offer(room_id, name))
                inside.remove(name)
                await end.send(leave(room_id))
                assert (await end.hear()).HasField("leave_room")

        async def watch_them() -> int:
            comings = 0
            while comings < COMINGS * len(ends):
                came, said, left = [await alice.hear() for _ in range(3)]
                assert came.HasField("join_room")
                assert said.offer.sdp == came.sender.user_id == left.sender.user_id
                assert left.leave_room.reason == pb.LeaveRoom.REASON_LEFT
                comings += 1
            return comings

        watching = asyncio.create_task(watch_them())
        await asyncio.gather(*(come_and_go(f"racer-{n}", end) for n, end in enumerate(ends)))
        assert await watching == COMINGS * len(ends)


@pytest.mark.parametrize("transport", [SignalEnd, ListenEnd])
async def test_of_twenty_concurrent_resumes_with_a_token_one_has_the_seat(
    watched: Watch, transport: type[End]
) -> None:
    async with (
        watched("--max-streams-per-user", "100") as site,
        site.end("alice") as alice,
        contextlib.AsyncExitStack() as stack,
    ):
        asked = pb.JoinRoom(resumable=True)
        await alice.send(pb.Frame(seq=1, join_room=asked))
        room_id = (await alice.hear()).room_id
        async with site.end("bob", transport) as bob:
            await bob.send(pb.Frame(room_id=room_id, seq=1, join_room=asked))
            asked.resume_token = (await bob.hear()).join_room.resume_token
            await alice.hear()
        again = [await stack.enter_async_context(site.end("bob", transport)) for _ in range(20)]

        async def outcome(end: End) -> str:
            try:
                await end.send(pb.Frame(room_id=room_id, ack=1, join_room=asked))
                while not (frame := await end.hear()).HasField("offer"):
                    assert frame.join_room.resumed
            except grpc.aio.AioRpcError:
                ended = await end.status()
                assert ended is not None
                assert ended.code() is grpc.StatusCode.ABORTED
                return "aborted"
            return frame.offer.sdp

        trying = pending = {asyncio.create_task(outcome(end)) for end in again}
        while len(pending) > 1:
            _, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        await site.has(2)
        await alice.send(pb.Frame(room_id=room_id, seq=2, offer=pb.SessionDescription(sdp="you")))
        outcomes = await asyncio.gather(*trying)
        assert outcomes.count("you") == 1
        assert outcomes.count("aborted") == 19
