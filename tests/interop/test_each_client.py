"""Each client once, in the scenarios of clients/INTEROP.md where its peer makes no difference."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from dyad.v1 import signaling_pb2 as pb

from tests.browser.site import Proxy as Envoy
from tests.conftest import HOUR, serving, token
from tests.interop.conftest import BUILD, PairSite
from tests.interop.table import CLIENTS, before
from tests.support.ends import End, SignalEnd, join
from tests.support.html_front import html_front
from tests.support.proxy import Proxy
from tests.support.seats import hear, is_told_of_the_replacement
from tests.support.sides import CANDIDATES, Line, Program, Side, candidate, playing, sdp, written
from tests.support.status_front import status_front
from tests.support.token_file import token_file

LEFT: Line = {"event": "left"}
PEER_LEFT: Line = {"event": "peer_left", "reason": "LEFT"}
CAME_BACK: list[Line] = [{"event": "reconnecting"}, {"event": "reconnected", "resumed": True}]
UNREAD = 20
CLOSES_AS = {"python": "caller", "go": "callee", "kotlin": "caller", "web": "callee"}

pytestmark = pytest.mark.timeout(BUILD)


def user(name: str) -> str:
    """A new user for each test: limits count what a user has sent in other tests."""
    return f"{name}-{uuid.uuid4()}"


def created(room: str, peer: str) -> list[Line]:
    return [{"event": "created", "room": room}, {"event": "peer_joined", "peer": peer}]


def joined(room: str, peer: str) -> Line:
    return {"event": "joined", "room": room, "polite": True, "peer": peer}


async def first_of(due: Coroutine[Any, Any, object], end: Coroutine[Any, Any, object]) -> None:
    """Wait for `due`, unless `end` comes first: then no test need wait for what cannot come."""
    tasks = {asyncio.create_task(due), asyncio.create_task(end)}
    _, others = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for other in others:
        other.cancel()


@asynccontextmanager
async def hosted(site: PairSite, host: str) -> AsyncIterator[tuple[End, str, Callable[..., End]]]:
    """A participant of the test, the room that it has created, and what makes another one."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{site.server}") as channel:
        ends: list[End] = []

        def connect(sub: str) -> End:
            ends.append(SignalEnd(channel, token(sub)))
            return ends[-1]

        alice = connect(host)
        await alice.send(join())
        room = (await alice.hear()).room_id
        try:
            yield alice, room, connect
        finally:
            for end in ends:
                end.cut()


@pytest.fixture(params=CLIENTS)
def two_clients(request: pytest.FixtureRequest) -> tuple[Program, Program]:
    """A client, and the one before it."""
    names = request.param, before(request.param)
    closing, other = (request.getfixturevalue(f"{name}_program") for name in names)
    return closing, other


async def test_closing_while_reconnecting_hangs_up(
    two_clients: tuple[Program, Program], pair_site: PairSite
) -> None:
    closing, other = two_clients
    closes_as = CLOSES_AS[closing.client]
    alice, bob = user("alice"), user("bob")
    async with Proxy(pair_site.port(closing)) as network, playing() as start:

        async def starts(role: str, jwt: str, room: str = "") -> Side:
            closes = role == closes_as
            program, port = (closing, network.port) if closes else (other, pair_site.port(other))
            return await start(program, role, "closing", port, jwt=jwt, room=room)

        caller = await starts("caller", token(alice))
        room = (await caller.says("created"))["room"]
        callee = await starts("callee", token(bob), room)
        await caller.says("peer_joined")
        await callee.says("joined")
        cut, whole = (caller, callee) if closes_as == "caller" else (callee, caller)
        await network.refuse()
        await network.cut()
        await cut.says("closing")
        await network.accept()
        await cut.succeeds()
        await whole.succeeds()
    entered = {caller: created(room, bob), callee: [joined(room, alice)]}
    closed: list[Line] = [{"event": "reconnecting"}, {"event": "closing"}, {"event": "closed"}]
    assert cut.lines == entered[cut] + closed
    assert whole.lines == [*entered[whole], PEER_LEFT, LEFT]


