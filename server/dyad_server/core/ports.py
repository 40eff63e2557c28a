"""What core needs of the outside: an engine, other nodes, observers; `clock` has the clock.

Each port is handed in when the hub is made. An engine and a handoff call the hub
back, so the hub makes them itself, with the function that it is given: see `Hub`.
"""

from collections.abc import Callable, Mapping
from typing import Protocol

from dyad_server.core.counts import FleetCounts
from dyad_server.core.events import Departure, Member, Output, Refusal
from dyad_server.core.participant import Connection, Participant
from dyad_server.errors import Ended, Reason

Deliver = Callable[[Output], None]
"""Where an engine puts what a member is told. Must not raise, and may call the engine again."""

FIRST, SECOND, ENGINE_AWAY = "first", "second", "engine away"
JOINS = (FIRST, SECOND, ENGINE_AWAY, *(refusal.value for refusal in Refusal))
"""How a `join_room` may be answered: its participant is the first or the second in the room."""

Found = Callable[[Participant | Ended | None], None]
"""The answer to a claim: the participant, which is here now; None: no seat has that token."""


class Fleet(Protocol):
    """This node as one of several that share a store, for metrics.

    Attributes:
        counts: what it has counted since its start.
    """

    counts: FleetCounts

    @property
    def up(self) -> bool:
        """Whether the store answered last time."""

    @property
    def holds(self) -> bool:
        """Whether this node holds its lease: no other node can believe it gone."""


class Broker(Protocol):
    """An engine: keeps the rooms, and carries what their members say to each other.

    Ordering:

    - The requests of a member take effect in the order in which they come.
    - The outputs of a room are delivered in one order, the same for all its members.
    - A newcomer's `Joined` is delivered before any output of its peer's.

    Delivery:

    - Every output is delivered exactly once, to the `Deliver` that the engine was
      made with.
    - A method returns without waiting. Its outputs may be delivered before it returns,
      or after.
    """

    @property
    def node(self) -> str:
        """The name of this node among others; empty if there are no others."""

    @property
    def fleets(self) -> Mapping[str, Fleet]:
        """This node among others, by the name of each store; an only store has no name."""

    @property
    def ready(self) -> bool:
        """Whether rooms can be entered now."""

    async def start(self) -> None:
        """Start, before anything else is asked.

        Raises:
            ConfigError: the engine cannot be reached, or is unfit.
        """

    async def stop(self) -> None:
        """Send what is still unsent, and stop."""

    def new_room_id(self, routing_key: str) -> str:
        """An id for a room that does not exist yet: see `room_ids.new_room_id`."""

    def enter(self, room_id: str, member: Member, *, create: bool, reply_to: int) -> None:
        """Give `member` a seat; with `create`, also in a room that does not exist yet.

        A user who has a seat in the room already gets that seat: the session that
        had it is told `Evicted`, the peer `PeerLeft` with REPLACED, then `PeerJoined`.

        A member enters only once. After leaving, a participant enters as a new member:
        otherwise outputs for the old member could be taken for outputs for the new one.
        """

    def leave(self, room_id: str, member_id: str, reason: Departure, *, reply_to: int) -> None:
        """Free the seat of `member_id`."""

    def resume(self, room_id: str, member_id: str) -> None:
        """Give `member_id` its seat back; it is told `Joined` with `resumed`."""

    def seats_user(self, room_id: str, user_id: str, then: Callable[[bool | None], None]) -> None:
        """Tell `then` whether a session of the user has a seat in the room; None: unknown."""

    def relay(self, room_id: str, member_id: str, payload: bytes, *, reply_to: int) -> None:
        """Pass `payload` to the peer of `member_id`."""

    def remote_peer(self, room_id: str, member_id: str) -> str:
        """The node of the peer of `member_id`, if that is another node; else empty."""


