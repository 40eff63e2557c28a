"""The states of a participant, and the one table of the steps between them.

docs/architecture.md has the same table as a picture.
"""

from enum import Enum


class State(Enum):
    """What a participant is doing."""

    WAITING = "waiting to join"
    ENTERING = "entering"
    SEATED = "seated"
    RESERVED = "reserved"
    RESUMING = "resuming"
    HANDED_OFF = "handed off"
    OVER = "over"


class Step(Enum):
    """What changes a participant's state."""

    ENTER = "asks for a seat"
    REFUSE = "is refused"
    SEAT = "is given a seat"
    LEAVE = "leaves"
    DISCONNECT = "loses its connection"
    RESUME = "resumes on a new connection"
    RETURN = "is given its seat back"
    ADOPT = "comes from another node"
    HAND_OFF = "goes to another node"
    END = "ends"


TRANSITIONS: dict[State, dict[Step, State]] = {
    # Connected, without a room.
    State.WAITING: {
        Step.ENTER: State.ENTERING,
        Step.ADOPT: State.RESERVED,
        Step.END: State.OVER,
    },
    # The engine has been asked for a seat.
    State.ENTERING: {
        Step.SEAT: State.SEATED,
        Step.REFUSE: State.WAITING,
        Step.END: State.OVER,
    },
    # Connected, in a room.
    State.SEATED: {
        Step.LEAVE: State.WAITING,
        Step.DISCONNECT: State.RESERVED,
        # Its client knows sooner than the server that the connection is broken.
        Step.RESUME: State.RESUMING,
        Step.HAND_OFF: State.HANDED_OFF,
        Step.END: State.OVER,
    },
    # In a room without a connection, for the grace time.
    State.RESERVED: {
        Step.RESUME: State.RESUMING,
        Step.HAND_OFF: State.HANDED_OFF,
        Step.END: State.OVER,
    },
    # Connected again; the engine has been asked whether the seat is still there.
    State.RESUMING: {
        Step.RETURN: State.SEATED,
        Step.DISCONNECT: State.RESERVED,
        Step.RESUME: State.RESUMING,
        Step.HAND_OFF: State.HANDED_OFF,
        Step.END: State.OVER,
    },
    # Another node's now: what is still unsent must be sent there.
    State.HANDED_OFF: {},
    State.OVER: {},
}

GONE = frozenset({State.HANDED_OFF, State.OVER})
"""The states of a participant that is no longer here."""


class IllegalTransition(RuntimeError):  # noqa: N818 - it names what happened
    """A step that the table does not have; a bug, never a client's mistake."""


def after(state: State, step: Step) -> State:
    """The state that follows `state`.

    Raises:
        IllegalTransition: the table has no such step.
    """
    try:
        return TRANSITIONS[state][step]
    except KeyError:
        raise IllegalTransition(
            f"A participant that is {state.value} never {step.value}."
        ) from None
