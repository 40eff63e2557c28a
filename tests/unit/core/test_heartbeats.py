"""Heartbeats and leases, with a fake clock."""

import weakref
from dataclasses import dataclass, field
from itertools import pairwise

from dyad_server.core.commands import Identity
from dyad_server.core.heartbeats import Heartbeats
from dyad_server.core.participant import Connection, Participant
from dyad_server.core.session import Session

from tests.unit.core.outlet import Silent

HEARTBEAT, LEASE, START = 10.0, 25.0, 1000.0
TICK = HEARTBEAT / 8


@dataclass
class Written(Silent):
    """An outlet that records when heartbeats are due."""

    world: "World"
    beats: list[float] = field(default_factory=list)

    def beat(self) -> None:
        self.beats.append(self.world.now)


class World:
    def __init__(self) -> None:
        self.now = START
        self.broken: dict[Connection, float] = {}
        self.heartbeats = Heartbeats(HEARTBEAT, LEASE, self._break)

    def _break(self, connection: Connection) -> None:
        self.broken[connection] = self.now
        self.close(connection)

    def close(self, connection: Connection) -> None:
        connection.open = False
        self.heartbeats.forget(connection)

    def open(self, *, numbered: bool = True) -> tuple[Connection, Written]:
        outlet = Written(self)
        participant = Participant(Identity("alice"), Session(1, 1, lambda _: 0))
        connection = Connection(participant, outlet, "127.0.0.1", b"", "")
        if numbered:
            participant.session.arrive(1)
        self.heartbeats.watch(connection, self.now)
        return connection, outlet

    def run(self, seconds: float, *, hears: Connection | None = None) -> None:
        """Let time pass; the connection `hears` receives messages all the time."""
        until = self.now + seconds
        while self.now < until:
            if hears is not None:
                hears.heard_at = self.now
            self.now += self.heartbeats.tick(self.now)


def test_an_idle_participant_gets_a_heartbeat_each_interval() -> None:
    world = World()
    connection, outlet = world.open()
    world.run(100, hears=connection)
    gaps = [later - sooner for sooner, later in pairwise([START, *outlet.beats])]
    assert len(outlet.beats) >= 8
    assert all(HEARTBEAT <= gap <= HEARTBEAT + 2 * TICK for gap in gaps)


def test_an_active_participant_gets_no_heartbeats() -> None:
    world = World()
    connection, outlet = world.open()
    for _ in range(20):
        connection.sent_at = connection.heard_at = world.now
        world.run(5)
    assert outlet.beats == []


def test_a_participant_that_only_receives_gets_heartbeats() -> None:
    world = World()
    connection, outlet = world.open()
    for _ in range(4):
        connection.sent_at = world.now
        world.run(5)
    assert len(outlet.beats) in (1, 2)


def test_a_silent_participant_is_disconnected_when_its_lease_ends() -> None:
    world = World()
    connection, outlet = world.open()
    world.run(40)
    assert LEASE <= world.broken[connection] - START <= LEASE + 2 * TICK
    assert len(outlet.beats) == 2


def test_any_message_renews_the_lease() -> None:
    world = World()
    connection, _ = world.open()
    for _ in range(10):
        world.run(24)
        connection.heard_at = world.now
    assert not world.broken


def test_a_session_that_never_numbered_a_frame_gets_heartbeats_but_has_no_lease() -> None:
    world = World()
    connection, outlet = world.open(numbered=False)
    world.run(100)
    assert not world.broken
    assert len(outlet.beats) >= 8
    connection.participant.session.arrive(1)
    world.run(HEARTBEAT + 1)
    assert connection in world.broken


def test_a_process_that_was_frozen_does_not_disconnect_its_participants() -> None:
    world = World()
    connection, outlet = world.open()
    world.now += 60
    world.heartbeats.tick(world.now)
    assert not world.broken
    assert len(outlet.beats) == 1
    world.run(LEASE - 2)
    assert not world.broken
    world.run(5)
    assert connection in world.broken


def test_a_closed_connection_is_forgotten_at_once() -> None:
    world = World()
    for _ in range(100):
        connection, outlet = world.open()
        world.run(3)
        world.close(connection)
        assert not world.heartbeats
        gone = weakref.ref(outlet)
        del connection, outlet
        assert gone() is None, "a closed connection stays in memory"


def test_many_due_connections_are_handled_in_batches() -> None:
    world = World()
    outlets = [world.open()[1] for _ in range(1000)]
    while not any(outlet.beats for outlet in outlets):
        world.now += world.heartbeats.tick(world.now)
    before = 0
    while (beats := sum(len(outlet.beats) for outlet in outlets)) < 1000:
        assert beats - before <= 100, "one batch has all of them"
        before = beats
        world.now += world.heartbeats.tick(world.now)
    assert world.now - START < HEARTBEAT + 3 * TICK
    assert all(len(outlet.beats) == 1 for outlet in outlets)


def test_each_of_many_connections_is_checked_when_it_is_due() -> None:
    world = World()
    opened = []
    for _ in range(50):
        opened.append((world.now, *world.open()))
        world.run(0.7)
    world.run(2)
    for opened_at, connection, outlet in opened:
        beats = [at for at in (opened_at + HEARTBEAT, opened_at + 2 * HEARTBEAT) if at < world.now]
        assert connection in world.broken or len(outlet.beats) in (len(beats), len(beats) - 1)
