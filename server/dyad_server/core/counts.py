"""What is counted for each frame and message: plain numbers, cheaper than calling an observer."""

from bisect import bisect_left
from collections.abc import Iterable

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


class Delays:
    """How long things took, counted in buckets.

    Attributes:
        numbers: how many took at most each of `bounds.DELAYS`, and more than that.
        seconds: what all of them took together.
    """

    def __init__(self) -> None:
        self.numbers = [0] * (len(bounds.DELAYS) + 1)
        self.seconds = 0.0

    def note(self, seconds: float) -> None:
        """Count one that took so long."""
        self.numbers[bisect_left(bounds.DELAYS, seconds)] += 1
        self.seconds += seconds


class Counts:
    """What this node has received and sent since its start.

    Attributes:
        received: the frames of clients, by the `kind` of their command.
        sizes: the bytes of these frames.
        told: the events that participants were told, by class.
        deliveries: how long messages waited until gRPC had written them.
    """

    def __init__(self) -> None:
        kinds = (*Relay.KINDS, Enter.kind, Leave.kind, Acknowledge.kind, Invalid.kind)
        self.received = dict.fromkeys(kinds, 0)
        self.sizes = dict.fromkeys(kinds, 0)
        told = (Joined, PeerJoined, Left, PeerLeft, Forwarded, Refused)
        self.told: dict[type[Event], int] = dict.fromkeys(told, 0)
        self.deliveries = Delays()

    def came(self, what: Input) -> None:
        """Count a frame of a client."""
        kind = what.event.kind
        self.received[kind] += 1
        self.sizes[kind] += what.size


class FleetCounts:
    """What a node has counted of its store and of other nodes, since its start.

    Attributes:
        round_trips: how long requests to the store took.
        probes: how long messages of this node to itself took, through its own inbox.
        outages: how often the store stopped answering.
        renewals: the time between two renewals of the lease.
        leases_lost: how often the lease ran out.
        generations: how often the data in the store was new to this node; the first time
            counts too.
        sent: messages to nodes, by kind.
        heard: messages from nodes, by kind.
        questions: questions to nodes, by kind and by whether the answer came in time.
    """

    def __init__(self, messages: Iterable[str], questions: Iterable[str]) -> None:
        """Count messages and questions of these kinds."""
        self.round_trips = Delays()
        self.probes = Delays()
        self.outages = 0
        self.renewals = Delays()
        self._renewed_at: float | None = None
        self.leases_lost = 0
        self.generations = 0
        self.sent = dict.fromkeys(messages, 0)
        self.heard = dict.fromkeys(self.sent, 0)
        self.questions = {(kind, answered): 0 for kind in questions for answered in (True, False)}

    def store_fell(self) -> None:
        """Count an outage of the store."""
        self.outages += 1

    def renewed(self, now: float, *, new_data: bool) -> None:
        """Count a renewal of the lease, and whether the data in the store is new."""
        before, self._renewed_at = self._renewed_at, now
        if before is not None:
            self.renewals.note(now - before)
        self.generations += new_data

    def lease_ran_out(self) -> None:
        """Count a lease that ran out."""
        self.leases_lost += 1

    def posted(self, kind: str) -> None:
        """Count a message to a node."""
        self.sent[kind] += 1

    def came(self, kind: str) -> None:
        """Count a message from a node."""
        self.heard[kind] += 1

    def asked(self, kind: str, *, answered: bool) -> None:
        """Count a question to a node, once it is answered or too late."""
        self.questions[kind, answered] += 1
