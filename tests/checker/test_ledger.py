"""The checker itself: it finds every kind of fault, and a seed repeats a run."""

import io
import itertools
import random
from collections.abc import Callable
from dataclasses import replace

import dyad
import pytest

from tests.checker import frames
from tests.checker.frames import Label
from tests.checker.ledger import Finding, Ledger, compare
from tests.checker.schedule import Kind, schedule


def composed(
    sender: str, number: int, run: str = "r", room: str = "kitchen"
) -> tuple[Label, frames.Said]:
    label = Label(run, room, sender, number)
    return label, frames.compose(label, random.Random(f"{sender} {number}"))


class Side:
    """A participant with a hand-written ledger."""

    def __init__(self, name: str, clock: Callable[[], float]) -> None:
        self.name = name
        self._book = io.StringIO()
        self.ledger = Ledger(self._book, clock)

    def says(self, *numbers: int) -> None:
        for number in numbers:
            self.ledger.sent(*composed(self.name, number))

    def hears(self, sender: str, *numbers: int, **changes: str) -> None:
        for number in numbers:
            _, said = composed(sender, number, **changes)
            self.ledger.heard(replace(said, sender=dyad.Participant(sender)))

    def is_told_of_a_break(self) -> None:
        alice = dyad.Participant("alice")
        self.ledger.told(dyad.PeerLeft(alice, dyad.Departure.DISCONNECTED))

    def lines(self) -> list[str]:
        return self._book.getvalue().splitlines()


class Both:
    """Alice, who sends, and Bob, who receives."""

    def __init__(self, *, met: bool = True) -> None:
        steps = itertools.count()
        self.alice, self.bob = (Side(name, lambda: next(steps)) for name in ("alice", "bob"))
        for side in (self.alice, self.bob) if met else ():
            side.ledger.met()

    def found(self, *, over: bool = True) -> Finding:
        for side in (self.alice, self.bob) if over else ():
            side.ledger.over()
        return compare(self.alice.lines(), self.bob.lines(), "r")


@pytest.fixture
def both() -> Both:
    return Both()


def test_correct_ledgers_pass(both: Both) -> None:
    both.alice.says(1, 2, 3)
    both.bob.hears("alice", 1, 2, 3)
    both.bob.says(1)
    both.alice.hears("bob", 1)
    found = both.found()
    assert found.faults == {}
    assert (found.sent, found.heard) == (4, 4)


@pytest.mark.parametrize(
    ("numbers", "faults"),
    [
        ((1, 3), {"silent": 1}),
        ((1, 2), {"silent": 1}),
        ((), {"silent": 3}),
        ((1, 2, 2, 3), {"duplicate": 1}),
        ((1, 3, 2), {"reordered": 1}),
        ((1, 2, 3, 4), {"foreign": 1}),
    ],
    ids=["one missing", "the last missing", "all missing", "twice", "out of order", "never sent"],
)
def test_lost_duplicated_and_reordered_frames_are_found(
    both: Both, numbers: tuple[int, ...], faults: dict[str, int]
) -> None:
    both.alice.says(1, 2, 3)
    both.bob.hears("alice", *numbers)
    assert both.found().faults == faults


@pytest.mark.parametrize("changes", [{"run": "earlier"}, {"room": "cellar"}], ids=["run", "room"])
def test_a_frame_from_another_room_is_found(both: Both, changes: dict[str, str]) -> None:
    both.alice.says(1)
    both.bob.hears("alice", 1)
    both.bob.hears("alice", 1, **changes)
    assert both.found().faults == {"foreign": 1}


def test_a_frame_of_a_third_participant_is_found(both: Both) -> None:
    both.alice.says(1)
    both.bob.hears("alice", 1)
    both.bob.hears("mallory", 1)
    assert both.found().faults == {"foreign": 1}


def test_a_frame_that_the_server_attributes_to_another_user_is_found(both: Both) -> None:
    label, said = composed("alice", 1)
    both.alice.ledger.sent(label, said)
    both.bob.ledger.heard(replace(said, sender=dyad.Participant("mallory")))
    assert both.found().faults == {"foreign": 1, "silent": 1}