@pytest.mark.parametrize("callee", CLIENTS, indirect=True)
async def test_a_token_that_expires_in_the_call_is_renewed(
    callee: Program, python_program: Program, pass_time: Callable[[], None], tmp_path: Path
) -> None:
    alice, bob = user("alice"), user("bob")
    async with (
        # In this process, so that an hour can pass on its clock.
        serving(end_at_expiry=True) as server,
        AsyncExitStack() as running,
        token_file(tmp_path / "token", lambda: token(bob)) as tokens,
        playing() as start,
    ):
        port = server.port
        if callee.web:
            port = (await running.enter_async_context(Envoy(port))).port
        calling = await start(
            python_program, "caller", "expiry", server.port, jwt=token(alice, ttl=3 * HOUR)
        )
        room = (await calling.says("created"))["room"]
        called = await start(callee, "callee", "expiry", port, jwt=tokens, room=room)
        await called.says("joined")
        pass_time()
        await called.succeeds()
        await calling.succeeds()
    offer: Line = {"event": "offer", "n": 1, "sdp": sdp("callee", "offer")}
    answer: Line = {"event": "answer", "n": 1, "sdp": sdp("caller", "answer")}
    assert calling.lines == [*created(room, bob), offer, PEER_LEFT, LEFT]
    assert called.lines == [joined(room, alice), *CAME_BACK, answer, LEFT]


@pytest.mark.parametrize("callee", CLIENTS, indirect=True)
async def test_a_proxy_that_refuses_with_html_is_a_disconnect(
    callee: Program, python_program: Program, pair_site: PairSite
) -> None:
    async with html_front() as front:
        seen = front.has_refused_all_ways
        await resumes_after(callee, python_program, pair_site, away=front.port, seen=seen)


@pytest.mark.parametrize("callee", CLIENTS, indirect=True)
async def test_a_status_that_dyad_did_not_send_is_a_disconnect_during_a_resume(
    callee: Program, python_program: Program, pair_site: PairSite
) -> None:
    async with status_front() as front, AsyncExitStack() as running:
        away = front.port
        if callee.web:
            away = (await running.enter_async_context(Envoy(away))).port
        seen = front.has_sent_all
        await resumes_after(callee, python_program, pair_site, away=away, seen=seen)


