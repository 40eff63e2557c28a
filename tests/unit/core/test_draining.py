"""What a drain does in its first turn of the event loop, before any answer of the engine."""

import asyncio

from dyad_server.core.commands import Enter, Input
from dyad_server.core.draining import drain
from dyad_server.core.hub import Hub
from dyad_server.core.ports import Observers
from dyad_server.core.states import State

from tests.support.fake_clock import FakeClock
from tests.unit.core.test_hub import Client, SlowBroker, limits


async def test_a_participant_ends_before_the_seat_that_it_has_asked_for_can_come() -> None:
    clock = FakeClock()
    hub = Hub(lambda hub: (SlowBroker(hub.deliver), None), limits(), Observers(), clock)
    alice = Client(hub, "alice")
    hub.receive(alice.connection, Input(0, 0, 100, Enter("", resumable=True)))
    assert alice.connection.participant.state is State.ENTERING
    draining = asyncio.create_task(drain(hub, Observers(), clock, 5.0))
    await asyncio.sleep(0)
    assert alice.ended == 1
    await draining
