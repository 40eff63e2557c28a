"""The Python client in a call: what the app asks for, and the events it gets."""

import asyncio
from collections.abc import Awaitable, Callable

import dyad
import pytest

from tests.conftest import serving, token
from tests.integration.clients import ALICE, BOB, connect
from tests.support.proxy import Proxy
from tests.support.python_client import hear
from tests.support.until import PATIENCE


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
        asyncio.timeout(PATIENCE),
    ):
        created = await alice.create()
        joined = await bob.join(created.room_id)
        assert (created.peer, created.polite) == (None, False)
        assert joined == dyad.Room(created.room_id, ALICE, polite=True)
        assert await hear(alice) == dyad.PeerJoined(BOB)
        await alice.send_offer("the offer")
        for candidate in sent:
            await alice.send_candidate(candidate)
        assert await hear(bob) == dyad.Offer("the offer", ALICE)
        assert [await hear(bob) for _ in sent] == [
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
        assert await hear(alice) == dyad.Answer("the answer", BOB)
        assert await hear(alice) == dyad.PeerLeft(BOB, dyad.Departure.LEFT)
        await alice.leave()
        assert [event async for event in alice] == []


async def test_a_client_that_left_may_enter_another_room() -> None:
    async with serving() as server, connect(server.port, ALICE) as alice, asyncio.timeout(PATIENCE):
        first = await alice.create()
        await alice.leave()
        second = await alice.create()
        assert first.room_id != second.room_id
        await alice.send_offer("nobody hears it")
        assert await _refusal(alice) is dyad.Refusal.PEER_ABSENT


async def test_a_refused_join_raises_and_another_room_may_be_entered() -> None:
    async with serving() as server, connect(server.port, ALICE) as alice, asyncio.timeout(PATIENCE):
        with pytest.raises(dyad.Refused) as refused:
            await alice.join("6c1f3c3e-9d2c-4b7e-8f53-0d6f3f9f7a10")
        assert refused.value.code is dyad.Refusal.ROOM_NOT_FOUND
        with pytest.raises(dyad.Refused) as refused:
            await alice.send_offer("in no room")
        assert refused.value.code is dyad.Refusal.NOT_IN_ROOM
        assert (await alice.create()).peer is None


async def test_a_refused_offer_is_an_event_and_the_stream_continues() -> None:
    async with (
        serving() as server,
        connect(server.port, ALICE) as alice,
        connect(server.port, BOB) as bob,
        asyncio.timeout(PATIENCE),
    ):
        room = await alice.create()
        await alice.send_offer("nobody hears it")
        assert await _refusal(alice) is dyad.Refusal.PEER_ABSENT
        await bob.join(room.room_id)
        assert await hear(alice) == dyad.PeerJoined(BOB)


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
        dyad.connect(f"127.0.0.1:{server.port}", function, plaintext=True) as alice,
        asyncio.timeout(PATIENCE),
    ):
        await alice.create()
        assert asked == [kind]


async def test_connections_do_not_affect_each_other() -> None:
    async with (
        serving() as server,
        Proxy(server.port) as proxy,
        connect(proxy.port, ALICE) as alice,
        connect(proxy.port, BOB) as bob,
        asyncio.timeout(PATIENCE),
    ):
        await bob.join((await alice.create()).room_id)
        assert proxy.accepted == 2


async def _refusal(connection: dyad.Connection) -> dyad.Refusal:
    event = await hear(connection)
    assert isinstance(event, dyad.Refused)
    return event.code
