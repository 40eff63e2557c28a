"""What a node hands off to the next one: a participant and its seat, typed and versioned.

A node ignores fields that it does not know. If it does not understand the participant,
it still understands the seat, and so can tell the peer that the participant has left.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from dyad_server.core import events
from dyad_server.core.commands import Identity
from dyad_server.core.events import Member, Output
from dyad_server.core.participant import Participant
from dyad_server.engines.redis.message_codec import Map, kinds, record, register
from dyad_server.engines.redis.messages import VERSION


@dataclass(slots=True)
class KeptState:
    """The body of a `Link`, and how many bytes it counts as."""

    body: Map
    size: int


@dataclass(slots=True)
class LinkState:
    """The links between a member and its peer.

    Attributes:
        last: the number of the last message to the peer.
        kept: what the peer has not acknowledged, up to that number.
        received: the number of the last message from the peer.
    """

    last: int
    kept: list[KeptState]
    received: int


@dataclass(slots=True)
class PeerState:
    """A member's peer, where it was last, and the links to it."""

    member: Member
    node: str
    links: LinkState


@dataclass(slots=True)
class SeatState:
    """A seat, as the node knew it that had it."""

    polite: bool
    epoch: int
    peer: PeerState | None


@dataclass(slots=True)
class SessionState:
    """A session: see `core.session`.

    Attributes:
        last: the number of the last output.
        written: the number of the last output that was written to the client.
        received: the number of the last frame from the client.
        kept: the outputs that the client has not acknowledged, up to `last`.
    """

    last: int
    written: int
    received: int
    kept: list[Output]


@dataclass(slots=True)
class ParticipantState:
    """A participant: see `core.participant`."""

    identity: Identity
    member_id: str
    room_id: str
    resume_token: str = field(repr=False)
    spent_token: str = field(repr=False)
    session: SessionState
    traceparent: str = ""


register(
    events.Event,
    kinds(
        {
            "forwarded": events.Forwarded,
            "joined": events.Joined,
            "peer joined": events.PeerJoined,
            "peer left": events.PeerLeft,
            "refused": events.Refused,
            "left": events.Left,
        }
    ),
)
SEAT = record(SeatState)
PARTICIPANT = record(ParticipantState)


@dataclass(slots=True)
class Snapshot:
    """What is left in Redis for the next node: `SEAT` and `PARTICIPANT`, written.

    Apart, so that a node which does not understand the participant can still tell
    the peer that it has left.
    """

    seat: Map
    participant: Map
    version: int = VERSION


SNAPSHOT = record(Snapshot)


def pack(participant: Participant, seat: SeatState) -> bytes:
    """All that another node needs to go on with a participant."""
    state = ParticipantState(
        participant.identity,
        participant.member.id,
        participant.room_id,
        participant.resume_token,
        participant.spent_token,
        SessionState(*participant.session.state()),
        participant.traceparent,
    )
    return SNAPSHOT.pack(Snapshot(SEAT.write(seat), PARTICIPANT.write(state)))


def restore(written: Map, participant_of: Callable[[Identity], Participant]) -> Participant:
    """The participant of `Snapshot.participant`.

    Args:
        written: the participant.
        participant_of: makes a new one, with this node's limits.

    Raises:
        NotUnderstood: it is of a version that this one does not understand.
    """
    state = PARTICIPANT.read(written)
    participant = participant_of(state.identity)
    participant.adopt(
        state.member_id,
        state.room_id,
        state.resume_token,
        state.spent_token,
        state.traceparent,
    )
    session = state.session
    participant.session.restore(session.last, session.written, session.received, session.kept)
    return participant
