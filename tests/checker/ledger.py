"""The ledgers of two participants, and what their comparison shows."""

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from typing import Self, TextIO

import dyad

from tests.checker import frames
from tests.checker.frames import Label, Said

# How many frames a sender may be ahead of what its peer has confirmed, and how
# many more may be under way because they only confirm what it received.
AHEAD = 100
_MOST_UNDER_WAY = AHEAD + 16


class Ledger:
    """Records what one participant sends and receives."""

    def __init__(self, book: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._book = book
        self._clock = clock

    def met(self) -> None:
        """Record that the server named the partner as the peer."""
        self._write("met", self._clock())

    def sent(self, label: Label, said: Said) -> None:
        """Record a frame that is about to be sent."""
        self._write("sent", label.run, label.room, label.sender, label.number, frames.hash_of(said))

    def heard(self, said: Said) -> Label | None:
        """Record a received frame; None if it was altered on its way."""
        label = frames.read(said)
        if label is None:
            self._write("altered")
            return None
        named = said.sender.user_id if said.sender is not None else "nobody"
        self._write(
            "heard",
            label.run,
            label.room,
            label.sender,
            label.number,
            frames.hash_of(said),
            named,
        )
        return label

    def told(self, event: dyad.Event) -> None:
        """Record a notice that is not a frame of the peer."""
        match event:
            case dyad.Reconnecting():
                self._write("away")
            case dyad.Reconnected(resumed=True):
                self._write("back")
            case dyad.Reconnected() | dyad.PeerLeft():
                self._write("broken", self._clock())
            case dyad.Refused(code=dyad.Refusal.PEER_ABSENT):
                self._write("refused")
            case _:
                self._write("unexpected", event)

    def over(self) -> None:
        """Record that the call is complete."""
        self._write("over")

    def _write(self, *words: object) -> None:
        self._book.write(f"{' '.join(map(str, words))}\n")


@dataclass
class Finding:
    """The result of a comparison, as counts.

    Attributes:
        sent: frames that were sent.
        heard: frames that were received, each counted once.
        excused: frames that did not arrive, and both sides were told.
        silent: frames that did not arrive, and at least one side was not told.
        duplicate: frames that had been received before.
        reordered: frames that were received after a frame with a higher number.
        altered: frames whose content is not what was sent.
        foreign: frames from another run, room or sender, or that no participant sent.
        unexpected: notices that should not have come.
        unfinished: ledgers without an end.
        away: how often a participant lost its connection.
        back: how often it resumed its seat without loss.
        broken: how often a participant was told that its peer or its seat was gone.
    """

    sent: int = 0
    heard: int = 0
    excused: int = 0
    silent: int = 0
    duplicate: int = 0
    reordered: int = 0
    altered: int = 0
    foreign: int = 0
    unexpected: int = 0
    unfinished: int = 0
    away: int = 0
    back: int = 0
    broken: int = 0

    @property
    def faults(self) -> dict[str, int]:
        """The faults that break the promise, by name; empty if there are none."""
        names = (
            "silent",
            "duplicate",
            "reordered",
            "altered",
            "foreign",
            "unexpected",
            "unfinished",
        )
        return {name: count for name in names if (count := getattr(self, name))}

    def __add__(self, other: Self) -> Self:
        mine, others = asdict(self), asdict(other)
        return type(self)(**{name: mine[name] + others[name] for name in mine})


@dataclass
class _Sent:
    """What one side sent, in order, and the numbers and times at which it was told of a break."""

    room: str = ""
    sender: str = ""
    hashes: list[str] = field(default_factory=list)
    breaks: list[tuple[int, float]] = field(default_factory=list)

    def excuses(self, number: int, before: float = math.inf) -> bool:
        """Whether the sender was told, before that time, that this frame may be lost."""
        return any(0 <= last - number < _MOST_UNDER_WAY and at < before for last, at in self.breaks)


def compare(one: Iterable[str], other: Iterable[str], run: str) -> Finding:
    """Whether each side received all that the other one sent in `run`."""
    first, second = list(one), list(other)
    return _judge(_read_sent(first), second, run) + _judge(_read_sent(second), first, run)


def _read_sent(lines: list[str]) -> _Sent:
    sent = _Sent()
    for line in lines:
        word, *rest = line.split()
        if word == "sent":
            _, sent.room, sent.sender, number, seal = rest
            sent.hashes.append(seal)
            assert int(number) == len(sent.hashes), "the ledger itself is not in order"
        elif word == "broken":
            sent.breaks.append((len(sent.hashes), float(rest[0])))
    return sent


def _judge(sent: _Sent, lines: list[str], run: str) -> Finding:
    """What the owner of `lines` received from the sender, and what it was told."""
    finding = Finding(sent=len(sent.hashes))
    hearing = _Hearing(sent, run, finding)
    for line in lines:
        word, *rest = line.split()
        match word:
            case "heard":
                hearing.hear(rest)
            case "met":
                hearing.met = min(hearing.met, float(rest[0]))
            case "broken":
                finding.broken += 1
                hearing.breaks.append(hearing.highest)
            case "away":
                finding.away += 1
            case "back":
                finding.back += 1
            case "altered":
                finding.altered += 1
            case "unexpected":
                finding.unexpected += 1
    finding.unfinished = int(not lines or lines[-1].strip() != "over")
    hearing.end()
    return finding


class _Hearing:
    def __init__(self, sent: _Sent, run: str, finding: Finding) -> None:
        self._sent = sent
        self._run = run
        self._finding = finding
        self._heard = bytearray(len(sent.hashes) + 1)
        self.highest = 0
        # The highest number received before each break.
        self.breaks: list[int] = []
        # When it was first told that the sender is there.
        self.met = math.inf

    def hear(self, words: list[str]) -> None:
        """Judge a received frame from its line in the ledger."""
        sent, finding = self._sent, self._finding
        *whose, text, seal, named = words
        number = int(text)
        ours = whose == [self._run, sent.room, sent.sender] and named == sent.sender
        if not ours or not 0 < number <= len(sent.hashes):
            finding.foreign += 1
        elif seal != sent.hashes[number - 1]:
            finding.altered += 1
        elif self._heard[number]:
            finding.duplicate += 1
        else:
            finding.heard += 1
            finding.reordered += number < self.highest
            self._heard[number] = True
            self.highest = max(self.highest, number)

    def end(self) -> None:
        """Judge the frames that never arrived."""
        before = 0
        for number in range(1, len(self._heard)):
            if self._heard[number]:
                before = number
            # Until it was told that the sender is there, there was no break to tell it of.
            elif (before in self.breaks and self._sent.excuses(number)) or (
                before == 0 and self._sent.excuses(number, before=self.met)
            ):
                self._finding.excused += 1
            else:
                self._finding.silent += 1
