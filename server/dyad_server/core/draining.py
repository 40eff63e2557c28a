"""A server that goes away sends its participants elsewhere, a batch at a time."""

import asyncio
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dyad_server.core.clock import Clock
from dyad_server.core.hub import Hub
from dyad_server.core.participant import Participant
from dyad_server.core.ports import Observer
from dyad_server.errors import Draining

# Small enough that other work on the loop waits for milliseconds only.
_BATCH = 200


@dataclass(frozen=True, slots=True)
class Drained:
    """What became of the participants.

    Attributes:
        handed_over: their seats wait for them on the other nodes.
        lost: their seats should have been handed over and were not.
        ended: they had no seat that another node could take over.
    """

    handed_over: int
    lost: int
    ended: int


async def drain(hub: Hub, observer: Observer, clock: Clock, seconds: float) -> Drained:
    """End every connection of `hub` with `Draining` and open no more.

    Where there are other nodes, the seats of those who may resume are handed
    over to them. What cannot be handed over within `seconds` is lost; `observer`
    is told of each.
    """
    deadline = clock.monotonic() + seconds
    hub.go_away()
    going = hub.going()
    staying: list[Participant] = []
    ending: list[Participant] = []
    for participant in hub:
        (staying if hub.handoff and participant.resume_token else ending).append(participant)
    await _end(hub, ending, going)
    # The two of a room together, or for a while one would look for the other.
    staying.sort(key=lambda participant: participant.room_id)
    outcomes: list[bool] = []
    for batch in _batches(staying):
        kept = await _hand_over(hub, batch, going, deadline - clock.monotonic())
        for outcome in kept:
            observer.handed_off(kept=outcome)
        outcomes += kept
    return Drained(outcomes.count(True), outcomes.count(False), len(ending))


async def _end(hub: Hub, ending: Sequence[Participant], going: Draining) -> None:
    # All are struck off first, so that no one is told of a peer that goes too.
    for act in (hub.strike, hub.clear):
        for batch in _batches(ending):
            for participant in batch:
                act(participant, going)
            await asyncio.sleep(0)


async def _hand_over(
    hub: Hub, batch: Sequence[Participant], going: Draining, left: float
) -> list[bool]:
    """Hand over those of `batch` that are still here; whether each one was."""
    there = [participant for participant in batch if not participant.over]
    if hub.handoff is None or left <= 0:
        for participant in there:
            hub.end(participant, going)
        await asyncio.sleep(0)
        return [False] * len(there)
    return await asyncio.gather(
        *(hub.handoff.hand_off(participant, going, left) for participant in there)
    )


def _batches(participants: Sequence[Participant]) -> Iterator[Sequence[Participant]]:
    for start in itertools.count(0, _BATCH):
        if start >= len(participants):
            return
        yield participants[start : start + _BATCH]
