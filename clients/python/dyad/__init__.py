"""The Python client of Dyad: 1:1 call signaling for WebRTC.

It carries offers, answers and ICE candidates between two participants. The
WebRTC itself is up to the app.
"""

from dyad.connection import Connection, connect
from dyad.errors import (
    DyadError,
    Ended,
    Forbidden,
    Overloaded,
    Refusal,
    Refused,
    TakenOver,
    TimedOut,
    TooLarge,
    Unauthenticated,
    Unavailable,
)
from dyad.events import (
    Answer,
    Candidate,
    Departure,
    Event,
    Offer,
    Participant,
    PeerJoined,
    PeerLeft,
    Reconnected,
    Reconnecting,
    Room,
)
from dyad.limits import Limits
from dyad.state import Phase, State
from dyad.tokens import Token

__all__ = [
    "Answer",
    "Candidate",
    "Connection",
    "Departure",
    "DyadError",
    "Ended",
    "Event",
    "Forbidden",
    "Limits",
    "Offer",
    "Overloaded",
    "Participant",
    "PeerJoined",
    "PeerLeft",
    "Phase",
    "Reconnected",
    "Reconnecting",
    "Refusal",
    "Refused",
    "Room",
    "State",
    "TakenOver",
    "TimedOut",
    "Token",
    "TooLarge",
    "Unauthenticated",
    "Unavailable",
    "connect",
]
