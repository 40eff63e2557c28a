"""The participants of this node, their connections, and how many there may be."""

import asyncio
from collections.abc import Iterator
from hmac import compare_digest

from dyad_server.core import bounds
from dyad_server.core.clock import Clock, Timer
from dyad_server.core.commands import Identity
from dyad_server.core.events import Forwarded, Output
from dyad_server.core.heartbeats import Heartbeats
from dyad_server.core.limits import Limits, Quota, Throttle
from dyad_server.core.participant import Connection, Outlet, Participant
from dyad_server.core.ports import Observer
from dyad_server.core.resume_tokens import ResumeTokens
from dyad_server.core.session import Session
from dyad_server.core.states import State
from dyad_server.core.trace_context import TraceContext
from dyad_server.errors import Ended, Overloaded, Reason, SessionNotFound, Unauthenticated


def kept_size(output: Output) -> int:
    """How many bytes of memory `output` takes while it waits."""
    event = output.event
    return (
        bounds.FORWARDED_BYTES + len(event.payload)
        if isinstance(event, Forwarded)
        else bounds.TOLD_BYTES
    )


class Registry:
    """Finds participants and connections, and counts them.

    What counts for a user: each participant, with a reserved seat too, and each
    closed connection that its transport has not released yet. For each reserved seat
    the user may open one more connection, which may resume but not enter a room.

    Attributes:
        tokens: the resume tokens of the participants.
        empty: set while no transport has a connection to release.
    """

    def __init__(
        self, limits: Limits, observer: Observer, heartbeats: Heartbeats, clock: Clock, node: str
    ) -> None:
        self._limits = limits
        self._heartbeats = heartbeats
        self._observer = observer
        self._clock = clock
        self._node = node
        self._participants: dict[str, Participant] = {}
        self._connections: dict[str, Connection] = {}
        self._streams = 0
        self._users = Quota(limits.max_streams_per_user)
        self._away = Quota(0)
        self._addresses = Quota(limits.max_streams_per_address)
        self._opens = Throttle(limits.max_opens_per_second, limits.opens_at_once, limits.users)
        self._frames = Throttle(limits.max_frames_per_second, limits.frames_at_once, limits.users)
        self._bytes = Throttle(limits.max_bytes_per_second, limits.bytes_at_once, limits.users)
        self.tokens = ResumeTokens()
        self.empty = asyncio.Event()
        self.empty.set()

    def __len__(self) -> int:
        return len(self._participants)

    def __iter__(self) -> Iterator[Participant]:
        return iter(tuple(self._participants.values()))

    def get(self, member_id: str) -> Participant | None:
        """The participant with this member id."""
        return self._participants.get(member_id)

    def find(self, connection_id: str, user_id: str, stale: bytes = b"") -> Connection:
        """The connection with this id.

        Args:
            connection_id: the id.
            user_id: the user who must have opened it.
            stale: empty if that user's token is valid. Else its digest: a token that
                is no longer valid must have opened this very connection.

        Raises:
            SessionNotFound: there is no such connection, or it is another user's.
            Unauthenticated: the token is no longer valid, and did not open it.
        """
        connection = self._connections.get(connection_id)
        if stale and (connection is None or not compare_digest(connection.token, stale)):
            raise Unauthenticated("The token has expired.", Reason.TOKEN_EXPIRED)
        if connection is None or connection.participant.identity.user_id != user_id:
            raise SessionNotFound("There is no such session: open a new one with Listen.")
        return connection

    def allows(self, user_id: str, frames: int, size: int, now: float) -> bool:
        """Charge frames and bytes to a user; False if that is over its rates.

        The rates are the user's and not the connection's, so a second connection
        gains nothing.
        """
        return self._frames.take(user_id, frames, now) and self._bytes.take(user_id, size, now)

    def open(
        self,
        identity: Identity,
        outlet: Outlet,
        address: str,
        token: bytes,
        *,
        routing_key: str,
        caller: TraceContext,
    ) -> Connection:
        """Open a connection for a new participant; see `Hub.open`.

        Raises:
            Overloaded: there are too many connections already.
        """
        limits = self._limits
        if not self._opens.take(identity.user_id, 1, self._clock.monotonic()):
            raise Overloaded("This user opens streams too fast.", Reason.OPENED_TOO_FAST)
        if self._streams >= limits.max_streams:
            raise Overloaded("The server is full.", Reason.SERVER_FULL)
        # A user may reconnect for each reserved seat; `too_many` stops other uses of that.
        if self._users.full(identity.user_id, spare=self._away.count(identity.user_id)):
            sentence = f"This user has {limits.max_streams_per_user} streams already."
            raise Overloaded(sentence, Reason.USER_STREAMS)
        if self._addresses.full(address):
            sentence = f"This address has {limits.max_streams_per_address} streams already."
            raise Overloaded(sentence, Reason.ADDRESS_STREAMS)
        participant = self.new(identity)
        connection = Connection(
            participant,
            outlet,
            address,
            token,
            self._node,
            routing_key=routing_key,
            caller=caller,
        )
        participant.connect(connection)
        self._connections[connection.id] = connection
        self._heartbeats.watch(connection, self._clock.monotonic())
        self._streams += 1
        self.empty.clear()
        self._addresses.take(address)
        self.add(participant)
        self._observer.stream_opened(connection)
        return connection

    def new(self, identity: Identity) -> Participant:
        """A participant with this node's limits, not added yet."""
        limits = self._limits
        return Participant(
            identity, Session(limits.max_waiting_bytes, limits.max_waiting_frames, kept_size)
        )

    def add(self, participant: Participant) -> None:
        """Add a new participant."""
        self._participants[participant.member.id] = participant
        self._users.take(participant.identity.user_id)

    def adopt(self, participant: Participant) -> None:
        """Add a participant from another node, with its tokens."""
        self.add(participant)
        self.tokens.accept(participant)
        self._away.take(participant.identity.user_id)

    def leave(self, participant: Participant) -> None:
        """Let a participant leave its room; it is known as a new member from now on."""
        del self._participants[participant.member.id]
        self.tokens.revoke(participant)
        participant.leave()
        self._participants[participant.member.id] = participant

    def reserve(self, participant: Participant, broken: Connection, grace: Timer | None) -> None:
        """Let a participant have no connection; `find` still knows the one that is `broken`."""
        participant.disconnect(broken, grace)
        self._connections[broken.id] = broken
        self._away.take(participant.identity.user_id)

    def resume(self, participant: Participant, connection: Connection) -> None:
        """Let a participant have a new connection."""
        self._end_reservation(participant)
        participant.resume(connection)

    def remove(self, participant: Participant) -> None:
        """Remove a participant; its tokens are revoked."""
        del self._participants[participant.member.id]
        self._users.give_back(participant.identity.user_id)
        self.tokens.revoke(participant)
        self._end_reservation(participant)

    def _end_reservation(self, participant: Participant) -> None:
        if participant.state is State.RESERVED:
            self._away.give_back(participant.identity.user_id)
        if participant.broken is not None:
            self._connections.pop(participant.broken.id, None)
            participant.forget_broken()

    def too_many(self, participant: Participant) -> bool:
        """Whether its user has too many connections for one more seat."""
        return self._users.over(participant.identity.user_id)

    def disconnect(self, connection: Connection, failure: Ended | None) -> None:
        """Close a connection, and take it from its participant; harmless if it is closed.

        Args:
            connection: the connection.
            failure: what its client is told; None if the connection is gone.
        """
        if not connection.open:
            return
        participant = connection.participant
        connection.close(failure)
        self._heartbeats.forget(connection)
        self._connections.pop(connection.id, None)
        self._users.take(participant.identity.user_id)
        participant.give_up(connection)
        if failure is not None:
            reason = failure.reason
        else:
            # A client that is done leaves its room first. The engine may not have answered yet.
            lost = participant.room_id and not participant.leaving
            reason = Reason.LOST if lost else Reason.CLOSED
        now = self._clock.monotonic()
        self._observer.stream_ended(connection, reason, now - connection.opened_at)

    def release(self, connection: Connection) -> None:
        """Stop counting a closed connection: its transport has nothing left to write."""
        self._streams -= 1
        if not self._streams:
            self.empty.set()
        self._users.give_back(connection.participant.identity.user_id)
        self._addresses.give_back(connection.address)