async def resumes_after(
    callee: Program,
    caller: Program,
    pair_site: PairSite,
    *,
    away: int,
    seen: Callable[[], Coroutine[Any, Any, object]],
) -> None:
    """Cut a callee off in a call, and lead its reconnects elsewhere for a while; it resumes.

    Args:
        callee: the client.
        caller: its peer, which must notice nothing.
        pair_site: where both connect.
        away: the port where its reconnects arrive meanwhile.
        seen: waits until the client has seen all that is there.
    """
    alice, bob = user("alice"), user("bob")
    async with Proxy(pair_site.port(callee)) as network, playing() as start:
        calling = await start(caller, "caller", "cut", pair_site.server, jwt=token(alice))
        room = (await calling.says("created"))["room"]
        called = await start(callee, "callee", "cut", network.port, jwt=token(bob), room=room)
        await called.says("candidate", n=CANDIDATES // 2)
        network.target = away
        await network.cut()
        await first_of(seen(), called.process.wait())
        network.target = pair_site.port(callee)
        await network.cut()
        await called.succeeds()
        await calling.succeeds()
    assert calling.lines == written("cut", "caller", room, bob)
    assert called.script == written("cut", "callee", room, alice)
    assert called.returns == CAME_BACK


@pytest.mark.parametrize("callee", CLIENTS, indirect=True)
async def test_a_client_whose_seat_another_device_takes_ends_and_stays_away(
    callee: Program, pair_site: PairSite
) -> None:
    alice, bob = user("alice"), user("bob")
    async with hosted(pair_site, alice) as (host, room, connect), playing() as start:
        called = await start(
            callee, "callee", "taken_over", pair_site.port(callee), jwt=token(bob), room=room
        )
        await called.says("joined")
        await hear(host, "join_room")
        await connect(bob).send(join(room))
        lines = await called.succeeds()
        await is_told_of_the_replacement(host, bob)
    assert lines == [joined(room, alice), {"event": "ended", "code": "ABORTED", "retry": False}]


@pytest.mark.parametrize("callee", CLIENTS, indirect=True)
async def test_an_offer_over_the_limit_is_refused_by_the_client_and_the_call_goes_on(
    callee: Program, pair_site: PairSite
) -> None:
    alice, bob = user("alice"), user("bob")
    async with hosted(pair_site, alice) as (host, room, _), playing() as start:
        called = await start(
            callee, "callee", "too_large", pair_site.port(callee), jwt=token(bob), room=room
        )
        await hear(host, "join_room")
        assert (await hear(host, "offer")).offer.sdp == sdp("callee", "offer")
        answer = pb.SessionDescription(sdp=sdp("caller", "answer"))
        await host.send(pb.Frame(room_id=room, answer=answer))
        lines = await called.succeeds()
        assert (await hear(host, "leave_room")).leave_room.reason == pb.LeaveRoom.REASON_LEFT
    answered: Line = {"event": "answer", "n": 1, "sdp": sdp("caller", "answer")}
    assert lines == [joined(room, alice), {"event": "too_large"}, answered, LEFT]


async def test_a_seat_that_a_client_keeps_is_taken_by_another_client(
    two_clients: tuple[Program, Program], pair_site: PairSite
) -> None:
    alice, bob = user("alice"), user("bob")
    offer: Line = {"event": "offer", "n": 1, "sdp": sdp("caller", "offer")}
    async with hosted(pair_site, alice) as (host, room, connect), playing() as start:
        for again, program in enumerate(two_clients):
            called = await start(
                program, "callee", "detach", pair_site.port(program), jwt=token(bob), room=room
            )
            await called.says("joined")
            if again:
                await is_told_of_the_replacement(host, bob)
            else:
                await hear(host, "join_room")
            await host.send(
                pb.Frame(room_id=room, offer=pb.SessionDescription(sdp=sdp("caller", "offer")))
            )
            assert (await hear(host, "answer")).answer.sdp == sdp("callee", "answer")
            assert await called.succeeds() == [joined(room, alice), offer, {"event": "detached"}]
            carol = connect(user("carol"))
            await carol.send(join(room))
            assert (await carol.hear()).error.code == pb.Error.CODE_ROOM_FULL


@pytest.mark.parametrize("callee", CLIENTS, indirect=True)
async def test_unread_events_of_the_last_room_do_not_reach_the_next(
    callee: Program, pair_site: PairSite
) -> None:
    alice, bob = user("alice"), user("bob")
    async with hosted(pair_site, alice) as (host, room, connect), playing() as start:
        called = await start(
            callee, "callee", "again", pair_site.port(callee), jwt=token(bob), room=room
        )
        await hear(host, "join_room")
        await host.send(*(trickled(room, n) for n in range(1, UNREAD + 1)))
        assert (await hear(host, "leave_room")).leave_room.reason == pb.LeaveRoom.REASON_LEFT
        second = (await called.says("created"))["room"]
        await connect(alice).send(join(second))
        lines = await called.succeeds()
    first: Line = {"event": "candidate", "n": 1, "candidate": candidate(1)}
    assert lines == [joined(room, alice), first, LEFT, *created(second, alice), LEFT]


def trickled(room: str, n: int) -> pb.Frame:
    """Candidate `n` of the script, as the caller sends it."""
    odd = n % 2 == 1
    return pb.Frame(
        room_id=room,
        ice_candidate=pb.IceCandidate(
            candidate=candidate(n),
            sdp_mid="0" if odd else None,
            sdp_m_line_index=0,
            username_fragment="caller" if odd else None,
        ),
    )
