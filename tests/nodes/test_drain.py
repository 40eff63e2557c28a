"""The drain of a full node: no seat is lost, and reconnects are spread over time."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TypeVar

import pytest
from dyad_server.composition import Dyad
from dyad_server.config import Config
from dyad_server.core.commands import Enter, Identity, Input, Leave
from dyad_server.core.events import Departure, PeerLeft
from dyad_server.core.participant import Connection
from dyad_server.core.states import State
from dyad_server.errors import Draining, Ended, Unavailable
from redis.asyncio import Redis

from tests.conftest import SECRET
from tests.support.depth import depth
from tests.support.redis import RedisServer, settled_redis
from tests.support.until import until

T = TypeVar("T")
MOST_SEATS = 10_000
SEATS = depth("DRAIN_SEATS", here=2_500, ci=MOST_SEATS)
GRACE_SECONDS = 600.0
PATIENCE = 60.0
_MOST_IN_A_TURN = 500
_AT_ONCE = 50


class Turns:
    """Counts how many participants a drain ends in one turn of the event loop."""

    def __init__(self) -> None:
        self.most = 0
        self._now = 0

    def count(self) -> None:
        if not self._now:
            asyncio.get_running_loop().call_soon(self._over)
        self._now += 1

    def _over(self) -> None:
        self.most = max(self.most, self._now)
        self._now = 0


class Guest:
    """The writing side of a participant without a transport."""

    transport = "Signal"

    def __init__(self, user: str) -> None:
        self.identity = Identity(user)
        self.connection: Connection
        self.ended: Ended | None = None
        self._dyad: Dyad | None = None
        self._news = asyncio.Event()
        self.turns: Turns | None = None

    def wake(self) -> None:
        """See `participant.Outlet`."""
        self._news.set()

    def beat(self) -> None:
        pass

    def end(self, failure: Ended) -> None:
        self.ended = failure
        if self.turns is not None:
            self.turns.count()
        self._news.set()

    def connect(self, dyad: Dyad, enter: Enter) -> None:
        if self.ended is not None and self._dyad is dyad:
            # As its transport does.
            dyad.hub.release(self.connection)
        self._dyad = dyad
        self.ended = None
        self.connection = dyad.hub.open(self.identity, self, "192.0.2.1")
        dyad.hub.receive(self.connection, Input(0, 0, 100, enter))

    def heard(self, kind: type[T]) -> list[T]:
        """What it was told of this kind, and has not acknowledged."""
        *_, kept = self.connection.participant.session.state()
        return [output.event for output in kept if isinstance(output.event, kind)]

    def hang_up(self, dyad: Dyad) -> None:
        leave = Leave(self.connection.participant.room_id)
        dyad.hub.receive(self.connection, Input(0, 0, 100, leave))

    async def is_seated(self, dyad: Dyad, enter: Enter) -> None:
        """Join; try again if Redis does not answer a busy machine in time."""
        self.connect(dyad, enter)
        async with asyncio.timeout(4 * PATIENCE):
            while not self._is_seated():
                self._news.clear()
                await self._news.wait()
                if self.ended is not None:
                    assert isinstance(self.ended, Unavailable), self.ended
                    self.connect(dyad, enter)

    def _is_seated(self) -> bool:
        participant = self.connection.participant
        return participant.connection is self.connection and participant.state is State.SEATED


@asynccontextmanager
async def node(
    redis: RedisServer | None, *, drain_timeout: float = 4 * PATIENCE, drain_spread: float = 0
) -> AsyncIterator[Dyad]:
    """A node without a transport."""
    dyad = Dyad(
        Config(
            jwt_secret=SECRET,
            redis=redis.url if redis else "",
            max_streams=MOST_SEATS + 1,
            max_streams_per_address=MOST_SEATS + 1,
            resume_grace=GRACE_SECONDS,
            # On a busy machine, it takes long until all are seated.
            join_timeout=GRACE_SECONDS,
            drain_timeout=drain_timeout,
            drain_spread=drain_spread,
        )
    )
    await dyad.start()
    try:
        yield dyad
    finally:
        # The timers of a participant that is still here would keep it in memory.
        for participant in tuple(dyad.hub):
            dyad.hub.end(participant, dyad.hub.going())
        await dyad.stop()


async def all_seated(dyad: Dyad, guests: list[Guest], enters: list[Enter]) -> None:
    """Join all guests, in batches that Redis can answer in time."""
    for start in range(0, len(guests), _AT_ONCE):
        batch = slice(start, start + _AT_ONCE)
        await asyncio.gather(
            *(
                guest.is_seated(dyad, enter)
                for guest, enter in zip(guests[batch], enters[batch], strict=True)
            )
        )


async def seated(dyad: Dyad, count: int) -> list[Guest]:
    """Resumable participants, each in its own room."""
    guests = [Guest(f"user-{number}") for number in range(count)]
    await all_seated(dyad, guests, [Enter("", resumable=True) for _ in guests])
    return guests


@pytest.mark.long
@pytest.mark.xdist_group("busy")
@pytest.mark.timeout(300)
@pytest.mark.usefixtures("patient_nodes")
async def test_thousands_of_seats_are_handed_off_and_resumed_without_loss(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "dyad")
    async with (
        settled_redis() as redis,
        Redis(port=redis.port) as client,
        node(redis) as first,
        node(redis) as second,
    ):
        guests = await seated(first, SEATS)
        tokens = [guest.connection.participant.resume_token for guest in guests]
        rooms = [guest.connection.participant.room_id for guest in guests]
        turns = Turns()
        for guest in guests:
            guest.turns = turns
        began = time.process_time()
        drained = await first.drain()
        spent = time.process_time() - began
        assert (drained.handed_off, drained.lost, drained.ended) == (SEATS, 0, 0)
        assert f"drained handed_off={SEATS} lost=0 ended=0" in caplog.text
        counted = first.metrics.registry.get_sample_value
        assert counted("dyad_seats_handed_off_total", {"outcome": "kept"}) == SEATS
        assert counted("dyad_seats_handed_off_total", {"outcome": "lost"}) == 0
        assert 0 < turns.most <= _MOST_IN_A_TURN
        assert len(first.hub) == 0
        assert len(await client.keys("dyad:handed-off:*")) == SEATS
        # Processor time, which does not depend on how busy the machine is: 10,000 seats take less
        # than a drain may.
        assert spent < Config(jwt_secret=SECRET).drain_timeout * SEATS / MOST_SEATS
        for guest in guests:
            assert isinstance(guest.ended, Draining)
            assert guest.ended.within == SEATS / 1000
        enters = [
            Enter(room, resume_token=token) for room, token in zip(rooms, tokens, strict=True)
        ]
        await all_seated(second, guests, enters)
        resumed = second.metrics.registry.get_sample_value
        assert resumed("dyad_seats_resumed_total") == SEATS


@pytest.mark.parametrize("engine", ["memory", "redis"])
async def test_a_drain_leaves_the_loop_to_others_between_two_batches(engine: str) -> None:
    async with AsyncExitStack() as stack:
        redis = None
        if engine == "redis":
            redis = await stack.enter_async_context(settled_redis())
        here = await stack.enter_async_context(node(redis))
        guests = await seated(here, _MOST_IN_A_TURN + 100)
        turns = Turns()
        for guest in guests:
            guest.turns = turns
        await here.drain()
        assert all(isinstance(guest.ended, Draining) for guest in guests)
        assert 0 < turns.most <= _MOST_IN_A_TURN


async def test_seats_that_cannot_be_handed_off_in_time_are_counted_and_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "dyad")
    async with (
        settled_redis() as redis,
        Redis(port=redis.port) as client,
        node(redis, drain_timeout=0.5) as here,
    ):
        guests = await seated(here, 300)
        await client.client_pause(60_000, all=False)
        drained = await here.drain()
        assert (drained.handed_off, drained.lost) == (0, 300)
        assert "WARNING" in caplog.text
        assert "drained handed_off=0 lost=300" in caplog.text
        counted = here.metrics.registry.get_sample_value
        assert counted("dyad_seats_handed_off_total", {"outcome": "lost"}) == 300
        assert all(isinstance(guest.ended, Draining) for guest in guests)
        await client.client_unpause()


async def test_a_participant_that_disconnects_during_the_drain_keeps_its_seat() -> None:
    async with settled_redis() as redis, node(redis) as first, node(redis) as second:
        guests = await seated(first, 600)
        # Seats are handed off in the order of their rooms.
        last = max(guests, key=lambda guest: guest.connection.participant.room_id)
        participant = last.connection.participant
        token, room_id = participant.resume_token, participant.room_id
        draining = asyncio.create_task(first.drain())
        await asyncio.sleep(0)
        assert first.hub.draining
        assert last.connection.open
        first.hub.close(last.connection)
        assert (await draining).lost == 0
        await last.is_seated(second, Enter(room_id, resume_token=token))


async def test_a_participant_that_has_just_hung_up_is_no_lost_seat(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "dyad")
    async with settled_redis() as redis, node(redis) as here:
        guests = await seated(here, 600)
        # Seats are handed off in the order of their rooms.
        guests.sort(key=lambda guest: guest.connection.participant.room_id)
        guests[0].hang_up(here)
        draining = asyncio.create_task(here.drain())
        await asyncio.sleep(0)
        assert here.hub.draining
        assert guests[-1].connection.open
        guests[-1].hang_up(here)
        drained = await draining
        assert (drained.handed_off, drained.lost, drained.ended) == (598, 0, 2)
        assert len(here.hub) == 0
        (line,) = (each for each in caplog.records if "drained" in each.getMessage())
        assert line.levelno == logging.INFO


async def test_a_peer_that_is_handed_off_hears_of_a_hang_up_under_way_as_one() -> None:
    async with settled_redis() as redis, node(redis) as first, node(redis) as second:
        alice, bob = Guest("alice"), Guest("bob")
        await alice.is_seated(first, Enter("", resumable=True))
        room_id = alice.connection.participant.room_id
        await bob.is_seated(first, Enter(room_id, resumable=True))
        token = bob.connection.participant.resume_token
        # Redis frees her seat before it takes his, but this node hears of both afterwards.
        alice.hang_up(first)
        assert (await first.drain()).handed_off == 1
        assert isinstance(bob.ended, Draining)
        await first.stop()
        await bob.is_seated(second, Enter(room_id, resume_token=token))
        async with asyncio.timeout(PATIENCE):
            await until(lambda: bool(bob.heard(PeerLeft)))
        assert [event.reason for event in bob.heard(PeerLeft)] == [Departure.LEFT]


async def test_reconnects_after_a_drain_are_spread_by_the_number_of_participants() -> None:
    for seats, seconds in ((2, 2.0), (3000, 3.0), (6000, 5.0)):
        async with node(None, drain_spread=5.0) as here:
            guests = await seated(here, seats)
            await here.drain()
            assert len(here.hub) == 0
            for guest in guests:
                assert isinstance(guest.ended, Draining)
                assert guest.ended.within == seconds
