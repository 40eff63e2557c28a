"""Who is here: participants, their connections, and how many there may be."""

import asyncio
from collections.abc import Iterator
from hmac import compare_digest

from dyad_server.core.clock import Clock, Timer
from dyad_server.core.commands import Identity
from dyad_server.core.events import Forwarded, Output
from dyad_server.core.heartbeats import Heartbeats
from dyad_server.core.limits import Limits, Quota, Throttle
from dyad_server.core.participant import Connection, Outlet, Participant
from dyad_server.core.ports import Observer
from dyad_server.core.resume_tokens import ResumeTokens
from dyad_server.core.session import Session
from dyad_server.errors import Ended, Overloaded, SessionNotFound, Unauthenticated

# What it takes to keep something to be told, measured with CPython 3.11: 168 bytes
# beside a payload, and 260 to 480 where there is none.
_FORWARDED_BYTES = 192
_TOLD_BYTES = 512


def kept_size(output: Output) -> int:
    """How many bytes of memory it takes to keep `output`."""
    event = output.event
    return _FORWARDED_BYTES + len(event.payload) if isinstance(event, Forwarded) else _TOLD_BYTES


class Registry:
    """The participants of this node, and the connections that they have.

    A user counts each participant, held ones too, and each connection that was
    closed but not yet let go of by its transport. For each that is held, one more
    may connect, but not enter a room.

    Attributes:
        tokens: which resume token is whose.
        empty: set while no transport holds a connection of anybody here.
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
        """The participant of that id."""
        return self._participants.get(member_id)

    def find(self, session_id: str, user_id: str, stale: bytes = b"") -> Connection:
        """The connection of that id, if it is this user's.

        Args:
            session_id: its id.
            user_id: whose it must be.
            stale: where the token that names the user is good no longer, its
                digest: it must have opened the connection.

        Raises:
            SessionNotFound: there is none, or it is somebody else's.
            Unauthenticated: the token did not open it, and is good no longer.
        """
        connection = self._connections.get(session_id)
        if stale and (connection is None or not compare_digest(connection.token, stale)):
            raise Unauthenticated("The token has expired.")
        if connection is None or connection.participant.identity.user_id != user_id:
            raise SessionNotFound("There is no such session: listen again.")
        return connection

    def allows(self, user_id: str, frames: int, size: int) -> bool:
        """Count so many frames and bytes that a user sends; False, when that is past its rates.

        They are a user's, and not a connection's, so that another connection
        brings no more.
        """
        now = self._clock.monotonic()
        return self._frames.take(user_id, frames, now) and self._bytes.take(user_id, size, now)

    def open(self, identity: Identity, outlet: Outlet, address: str, token: bytes) -> Connection:
        """A new participant, on a connection from `address`.

        Raises:
            Overloaded: there are too many already.
        """
        limits = self._limits
        if not self._opens.take(identity.user_id, 1, self._clock.monotonic()):
            raise Overloaded("This user opens streams too fast.")
        if self._streams >= limits.max_streams:
            raise Overloaded("The server is full.")
        # Whose connection broke may come back; `too_many` says of all others.
        if self._users.full(identity.user_id, spare=self._away.count(identity.user_id)):
            raise Overloaded(f"This user has {limits.max_streams_per_user} streams already.")
        if self._addresses.full(address):
            raise Overloaded(f"This address has {limits.max_streams_per_address} streams already.")
        participant = self.new(identity)
        connection = Connection(participant, outlet, address, token, self._node)
        participant.connection = connection
        self._connections[connection.id] = connection
        self._heartbeats.watch(connection, self._clock.monotonic())
        self._streams += 1
        self.empty.clear()
        self._addresses.take(address)
        self.add(participant)
        return connection

    def new(self, identity: Identity) -> Participant:
        """A participant with this node's limits, not counted yet."""
        limits = self._limits
        return Participant(
            identity, Session(limits.max_waiting_bytes, limits.max_waiting_frames, kept_size)
        )

    def rename(self, participant: Participant) -> None:
        """Know one that left its room as another member: it may enter the next one."""
        del self._participants[participant.member.id]
        participant.begin_anew()
        self._participants[participant.member.id] = participant

    def add(self, participant: Participant) -> None:
        """Count one that came."""
        self._participants[participant.member.id] = participant
        self._users.take(participant.identity.user_id)
        self._observer.opened(len(self._participants))

    def remove(self, participant: Participant, failure: Ended | None) -> None:
        """Count one that went; it waits for nothing any more, and no token is good for it."""
        del self._participants[participant.member.id]
        self._users.give_back(participant.identity.user_id)
        participant.wait(None)
        self.hold(participant, None)
        self.tokens.revoke(participant)
        self.forget_broken(participant)
        self._observer.closed(len(self._participants), failure)

    def hold(self, participant: Participant, over: Timer | None) -> None:
        """Its seat is held until that timer says that it is `over`; None: no longer."""
        if participant.held:
            self._away.give_back(participant.identity.user_id)
        participant.hold(over)
        if participant.held:
            self._away.take(participant.identity.user_id)

    def too_many(self, participant: Participant) -> bool:
        """Whether its user has more than may be in rooms."""
        return self._users.over(participant.identity.user_id)

    def disconnect(self, connection: Connection, failure: Ended | None) -> None:
        """Take a connection from its participant; twice does no harm.

        Args:
            connection: which.
            failure: what it is to be told; None when it is gone.
        """
        if not connection.open:
            return
        participant = connection.participant
        connection.open = False
        connection.failure = failure
        if connection.expiry is not None:
            connection.expiry.cancel()
        self._heartbeats.forget(connection)
        self._connections.pop(connection.id, None)
        self._users.take(participant.identity.user_id)
        if participant.connection is connection:
            participant.connection = None
        if failure is not None:
            connection.outlet.end(failure)

    def linger(self, connection: Connection) -> None:
        """Let `find` know a connection that broke while its seat is held."""
        connection.participant.broken = connection
        self._connections[connection.id] = connection

    def forget_broken(self, participant: Participant) -> None:
        """Its seat is held no longer: `find` knows only the connection it has."""
        if participant.broken is not None:
            self._connections.pop(participant.broken.id, None)
            participant.broken = None

    def release(self, connection: Connection) -> None:
        """Count a connection no longer: it was closed, and its transport holds nothing of it."""
        self._streams -= 1
        if not self._streams:
            self.empty.set()
        self._users.give_back(connection.participant.identity.user_id)
        self._addresses.give_back(connection.address)
