"""What an app can watch of the Python client: its state and its log."""

import asyncio
import logging
import re

import dyad
import pytest
from dyad_server.auth.mint import mint

from tests.conftest import SECRET, serving
from tests.integration.clients import ALICE, BOB, connect
from tests.integration.party import pair
from tests.support.clock import within
from tests.support.proxy import Proxy
from tests.support.python_client import hear
from tests.support.until import PATIENCE, until

PHASES = dyad.Phase


async def test_the_states_of_a_call_are_told_in_order() -> None:
    told: list[dyad.State] = []

    async def watch() -> None:
        async for state in connection.states():
            # The app meets the state that it is told of.
            assert connection.state == state
            told.append(state)

    async with serving() as server, Proxy(server.port) as network, asyncio.timeout(PATIENCE):
        async with connect(network.port, ALICE) as connection:
            watching = asyncio.create_task(watch())
            await until(lambda: bool(told))
            await connection.create()
            await network.refuse()
            await network.cut()
            await until(lambda: told[-1].attempt == 3)
            await network.accept()
            await until(lambda: told[-1].phase is PHASES.CONNECTED)
            await connection.leave()
            await until(lambda: told[-1].phase is PHASES.IDLE)
        await watching
    losing = [state for state in told if state.phase is PHASES.RECONNECTING]
    assert [state.attempt for state in losing[:3]] == [1, 2, 3]
    assert all(isinstance(state.error, dyad.Unavailable) for state in losing)
    others = [state for state in told if state not in losing]
    assert [state.phase for state in others] == [
        PHASES.IDLE,
        PHASES.CONNECTING,
        PHASES.CONNECTED,
        PHASES.CONNECTED,
        PHASES.IDLE,
        PHASES.ENDED,
    ]
    assert all(state.error is None for state in others)


async def test_an_end_is_a_state_with_its_error() -> None:
    async with (
        serving() as server,
        pair(server) as (_, bob),
        connect(server.port, BOB) as phone,
        asyncio.timeout(PATIENCE),
    ):
        await phone.join(bob.room.room_id)
        with pytest.raises(dyad.TakenOver) as end:
            await hear(bob.connection)
        assert bob.connection.state == dyad.State(PHASES.ENDED, error=end.value)
        await bob.connection.close()
        assert bob.connection.state == dyad.State(PHASES.ENDED)


async def test_a_refused_room_leaves_the_connection_idle() -> None:
    async with serving() as server, connect(server.port, ALICE) as alice:
        with pytest.raises(dyad.Refused):
            await alice.join("6c1f3c3e-9d2c-4b7e-8f53-0d6f3f9f7a10")
        assert alice.state == dyad.State(PHASES.IDLE)


async def test_a_change_of_the_network_reconnects_at_once() -> None:
    async with serving() as server, pair(server) as (alice, bob), asyncio.timeout(PATIENCE):
        bob.network.stall(new=False)
        await alice.say("hello")
        async with within(2):
            bob.connection.network_changed()
            assert await bob.hear_said() == "hello"
        assert (bob.losses, bob.returns) == (1, 1)


async def test_a_change_of_the_network_ends_the_wait_for_the_next_attempt() -> None:
    async with serving() as server, pair(server) as (alice, bob), asyncio.timeout(PATIENCE):
        await bob.network.refuse()
        await bob.network.cut()
        # Now it waits up to 4 s before each attempt.
        await until(lambda: bob.connection.state.attempt > 5)
        await bob.network.accept()
        bob.connection.network_changed()
        await alice.say("hello")
        assert await bob.hear_said() == "hello"


async def test_a_change_of_the_network_harms_no_connection_that_cannot_resume() -> None:
    async with (
        serving() as server,
        connect(server.port, ALICE) as alice,
        connect(server.port, BOB) as bob,
        asyncio.timeout(PATIENCE),
    ):
        bob.network_changed()
        room = await alice.create(resumable=False)
        alice.network_changed()
        await bob.join(room.room_id)
        assert await hear(alice) == dyad.PeerJoined(BOB)


async def test_the_log_tells_what_happens_and_nothing_personal(
    caplog: pytest.LogCaptureFixture,
) -> None:
    secret = "my private SDP"
    with caplog.at_level(logging.DEBUG, "dyad"):
        async with serving() as server, pair(server) as (alice, bob), asyncio.timeout(PATIENCE):
            await alice.connection.send_offer(secret)
            assert await bob.hear() == dyad.Offer(secret, ALICE)
            await bob.network.refuse()
            await bob.network.cut()
            await until(lambda: bob.connection.state.attempt > 2)
            await bob.network.accept()
            await alice.say(secret)
            assert await bob.hear_said() == secret
    said = "\n".join(record.getMessage() for record in caplog.records if record.name == "dyad")
    assert "entered a room" in said
    assert "the connection broke, reconnecting" in said
    assert "attempt 1 to reconnect failed" in said
    assert "reconnected, nothing was lost" in said
    for personal in (secret, ALICE.email, BOB.email, "eyJ", alice.room.room_id):
        assert personal not in said


def test_the_log_is_silent_unless_the_app_asks_for_it() -> None:
    log = logging.getLogger("dyad")
    assert [type(handler) for handler in log.handlers] == [logging.NullHandler]
    assert log.level == logging.NOTSET


def test_printing_an_event_shows_nothing_personal() -> None:
    someone = dyad.Participant("id", "a@x")
    events = [
        dyad.PeerJoined(someone, "r"),
        dyad.PeerLeft(someone, dyad.Departure.LEFT, "r"),
        dyad.Offer("my SDP", someone, "r"),
        dyad.Answer("my SDP", someone, "r"),
        dyad.Candidate("my SDP", "0", 0, "my SDP", someone, "r"),
        dyad.Reconnected(dyad.Room("r", someone, polite=True), resumed=True),
    ]
    for shown in (*map(repr, events), *map(str, events)):
        assert "a@x" not in shown
        assert "my SDP" not in shown


async def test_a_connection_knows_the_id_of_its_stream_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "dyad")
    async with serving() as server, Proxy(server.port) as network, asyncio.timeout(PATIENCE):
        alice = connect(network.port, ALICE)
        assert alice.stream_id == ""
        await alice.create()
        first = alice.stream_id
        await network.cut()
        await until(lambda: alice.stream_id != first)
        second = alice.stream_id
        await alice.close()
        assert alice.stream_id == second
        await until(lambda: caplog.text.count("stream ended ") == 2)
    logged = re.findall(r"stream ended stream=(\w+)", caplog.text)
    assert sorted(logged) == sorted([first, second])


async def test_a_connection_that_was_ended_without_a_message_knows_its_id_too() -> None:
    bound = mint(SECRET, sub="alice", email="", ttl=60, room="another")
    async with serving() as server:
        alice = dyad.connect(f"127.0.0.1:{server.port}", bound, plaintext=True)
        with pytest.raises(dyad.Forbidden):
            await alice.create()
        assert re.fullmatch("[0-9a-f]{16}", alice.stream_id)
