"""Draining: a server that stops sends its participants to other nodes, in batches."""

import asyncio
import itertools
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dyad_server.core import bounds
from dyad_server.core.clock import Clock
from dyad_server.core.hub import Hub
from dyad_server.core.participant import Participant
from dyad_server.core.ports import Observer
from dyad_server.core.states import State
from dyad_server.errors import Draining


@dataclass(frozen=True, slots=True)
class Drained:
    """What became of the participants.

    Attributes:
        handed_off: how many were handed off to the other nodes.
        lost: how many could have been handed off, and were not.
        ended: how many had no seat that another node could take over, or had just hung up.
    """

    handed_off: int
    lost: int
    ended: int


async def drain(hub: Hub, observer: Observer, clock: Clock, seconds: float) -> Drained:
    """End every connection of `hub` with `Draining`, and refuse new ones.

    Where there are other nodes, participants that may resume are handed off to them,
    within `seconds`. `observer` is told of each.
    """
    began = clock.monotonic()
    deadline = began + seconds
    hub.go_away()
    going = hub.going()
    staying: list[Participant] = []
    ending: list[Participant] = []
    for participant in hub:
        goes_on = participant.resume_token or participant.leaving
        (staying if hub.handoff and goes_on else ending).append(participant)
    await _end(hub, ending, going)
    # Peers go together: otherwise one would have to look for the other for a while.
    staying.sort(key=lambda participant: participant.room_id)
    by_store: defaultdict[str, list[Participant]] = defaultdict(list)
    for participant in staying:
        by_store[hub.handoff.store_of(participant) if hub.handoff else ""].append(participant)
    outcomes: list[bool] = []

    async def hand_off(leaving: Sequence[Participant]) -> None:
        for batch in _batches(leaving):
            await _hang_ups(batch, clock, min(began + bounds.HANG_UP_SECONDS, deadline))
            kept = await _hand_off(hub, batch, going, deadline - clock.monotonic())
            for outcome in kept:
                observer.handed_off(kept=outcome)
            outcomes.extend(kept)

    # All stores at once: one that is away keeps only its own participants waiting.
    await asyncio.gather(*map(hand_off, by_store.values()))
    ended = len(ending) + len(staying) - len(outcomes)
    return Drained(outcomes.count(True), outcomes.count(False), ended)


async def _end(hub: Hub, ending: Sequence[Participant], going: Draining) -> None:
    # The seats of these may come at any moment. Their peers would hear that they have joined, and
    # then that they are disconnected.
    for participant in ending:
        if participant.state is State.ENTERING:
            hub.end(participant, going)
    there = [participant for participant in ending if not participant.gone]
    # All are removed first: otherwise some would be told of a peer that ends too.
    for batch in _batches(there):
        for participant in batch:
            hub.lifecycle.strike(participant)
        await asyncio.sleep(0)
    for batch in _batches(there):
        for participant in batch:
            hub.lifecycle.clear(participant, going)
        await asyncio.sleep(0)


async def _hang_ups(batch: Sequence[Participant], clock: Clock, until: float) -> None:
    """Wait until the hang-ups that are under way in `batch` are answered.

    If their peers are handed off before that, the next node tells them only that the
    participant is gone.
    """
    while clock.monotonic() < until and any(each.leaving and not each.gone for each in batch):  # noqa: ASYNC110 - nothing tells
        await asyncio.sleep(bounds.HANG_UP_PAUSE_SECONDS)


async def _hand_off(
    hub: Hub, batch: Sequence[Participant], going: Draining, left: float
) -> list[bool]:
    """Hand off those of `batch` that are still here; whether each one was handed off."""
    for participant in batch:
        if not _stays(participant):
            # It hung up during the drain, so no seat is lost.
            hub.end(participant, going)
    there = [participant for participant in batch if not participant.gone]
    if hub.handoff is None or left <= 0:
        for participant in there:
            hub.end(participant, going)
        await asyncio.sleep(0)
        return [False] * len(there)
    return await asyncio.gather(
        *(hub.handoff.hand_off(participant, going, left) for participant in there)
    )


def _stays(participant: Participant) -> bool:
    """Whether it has a seat to take back, and has not hung up."""
    return bool(participant.resume_token) and not participant.leaving


def _batches(participants: Sequence[Participant]) -> Iterator[Sequence[Participant]]:
    for start in itertools.count(0, bounds.DRAIN_BATCH):
        if start >= len(participants):
            return
        yield participants[start : start + bounds.DRAIN_BATCH]
