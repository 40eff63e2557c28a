"""The states of a participant: the table, its picture, and steps in any order."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from dyad_server.core.commands import Identity
from dyad_server.core.events import Joined, Output
from dyad_server.core.participant import Connection, Participant
from dyad_server.core.session import Session
from dyad_server.core.states import GONE, TRANSITIONS, IllegalTransition, State, Step, after
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tests.support.fake_clock import FakeClock
from tests.support.needs import ROOT
from tests.unit.core.outlet import Silent

GRACE = 15.0
PLENTY = 10**9


def test_the_picture_in_the_docs_is_the_table() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    arrows = re.findall(r"^  (\w+) --> (\w+) : (.+)$", page, re.MULTILINE)
    drawn = {(State[start], Step(step), State[end]) for start, end, step in arrows}
    table = {(start, step, end) for start in State for step, end in TRANSITIONS[start].items()}
    assert drawn == table


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("step", Step)
def test_a_step_that_the_table_does_not_have_raises(state: State, step: Step) -> None:
    if step in TRANSITIONS[state]:
        assert after(state, step) is TRANSITIONS[state][step]
    else:
        with pytest.raises(IllegalTransition, match=f"{state.value} never {step.value}"):
            after(state, step)


def test_every_state_can_be_reached_and_the_gone_ones_are_final() -> None:
    reached = {State.WAITING}
    for _ in State:
        reached |= {end for start in reached for end in TRANSITIONS[start].values()}
    assert reached == set(State)
    assert {state for state in State if not TRANSITIONS[state]} == GONE


class Steps(RuleBasedStateMachine):
    """A participant that takes any steps in any order; the table says which are allowed."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock()
        self.participant = Participant(Identity("alice"), Session(PLENTY, PLENTY, lambda _: 1))
        self.participant.connect(self._connection())
        self.expected = State.WAITING

    def _connection(self) -> Connection:
        return Connection(self.participant, Silent(), "192.0.2.1", b"", "")

    @rule(step=st.sampled_from(Step))
    def happens(self, step: Step) -> None:
        participant = self.participant
        joined = Output(participant.member.id, "room", 0, Joined(None, polite=False, resumed=True))
        methods: dict[Step, Callable[[], None]] = {
            Step.ENTER: lambda: participant.enter("room", resumable=True, now=0.0),
            Step.REFUSE: participant.refuse,
            Step.SEAT: participant.seat,
            Step.LEAVE: participant.leave,
            Step.DISCONNECT: lambda: participant.disconnect(self._connection(), self._timer()),
            Step.RESUME: lambda: participant.resume(self._connection()),
            Step.RETURN: lambda: participant.return_to_seat(joined),
            Step.ADOPT: lambda: participant.adopt("member", "room", "token", "", ""),
            Step.HAND_OFF: participant.hand_off,
            Step.END: participant.end,
        }
        if step in TRANSITIONS[self.expected]:
            methods[step]()
            self.expected = TRANSITIONS[self.expected][step]
        else:
            with pytest.raises(IllegalTransition):
                methods[step]()

    def _timer(self) -> Any:
        return self.clock.call_later(GRACE, lambda: None)

    @invariant()
    def it_is_in_the_state_of_the_table(self) -> None:
        participant = self.participant
        assert participant.state is self.expected
        assert participant.gone == (self.expected in GONE)
        if self.expected in (State.RESERVED, State.RESUMING):
            assert (participant.coming is None) == (self.expected is State.RESERVED)


TestSteps = Steps.TestCase


TestSteps.settings = settings(max_examples=200, stateful_step_count=30, deadline=None)
