"""The Python client against a real server, and against a scripted one for what that never does."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import dyad
import pytest
from dyad.stream import Stream, open_stream
from dyad.v1 import signaling_pb2 as pb

from tests.conftest import serving, token
from tests.support.proxy import Proxy
from tests.support.scripted import Context, scripted
from tests.support.until import PATIENCE

ALICE = dyad.Participant("alice", "a@x")
BOB = dyad.Participant("bob", "b@x")


def connect(port: int, who: dyad.Participant, **claims: Any) -> dyad.Connection:
    return dyad.connect(f"127.0.0.1:{port}", token(who.user_id, email=who.email, **claims))


async def test_a_call_from_creating_to_hanging_up_comes_as_typed_events_in_order() -> None:
    sent = [
        dyad.Candidate("one", sdp_mid="0", sdp_m_line_index=0, username_fragment="u"),
        dyad.Candidate("two", sdp_mid=""),
        dyad.Candidate(""),
    ]
    async with (
        serving() as server,
        connect(server.port, ALICE) as alice,
        connect(server.port, BOB) as bob,
        asyncio.timeout(10),
    ):
        created = await alice.create()
        joined = await bob.join(created.room_id)
        assert (created.peer, created.polite) == (None, False)
        assert joined == dyad.Room(created.room_id, ALICE, polite=True)
        assert await anext(alice) == dyad.PeerJoined(BOB)
        await alice.send_offer("the offer")
        for candidate in sent:
            await alice.send_candidate(candidate)
        assert await anext(bob) == dyad.Offer("the offer", ALICE)
        assert [await anext(bob) for _ in sent] == [
            dyad.Candidate(
                candidate.candidate,
                candidate.sdp_mid,
                candidate.sdp_m_line_index,
                candidate.username_fragment,
                ALICE,
            )
            for candidate in sent
        ]
        await bob.send_answer("the answer")
        await bob.leave()
        assert [event async for event in bob] == []
        assert await anext(alice) == dyad.Answer("the answer", BOB)
        assert await anext(alice) == dyad.PeerLeft(BOB, dyad.Departure.LEFT)
        await alice.leave()
        assert [event async for event in alice] == []


async def test_after_leaving_another_room_may_be_entered() -> None:
    async with serving() as server, connect(server.port, ALICE) as alice, asyncio.timeout(10):
        first = await alice.create()
        await alice.leave()
        second = await alice.create()
        assert first.room_id != second.room_id
        await alice.send_offer("nobody hears it")
        assert await _refusal(alice) is dyad.Refusal.PEER_ABSENT


async def test_a_refused_join_raises_and_the_stream_goes_on() -> None:
    async with serving() as server, connect(server.port, ALICE) as alice, asyncio.timeout(10):
        with pytest.raises(dyad.Refused) as refused:
            await alice.join("no such room")
        assert refused.value.code is dyad.Refusal.ROOM_NOT_FOUND
        with pytest.raises(dyad.Refused) as refused:
            await alice.send_offer("in no room")
        assert refused.value.code is dyad.Refusal.NOT_IN_ROOM
        assert (await alice.create()).peer is None


async def test_a_refused_offer_is_an_event_and_the_stream_goes_on() -> None:
    async with (
        serving() as server,
        connect(server.port, ALICE) as alice,
        connect(server.port, BOB) as bob,
        asyncio.timeout(10),
    ):
        room = await alice.create()
        await alice.send_offer("nobody hears it")
        assert await _refusal(alice) is dyad.Refusal.PEER_ABSENT
        await bob.join(room.room_id)
        assert await anext(alice) == dyad.PeerJoined(BOB)


async def test_a_bad_token_ends_as_unauthenticated() -> None:
    async with serving() as server, asyncio.timeout(10):
        for bad in ("nonsense", "n\u00f6nsense", "two\nlines"):
            with pytest.raises(dyad.Unauthenticated):
                async with dyad.connect(f"127.0.0.1:{server.port}", bad) as alice:
                    await alice.create()


async def test_a_token_for_another_room_ends_as_forbidden() -> None:
    async with (
        serving() as server,
        connect(server.port, ALICE, room="a room") as alice,
        asyncio.timeout(10),
    ):
        with pytest.raises(dyad.Forbidden):
            await alice.join("another room")


async def test_a_frame_over_the_limit_ends_as_overloaded() -> None:
    async with serving() as server, connect(server.port, ALICE) as alice, asyncio.timeout(10):
        await alice.create()
        await alice.send_offer("x" * 70_000)
        with pytest.raises(dyad.Overloaded):
            await _last(alice)


async def test_waiting_too_long_ends_as_timed_out() -> None:
    async with (
        serving(join_timeout=0.1) as server,
        connect(server.port, ALICE) as alice,
        asyncio.timeout(10),
    ):
        with pytest.raises(dyad.TimedOut):
            await anext(alice)


async def test_a_draining_server_ends_as_unavailable_and_says_when_to_come_back() -> None:
    async with serving() as server, connect(server.port, ALICE) as alice, asyncio.timeout(10):
        await alice.create(resumable=False)
        await server.dyad.drain()
        with pytest.raises(dyad.Unavailable) as end:
            await _last(alice)
        assert end.value.retry_after is not None
        assert 0.2 <= end.value.retry_after <= 2
        with pytest.raises(dyad.Unavailable):
            await alice.leave()


async def test_joining_without_a_server_ends_as_unavailable() -> None:
    async with serving() as server, Proxy(server.port) as proxy, asyncio.timeout(10):
        await proxy.refuse()
        async with connect(proxy.port, ALICE) as alice:
            with pytest.raises(dyad.Unavailable):
                await alice.create()


async def test_a_write_that_meets_the_end_does_not_hide_the_status() -> None:
    async def flood(stream: Stream) -> None:
        frame = pb.Frame(join_room=pb.JoinRoom())
        while await stream.write(pb.SignalRequest(frames=[frame])):
            pass

    async def end_of_flood(port: int) -> str:
        async with open_stream(f"127.0.0.1:{port}", None, token()) as stream:
            flooding = asyncio.create_task(flood(stream))
            try:
                while await stream.read() is not None:
                    pass
            except dyad.Ended as end:
                return str(end)
            finally:
                await flooding
        return "no end"

    # So little is allowed that the slowest machine sends too much.
    async with serving(max_frames_per_second=1) as server, asyncio.timeout(PATIENCE):
        ends = await asyncio.gather(*(end_of_flood(server.port) for _ in range(15)))
    assert set(ends) == {"RESOURCE_EXHAUSTED: Too much was sent in too short a time."}


@pytest.mark.parametrize("kind", ["plain", "async"])
async def test_a_token_may_come_from_a_function(kind: str) -> None:
    asked = []

    def plain() -> str:
        asked.append(kind)
        return token("alice")

    async def from_afar() -> str:
        await asyncio.sleep(0)
        return plain()

    function: Callable[[], str | Awaitable[str]] = plain if kind == "plain" else from_afar
    async with (
        serving() as server,
        dyad.connect(f"127.0.0.1:{server.port}", function) as alice,
        asyncio.timeout(10),
    ):
        await alice.create()
        assert asked == [kind]


async def test_sending_waits_while_too_much_is_unacknowledged() -> None:
    async with (
        serving(max_frames_per_second=1000) as server,
        Proxy(server.port) as proxy,
        connect(proxy.port, ALICE) as alice,
        connect(server.port, BOB) as bob,
        asyncio.timeout(30),
    ):
        room = await alice.create()
        await bob.join(room.room_id, resumable=False)
        assert await anext(alice) == dyad.PeerJoined(BOB)
        proxy.stall()
        sending = asyncio.create_task(_send_candidates(alice, 300))
        _, waiting = await asyncio.wait({sending}, timeout=0.5)
        assert waiting
        proxy.resume_forwarding()
        assert await _hear_candidates(bob, 300) == [str(n) for n in range(300)]
        await sending


async def test_the_end_of_a_connection_frees_a_waiting_send() -> None:
    async with (
        serving() as server,
        Proxy(server.port) as proxy,
        connect(proxy.port, ALICE) as alice,
        asyncio.timeout(30),
    ):
        await alice.create(resumable=False)
        proxy.stall()

        async def send_all() -> None:
            while True:
                await alice.send_offer("x" * 60_000)

        sending = asyncio.create_task(send_all())
        _, waiting = await asyncio.wait({sending}, timeout=0.5)
        assert waiting
        await proxy.cut()
        with pytest.raises(dyad.Unavailable):
            await sending


async def test_a_client_that_does_not_iterate_learns_of_the_end_by_sending() -> None:
    async with (
        serving(max_frames_per_second=100_000, max_bytes_per_second=10_000_000) as server,
        Proxy(server.port) as proxy,
        connect(proxy.port, ALICE) as alice,
        asyncio.timeout(20),
    ):
        await alice.create(resumable=False)
        # Each one is refused, for there is no peer; so many events are not kept.
        await _send_candidates(alice, 3000)
        await proxy.cut()
        with pytest.raises(dyad.Unavailable):
            await _send_candidates(alice, 100_000)


async def test_connections_do_not_affect_each_other() -> None:
    async with (
        serving() as server,
        Proxy(server.port) as proxy,
        connect(proxy.port, ALICE) as alice,
        connect(proxy.port, BOB) as bob,
        asyncio.timeout(10),
    ):
        await bob.join((await alice.create()).room_id)
        assert proxy.accepted == 2


async def test_closing_without_leaving_looks_like_a_lost_connection() -> None:
    async with serving() as server, connect(server.port, ALICE) as alice, asyncio.timeout(10):
        room = await alice.create()
        async with connect(server.port, BOB) as bob:
            await bob.join(room.room_id, resumable=False)
            await bob.send_offer("the last word")
        assert await anext(alice) == dyad.PeerJoined(BOB)
        assert await anext(alice) == dyad.Offer("the last word", BOB)
        assert await anext(alice) == dyad.PeerLeft(BOB, dyad.Departure.DISCONNECTED)


async def test_received_frames_are_acknowledged() -> None:
    acks: asyncio.Queue[int] = asyncio.Queue()

    async def script(requests: AsyncIterator[pb.SignalRequest], context: Context) -> None:
        await context.write(pb.SignalResponse(frames=[_joined()]))
        told = pb.Frame(room_id="r", join_room=pb.JoinRoom())
        await context.write(pb.SignalResponse(frames=[_numbered(told, n) for n in range(2, 102)]))
        async for request in requests:
            acks.put_nowait(request.frames[-1].ack)

    async with scripted(script) as port, connect(port, ALICE) as alice, asyncio.timeout(10):
        await alice.create()
        for _ in range(100):
            await anext(alice)
        await alice.send_offer("any")
        while await acks.get() != 101:
            pass


async def test_a_gap_in_the_numbers_ends_the_connection() -> None:
    over = asyncio.Event()

    async def script(requests: AsyncIterator[pb.SignalRequest], context: Context) -> None:
        try:
            told = pb.Frame(room_id="r", join_room=pb.JoinRoom())
            frames = [_joined(), _numbered(told, 2), _numbered(told, 4)]
            await context.write(pb.SignalResponse(frames=frames))
            async for _ in requests:
                pass
        finally:
            over.set()

    async with scripted(script) as port, connect(port, ALICE) as alice, asyncio.timeout(10):
        await alice.create()
        assert isinstance(await anext(alice), dyad.PeerJoined)
        with pytest.raises(dyad.TakenOver):
            await anext(alice)
        await over.wait()


def _joined() -> pb.Frame:
    return pb.Frame(room_id="r", seq=1, reply_to=1, join_room=pb.JoinRoom())


def _numbered(frame: pb.Frame, seq: int) -> pb.Frame:
    numbered = pb.Frame()
    numbered.CopyFrom(frame)
    numbered.seq = seq
    return numbered


async def _refusal(connection: dyad.Connection) -> dyad.Refusal:
    event = await anext(connection)
    assert isinstance(event, dyad.Refused)
    return event.code


async def _send_candidates(connection: dyad.Connection, count: int) -> None:
    for number in range(count):
        await connection.send_candidate(dyad.Candidate(str(number)))


async def _hear_candidates(connection: dyad.Connection, count: int) -> list[str]:
    heard: list[str] = []
    while len(heard) < count:
        event = await anext(connection)
        if isinstance(event, dyad.Candidate):
            heard.append(event.candidate)
    return heard


async def _last(connection: dyad.Connection) -> None:
    async for _ in connection:
        pass
