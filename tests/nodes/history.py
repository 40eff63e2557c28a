"""Checks whether a room with two seats can explain the requests and answers of a history.

This is Wing and Gong's search for linearizability: is there an order of the operations,
each at some moment between its request and its answer, in which the model gives exactly
these answers? Each room is checked alone, so the search is small.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum

from dyad_server.core.events import Event, Joined, Left, Refusal, Refused

NEVER = math.inf
# The member ids on the impolite and the polite seat; empty: free.
Seats = tuple[str, str]
EMPTY: Seats = ("", "")


class What(Enum):
    """What a member requested; a create is a join that creates a missing room."""

    CREATE = "create"
    JOIN = "join"
    LEAVE = "leave"


@dataclass(slots=True)
class Operation:
    """A request and its answer.

    Attributes:
        member: the id of the member.
        what: the kind of request.
        asked: the time of the request, on a clock that all share.
        answered: the time of the answer; never: it takes effect at any later time, or not at all.
        answer: what the member was told.
    """

    member: str
    what: What
    asked: float
    answered: float = NEVER
    answer: Event | None = None

    def on(self, seats: Seats) -> Seats | None:
        """The room after this operation; None if the answer is impossible."""
        expected, after = self._done(seats)
        if self.answer is None:
            # A search without the operation covers the case that it has no effect.
            return after if after != seats else None
        return after if expected == self._told() else None

    def _done(self, seats: Seats) -> tuple[object, Seats]:
        if self.what is What.LEAVE:
            if self.member not in seats:
                return "nothing", seats
            impolite, polite = ("" if seat == self.member else seat for seat in seats)
            return "left", (impolite, polite)
        if seats == EMPTY and self.what is What.JOIN:
            return Refusal.ROOM_NOT_FOUND, seats
        if all(seats):
            return Refusal.ROOM_FULL, seats
        if not seats[0]:
            return ("joined", seats[1], False), (self.member, seats[1])
        return ("joined", seats[0], True), (seats[0], self.member)

    def _told(self) -> object:
        match self.answer:
            case Joined(peer, polite):
                return ("joined", peer.id if peer else "", polite)
            case Refused(code):
                return code
            case Left():
                return "left"
            case other:
                return other


def contradiction(operations: Iterable[Operation]) -> list[Operation]:
    """The operations of a room up to the first unexplained one; none if there is an order."""
    history = sorted(operations, key=lambda operation: operation.asked)
    # The operations done (those before `first`, and the set), and the seats after them.
    state = (0, frozenset[int](), EMPTY)
    seen, stack = {state}, [state]
    furthest = 0
    while stack:
        first, done, seats = stack.pop()
        furthest = max(furthest, first)
        if all(history[n].answer is None or n in done for n in range(first, len(history))):
            return []
        for number in _next(history, first, done):
            after = history[number].on(seats)
            if after is None:
                continue
            state = (*_skip(first, done | {number}), after)
            if state not in seen:
                seen.add(state)
                stack.append(state)
    return history[: furthest + 1]


def _next(history: list[Operation], first: int, done: frozenset[int]) -> Iterator[int]:
    """The operations that may come next: requested before any pending one was answered."""
    deadline = NEVER
    for number in range(first, len(history)):
        if history[number].asked > deadline:
            return
        if number not in done:
            deadline = min(deadline, history[number].answered)
            yield number


def _skip(first: int, done: frozenset[int]) -> tuple[int, frozenset[int]]:
    while first in done:
        done -= {first}
        first += 1
    return first, done
