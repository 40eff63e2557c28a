"""What tests need of the Python client."""

import dataclasses

import dyad

UNBOUND = dyad.Limits(frames_per_second=1_000_000, bytes_per_second=1_000_000_000)
"""For servers whose limits are not what is tested."""


async def hear(connection: dyad.Connection) -> dyad.Event:
    """The next event, without its room id: tests compare events of a room with each other."""
    return bare(await anext(aiter(connection)))


def bare(event: dyad.Event) -> dyad.Event:
    """The event without its room id, which must be there."""
    assert event.room_id
    if isinstance(event, dyad.Refused | dyad.Reconnected):
        return event
    return dataclasses.replace(event, room_id="")
