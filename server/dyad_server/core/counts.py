"""What is counted for each frame and message: plain numbers, cheaper than calling an observer."""

from bisect import bisect_left

from dyad_server.core import bounds
from dyad_server.core.commands import Acknowledge, Enter, Input, Invalid, Leave, Relay
from dyad_server.core.events import (
    Event,
    Forwarded,
    Joined,
    Left,
    PeerJoined,
    PeerLeft,
    Refused,
)


class Counts:
    """What this node has received and sent since its start.

    Attributes:
        received: the frames of clients, by the `kind` of their command.
        sizes: the bytes of these frames.
        told: the events that participants were told, by class.
        delays: how many messages took at most each of `bounds.DELAYS` to be written, and more.
        delay_seconds: what they took in all.
    """

    def __init__(self) -> None:
        kinds = (*Relay.KINDS, Enter.kind, Leave.kind, Acknowledge.kind, Invalid.kind)
        self.received = dict.fromkeys(kinds, 0)
        self.sizes = dict.fromkeys(kinds, 0)
        told = (Joined, PeerJoined, Left, PeerLeft, Forwarded, Refused)
        self.told: dict[type[Event], int] = dict.fromkeys(told, 0)
        self.delays = [0] * (len(bounds.DELAYS) + 1)
        self.delay_seconds = 0.0

    def came(self, what: Input) -> None:
        """Count a frame of a client."""
        kind = what.event.kind
        self.received[kind] += 1
        self.sizes[kind] += what.size

    def delayed(self, seconds: float) -> None:
        """Note that a message has waited for so long until gRPC had written it."""
        self.delays[bisect_left(bounds.DELAYS, seconds)] += 1
        self.delay_seconds += seconds
