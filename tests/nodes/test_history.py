"""Joins and leaves of a room, from any node, are answered as if they came one after the other."""

import asyncio
import itertools
import os
import random
import secrets
import time
import uuid
from collections import defaultdict
from collections.abc import Iterator

import pytest
from dyad_server.core.events import (
    Departure,
    Event,
    Joined,
    Left,
    Member,
    Refusal,
    Refused,
)

from tests.nodes.brokers import NODES, Guest, Party, party, sharded_party
from tests.nodes.history import Operation, What, contradiction
from tests.support.depth import depth

OPERATIONS = depth("STORM_OPERATIONS", here=8_000, ci=20_000)
SEED = os.environ.get("STORM_SEED") or secrets.token_hex(4)
CLIENTS = 25
ROOMS_AT_ONCE = 6
OPERATIONS_PER_ROOM = 120

# What each node has in `--redis` in each step of a rollout; the same steps, the other way
# round, take a Redis out of use.
_OPEN, _CHANGING, _CLOSED = ("a", "b"), ("a", "b:changing"), ("a", "b:closed")
STEPS = {
    "closing": (("a",), _CLOSED, _CLOSED),
    "changing": (_CLOSED, _CHANGING, _CLOSED),
    "opening": (_CHANGING, _OPEN, _OPEN),
    "open": (_OPEN, _OPEN, _OPEN),
}

ALICE, BOB, CAROL = (Member(name, name) for name in ("alice", "bob", "carol"))
FULL = Refused(Refusal.ROOM_FULL, "")
NOT_FOUND = Refused(Refusal.ROOM_NOT_FOUND, "")
CREATED = Operation("alice", What.CREATE, 0, 1, Joined(None, polite=False))
BOB_JOINED = Operation("bob", What.JOIN, 2, 3, Joined(ALICE, polite=True))


@pytest.mark.parametrize(
    "wrong",
    [
        Operation("carol", What.JOIN, 4, 5, Joined(BOB, polite=False)),
        Operation("carol", What.JOIN, 4, 5, NOT_FOUND),
        Operation("bob", What.LEAVE, 0, 1, Left()),
    ],
    ids=["a third member joins", "a full room is not found", "a member leaves before it joined"],
)
def test_a_history_that_no_order_explains_is_found(wrong: Operation) -> None:
    assert contradiction([CREATED, BOB_JOINED, wrong])


@pytest.mark.parametrize(
    "late",
    [
        Operation("carol", What.JOIN, 6, 7, FULL),
        Operation("carol", What.JOIN, 6, 7, Joined(BOB, polite=True)),
    ],
    ids=["a seat that is free is refused", "a member that left is still named as the peer"],
)
def test_an_answer_from_before_a_leave_was_answered_is_found(late: Operation) -> None:
    assert contradiction([CREATED, BOB_JOINED, Operation("bob", What.LEAVE, 4, 5, Left()), late])


def test_concurrent_operations_may_take_effect_in_either_order() -> None:
    leaving = Operation("bob", What.LEAVE, 4, 9, Left())
    for answer in (FULL, Joined(ALICE, polite=True)):
        meanwhile = Operation("carol", What.JOIN, 5, 6, answer)
        assert not contradiction([CREATED, BOB_JOINED, leaving, meanwhile])


def test_an_operation_without_an_answer_may_take_effect_at_any_time() -> None:
    leaving = Operation("bob", What.LEAVE, 4)
    full = Operation("carol", What.JOIN, 5, 6, FULL)
    entered = Operation("carol", What.JOIN, 7, 8, Joined(ALICE, polite=True))
    assert not contradiction([CREATED, BOB_JOINED, leaving, full, entered])


@pytest.mark.usefixtures("patient_nodes")
@pytest.mark.long
@pytest.mark.xdist_group("busy")
@pytest.mark.timeout(600)
async def test_the_answers_to_clients_on_all_nodes_are_consistent_with_some_order() -> None:
    async with party() as here:
        await _check(here, OPERATIONS)


@pytest.mark.usefixtures("patient_nodes")
@pytest.mark.long
@pytest.mark.xdist_group("busy")
@pytest.mark.timeout(600)
@pytest.mark.parametrize("step", STEPS)
async def test_answers_are_consistent_while_a_redis_is_put_into_use(step: str) -> None:
    async with sharded_party(STEPS[step]) as here:
        # All steps together have half as many as the test above.
        await _check(here, OPERATIONS // len(STEPS) // 2)


async def _check(here: Party, operations: int) -> None:
    began = time.monotonic()
    histories = await _crowd(here, operations)
    asked = time.monotonic()
    for room in histories.values():
        wrong = "\n".join(map(str, contradiction(room)))
        assert not wrong, f"STORM_SEED={SEED}:\n{wrong}"
    print(
        f"{sum(map(len, histories.values()))} operations in {len(histories)} rooms, "
        f"seed {SEED}: {asked - began:.1f} s, checked in {time.monotonic() - asked:.1f} s"
    )


async def _crowd(here: Party, most: int) -> dict[str, list[Operation]]:
    """Let clients join and leave a few rooms at a time, at random."""
    histories: dict[str, list[Operation]] = defaultdict(list)
    clock = itertools.count()
    asked = 0

    def ask(guest: Guest, what: What) -> Operation:
        nonlocal asked
        asked += 1
        operation = Operation(guest.id, what, next(clock))
        histories[guest.room].append(operation)
        return operation

    def room(chance: random.Random) -> str:
        # Move on to new rooms, so that the history of each stays short.
        age = asked // (OPERATIONS_PER_ROOM * ROOMS_AT_ONCE)
        return str(uuid.UUID(int=age * ROOMS_AT_ONCE + chance.randrange(ROOMS_AT_ONCE)))

    async def come_and_go(number: int) -> None:
        chance = random.Random(f"{SEED} {number}")
        while asked < most:
            # A new user each time: a known user would take over its old seat.
            user = f"user-{number}-{asked}"
            guest = here.guest(user, chance.randrange(NODES), room(chance))
            entering = ask(guest, chance.choice((What.CREATE, What.JOIN)))
            guest.enter(create=entering.what is What.CREATE)
            await _answer(entering, guest, clock, Joined, Refused)
            if not isinstance(entering.answer, Joined):
                continue
            for _ in range(chance.randrange(4)):
                await asyncio.sleep(0)
            leaving = ask(guest, What.LEAVE)
            if chance.random() < 0.2:
                guest.leave(Departure.DISCONNECTED)
                continue
            guest.leave()
            await _answer(leaving, guest, clock, Left)

    async with asyncio.TaskGroup() as crowd:
        for number in range(CLIENTS):
            crowd.create_task(come_and_go(number))
    return histories


async def _answer(
    operation: Operation, guest: Guest, clock: Iterator[int], *kinds: type[Event]
) -> None:
    """Record the answer to an operation."""
    while not isinstance(event := await guest.told(), kinds):
        pass
    operation.answer, operation.answered = event, next(clock)