@pytest.mark.parametrize("number", range(1, 60))
def test_a_frame_that_was_changed_is_found(both: Both, number: int) -> None:
    label, said = composed("alice", number)
    alice = dyad.Participant("alice")
    if isinstance(said, dyad.Candidate):
        index = 0 if said.sdp_m_line_index is None else None
        changed: frames.Said = replace(said, sdp_m_line_index=index, sender=alice)
    else:
        changed = replace(said, sdp=said.sdp[:-1], sender=alice)
    assert frames.read(said) == label
    assert frames.read(changed) is None
    assert both.bob.ledger.heard(changed) is None
    assert both.found().faults == {"altered": 1}


def test_a_frame_with_the_number_of_another_frame_is_found(both: Both) -> None:
    both.alice.says(1)
    label, said = composed("alice", 1)
    again = frames.compose(label, random.Random("other"))
    assert again != said
    both.bob.ledger.heard(replace(again, sender=dyad.Participant("alice")))
    assert both.found().faults == {"altered": 1, "silent": 1}


def test_a_loss_reported_to_both_ends_is_excused(both: Both) -> None:
    both.alice.says(1, 2, 3)
    both.alice.is_told_of_a_break()
    both.alice.says(4)
    both.bob.hears("alice", 1)
    both.bob.is_told_of_a_break()
    both.bob.hears("alice", 4)
    found = both.found()
    assert found.faults == {}
    assert (found.excused, found.broken) == (2, 2)


@pytest.mark.parametrize("told", ["alice", "bob"])
def test_a_loss_reported_to_only_one_end_is_found(both: Both, told: str) -> None:
    both.alice.says(1, 2, 3)
    both.bob.hears("alice", 1)
    getattr(both, told).is_told_of_a_break()
    assert both.found().faults == {"silent": 2}


@pytest.mark.parametrize(("late", "faults"), [(True, {}), (False, {"silent": 3})])
def test_a_receiver_that_had_not_met_the_sender_need_not_be_told(
    *, late: bool, faults: dict[str, int]
) -> None:
    both = Both(met=False)
    both.alice.says(1, 2, 3)
    if late:
        both.alice.is_told_of_a_break()
    both.bob.ledger.met()
    if not late:
        both.alice.is_told_of_a_break()
    both.alice.says(4)
    both.bob.hears("alice", 4)
    assert both.found().faults == faults


def test_a_break_excuses_nothing_that_was_lost_at_another_time(both: Both) -> None:
    both.alice.says(1, 2, 3)
    both.alice.is_told_of_a_break()
    both.alice.says(4, 5, 6)
    both.bob.hears("alice", 1, 2, 3)
    both.bob.is_told_of_a_break()
    both.bob.hears("alice", 4, 6)
    assert both.found().faults == {"silent": 1}


def test_an_unexpected_notice_is_found(both: Both) -> None:
    both.alice.ledger.told(dyad.Refused(dyad.Refusal.INVALID_FRAME, "No."))
    assert both.found().faults == {"unexpected": 1}


def test_a_call_without_an_end_is_found(both: Both) -> None:
    assert both.found(over=False).faults == {"unfinished": 2}


def test_the_same_seed_repeats_the_same_faults() -> None:
    plans = [list(schedule(seed, frames=100_000, cuts=200, long=True)) for seed in ("a", "a", "b")]
    assert plans[0] == plans[1] != plans[2]


def test_a_schedule_has_its_cuts_in_order_and_none_at_the_end() -> None:
    faults = list(schedule("a", frames=100_000, cuts=500, long=True))
    assert {fault.kind for fault in faults} == set(Kind)
    assert sum(fault.kind is not Kind.PAUSE for fault in faults) == 500
    assert [fault.after for fault in faults] == sorted(fault.after for fault in faults)
    assert faults[-1].after <= 95_000


def test_a_short_schedule_has_no_fault_longer_than_the_grace_time() -> None:
    faults = list(schedule("a", frames=100_000, cuts=500, long=False))
    assert max(fault.seconds for fault in faults) < 1
