"""A whole call through one path, with measured times. The path is hidden behind `Side`."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from dyad_server.core.clock import Clock
from dyad_server.doctor import bounds
from dyad_server.doctor.findings import Finding, error, ok, quoted, warning
from dyad_server.doctor.tokens import refusal

_NODE_AWAY = "The node of this session does not answer"


class CallFailed(Exception):  # noqa: N818 - it names what happened to the call
    """The base of all ways in which a call can fail. Its text is a sentence."""


class Refused(CallFailed):
    """A status ended it.

    Attributes:
        code: the name or number of the gRPC status.
        message: what came with it.
        by_dyad: whether Dyad sent it, and not a proxy.
    """

    def __init__(self, code: str, message: str, *, by_dyad: bool) -> None:
        super().__init__(f"status {code}, {quoted(message) or 'without a message'}")
        self.code = code
        self.message = message
        self.by_dyad = by_dyad


class Cut(CallFailed):
    """A stream ended without a status of Dyad.

    Attributes:
        after: seconds after it began.
    """

    def __init__(self, after: float) -> None:
        super().__init__(f"the stream was cut after {after:.1f} s")
        self.after = after


class HeldBack(CallFailed):
    """What the server had sent did not arrive in time."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} did not arrive within {bounds.ANSWER_SECONDS:.0f} s")


class Away(CallFailed):
    """There is no connection, or it broke."""


class Side(Protocol):
    """One participant. Its methods raise `CallFailed`, and each has a time limit."""

    async def enter(self, room_id: str) -> str:
        """Connect and enter a room, or create one if `room_id` is empty; returns its id."""

    async def meet(self) -> None:
        """Wait until the peer is announced; before that, the server refuses offers."""

    async def send(self, text: str, *, answer: bool) -> None:
        """Send an offer or an answer."""

    async def receive(self) -> str:
        """The text of the next offer or answer."""

    async def close(self) -> None:
        """Hang up."""


@dataclass(frozen=True, slots=True)
class Times:
    """How many seconds the steps of a call took.

    Attributes:
        opened: until the first participant was in a room.
        joined: until the second one was in it too and the first one knew it, from its first step.
        passed: for each offer and answer, until the peer had it.
    """

    opened: float
    joined: float
    passed: Sequence[float]


async def make(alice: Side, bob: Side, clock: Clock) -> Times:
    """Let two participants of different users call each other, and leave the call open.

    Raises:
        CallFailed: the call fails; the subclass says how.
    """
    began = clock.monotonic()
    room_id = await alice.enter("")
    opened = clock.monotonic()
    await bob.enter(room_id)
    await alice.meet()
    joined = clock.monotonic()
    passed = []
    for number in range(bounds.EXCHANGES):
        caller, callee = (alice, bob) if number % 2 == 0 else (bob, alice)
        passed.append(await _pass(caller, callee, f"offer {number}", clock, answer=False))
        passed.append(await _pass(callee, caller, f"answer {number}", clock, answer=True))
    return Times(opened - began, joined - opened, passed)


async def _pass(sender: Side, receiver: Side, text: str, clock: Clock, *, answer: bool) -> float:
    began = clock.monotonic()
    await sender.send(text, answer=answer)
    if (received := await receiver.receive()) != text:
        raise Away(f"the peer received {quoted(received)!r} instead of {text!r}")
    return clock.monotonic() - began


async def close(*sides: Side) -> None:
    """Hang up all of them, within a time limit."""
    closing = [asyncio.ensure_future(side.close()) for side in sides]
    _, late = await asyncio.wait(closing, timeout=bounds.LEAVE_SECONDS)
    for each in late:
        each.cancel()
    await asyncio.gather(*closing, return_exceptions=True)


def succeeded(path: str, times: Times) -> Finding:
    """A call took place."""
    opened, joined = 1000 * times.opened, 1000 * times.joined
    best, worst = 1000 * min(times.passed), 1000 * max(times.passed)
    return ok(
        "call",
        f"A call {path}: the first participant was in the room after {opened:.0f} ms, the second "
        f"after {joined:.0f} ms more; offers and answers passed in {best:.1f} to {worst:.1f} ms.",
        opened_ms=opened,
        joined_ms=joined,
        passed_least_ms=best,
        passed_most_ms=worst,
    )


def no_tokens(path: str) -> Finding:
    """There are no tokens for a call."""
    return warning(
        "no_tokens",
        f"No call {path} was made: there are no tokens of two users.",
        "Give a file with two tokens of your app, one a line, as --token-file; with a secret in "
        "the settings, the doctor makes its own.",
    )


def failed(path: str, failure: CallFailed) -> Finding:
    """A call failed in a way that any path can show."""
    if isinstance(failure, Refused) and failure.code == "UNAUTHENTICATED":
        return refusal(f"The server refuses the token of a call {path}", failure.message)
    if isinstance(failure, Refused) and failure.by_dyad and _nodes_apart(failure):
        return error(
            "nodes_apart",
            f"A call {path} met nodes that do not share rooms: {failure}.",
            "Compare --redis and --redis-prefix of all nodes: each must have the same.",
        )
    if isinstance(failure, Refused) and failure.by_dyad:
        return error(
            "call_refused",
            f"The server refuses a call {path}: {failure}.",
            "docs/reference/statuses.md says what each status means.",
        )
    advice = "Look at the log of the server, and of each proxy on the way."
    if isinstance(failure, HeldBack):
        advice += (
            " Each must speak HTTP/2 on both sides, and pass on the messages of a request before "
            "it ends (nginx: grpc_pass)."
        )
    return error("call_failed", f"A call {path} failed: {failure}.", advice)


def _nodes_apart(refused: Refused) -> bool:
    """Whether a node does not know a room or a session that another node has just made."""
    return refused.code.endswith("NOT_FOUND") or _NODE_AWAY in refused.message
