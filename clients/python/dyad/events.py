"""What happens in a call, as plain values. Each event has the `room_id` of its room.

Their `repr` has no e-mail address, no SDP and no candidate, because it gets logged.
"""

import enum
from dataclasses import dataclass, field

from dyad.errors import Refused


@dataclass(frozen=True, slots=True)
class Participant:
    """A user in a room, as named by the app's token.

    Attributes:
        user_id: the token's `sub`.
        email: the token's `email`; empty if it has none.
    """

    user_id: str
    email: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Room:
    """A room that this participant has entered.

    Attributes:
        room_id: what the other participant needs to join.
        peer: the participant already there, or None if the room was empty.
        polite: this participant's role in the W3C's "perfect negotiation".
    """

    room_id: str
    peer: Participant | None
    polite: bool


class Departure(enum.IntEnum):
    """Why the peer left; the numbers are the contract's."""

    UNSPECIFIED = 0
    LEFT = 1
    """They hung up."""
    DISCONNECTED = 2
    """Their connection ended without a hang-up."""
    REPLACED = 3
    """They lost the state of the call and join again. Negotiate again."""

    @classmethod
    def _missing_(cls, _value: object) -> "Departure":
        """Read a value that only a newer server knows as UNSPECIFIED."""
        return cls.UNSPECIFIED


@dataclass(frozen=True, slots=True)
class PeerJoined:
    """The peer joined the room."""

    participant: Participant
    room_id: str = ""


@dataclass(frozen=True, slots=True)
class PeerLeft:
    """The peer is gone."""

    participant: Participant
    reason: Departure
    room_id: str = ""


@dataclass(frozen=True, slots=True)
class Offer:
    """The peer's SDP offer."""

    sdp: str = field(repr=False)
    sender: Participant
    room_id: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """The peer's SDP answer."""

    sdp: str = field(repr=False)
    sender: Participant
    room_id: str = ""


@dataclass(frozen=True, slots=True)
class Candidate:
    """An ICE candidate, sent or received: the W3C's RTCIceCandidateInit.

    None means absent, which differs from empty and from 0.

    Attributes:
        candidate: the candidate-attribute. An empty text marks the end of the candidates.
        sdp_mid: the `mid` of the media description it belongs to.
        sdp_m_line_index: the index of that media description, from 0.
        username_fragment: the ICE username fragment of its generation.
        sender: the participant who sent it. Sending ignores it.
        room_id: its room. Sending ignores it.
    """

    candidate: str = field(repr=False)
    sdp_mid: str | None = None
    sdp_m_line_index: int | None = None
    username_fragment: str | None = field(default=None, repr=False)
    sender: Participant | None = None
    room_id: str = ""


@dataclass(frozen=True, slots=True)
class Reconnecting:
    """The connection broke and the client is reconnecting. Frames sent meanwhile wait."""

    room_id: str = ""


@dataclass(frozen=True, slots=True)
class Reconnected:
    """The client has reconnected, and is in the room again.

    Attributes:
        room: that room, and who else is in it now.
        resumed: whether no frame was lost. If not, this is a new session: frames under
            way are lost. Negotiate again.
    """

    room: Room
    resumed: bool

    @property
    def room_id(self) -> str:
        """The room's id."""
        return self.room.room_id


Event = PeerJoined | PeerLeft | Offer | Answer | Candidate | Refused | Reconnecting | Reconnected
"""What iterating over a connection yields."""