class Handoff(Protocol):
    """The other nodes: moves participants between them, and forwards their `Send`s.

    A participant is on one node at a time. A frame that was received before its
    participant moved is neither lost nor delivered twice.
    """

    async def stop(self) -> None:
        """Wait until nothing is under way; after the drain, before the broker stops."""

    def claim(self, token: str, user_id: str, room_id: str, then: Found) -> None:
        """Bring the participant with this resume token here from another node.

        `then` is called once: with the participant, which `Hub.adopt` has added; with
        None if no node has it; with the failure that ends the claim.
        """

    def store_of(self, participant: Participant) -> str:
        """The name of the store that a participant is handed off through."""

    async def hand_off(self, participant: Participant, failure: Ended, seconds: float) -> bool:
        """Leave a participant to the node that its client comes to next.

        Args:
            participant: one of this node's. It is gone from here afterwards.
            failure: ends its connection.
            seconds: how long this may take.

        Returns:
            Whether the seat was kept; if not, the peer is told that it is free.
        """

    def elsewhere(self, connection_id: str) -> bool:
        """Whether another node has this connection."""

    async def send(self, user_id: str, stale: bytes, connection_id: str, message: bytes) -> None:
        """Forward a serialized `SendRequest` to the node of its connection.

        Args:
            user_id: the sender.
            stale: as in `Registry.find`.
            connection_id: the message's `session_id`.
            message: the message.

        Raises:
            Ended: what that node answers; `Unavailable` if it does not answer.
        """


class Observer(Protocol):
    """Logs or counts what happens. No method waits or raises."""

    def stream_opened(self, connection: Connection) -> None:
        """A client has connected."""

    def stream_ended(self, connection: Connection, reason: Reason, seconds: float) -> None:
        """A connection is over, after so many seconds; `connection.failure` ended it, or None."""

    def refused(self, failure: Ended) -> None:
        """A request was refused: a stream before it was opened, or a `Send`."""

    def joined(self, participant: Participant, outcome: str, peer: Member | None = None) -> None:
        """A `join_room` was answered.

        Args:
            participant: the one that asked.
            outcome: one of `JOINS`.
            peer: who was in the room already.
        """

    def met(self, participant: Participant, seconds: float, peer: Member) -> None:
        """A second participant, `peer`, has joined, so many seconds after the first."""

    def reserved(self) -> None:
        """A participant's connection broke, and its seat is reserved."""

    def resumed(self, participant: Participant) -> None:
        """A participant has resumed its reserved seat."""

    def expired(self) -> None:
        """Nobody has resumed a reserved seat in time, so its participant ends."""

    def resume_refused(self, participant: Participant, failure: Ended) -> None:
        """A client asked for a seat as a new participant, and did not get it."""

    def handed_off(self, *, kept: bool) -> None:
        """A drain tried to hand off a seat; `kept`: it succeeded."""


class Observers:
    """Several observers, called in turn."""

    def __init__(self, *observers: Observer) -> None:
        self._observers = observers

    def stream_opened(self, connection: Connection) -> None:
        """See `Observer.stream_opened`."""
        for observer in self._observers:
            observer.stream_opened(connection)

    def stream_ended(self, connection: Connection, reason: Reason, seconds: float) -> None:
        """See `Observer.stream_ended`."""
        for observer in self._observers:
            observer.stream_ended(connection, reason, seconds)

    def refused(self, failure: Ended) -> None:
        """See `Observer.refused`."""
        for observer in self._observers:
            observer.refused(failure)

    def joined(self, participant: Participant, outcome: str, peer: Member | None = None) -> None:
        """See `Observer.joined`."""
        for observer in self._observers:
            observer.joined(participant, outcome, peer)

    def met(self, participant: Participant, seconds: float, peer: Member) -> None:
        """See `Observer.met`."""
        for observer in self._observers:
            observer.met(participant, seconds, peer)

    def reserved(self) -> None:
        """See `Observer.reserved`."""
        for observer in self._observers:
            observer.reserved()

    def resumed(self, participant: Participant) -> None:
        """See `Observer.resumed`."""
        for observer in self._observers:
            observer.resumed(participant)

    def expired(self) -> None:
        """See `Observer.expired`."""
        for observer in self._observers:
            observer.expired()

    def resume_refused(self, participant: Participant, failure: Ended) -> None:
        """See `Observer.resume_refused`."""
        for observer in self._observers:
            observer.resume_refused(participant, failure)

    def handed_off(self, *, kept: bool) -> None:
        """See `Observer.handed_off`."""
        for observer in self._observers:
            observer.handed_off(kept=kept)
