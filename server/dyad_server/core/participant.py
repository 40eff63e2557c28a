"""One participant: its session, its seat, and the connection it has at the moment."""

import secrets
from typing import Protocol

from dyad_server.core.clock import Timer
from dyad_server.core.commands import Identity
from dyad_server.core.events import Member, Output
from dyad_server.core.session import Session
from dyad_server.errors import Ended

_ID_BYTES = 24


def name_of_node(node: str) -> str:
    """What a secret begins with whose owner is on `node`; one node alone has no name."""
    return f"{node}." if node else ""


def node_of(secret: str) -> str:
    """The node that a secret's owner is on; empty: it names none."""
    return secret.partition(".")[0] if "." in secret else ""


class Outlet(Protocol):
    """A connection's writing side. No call waits or raises."""

    def wake(self) -> None:
        """Something waits in the session."""

    def beat(self) -> None:
        """Send a message without frames, unless others are on their way."""

    def end(self, failure: Ended) -> None:
        """End the connection with this, after what waits in the session."""


class Connection:
    """One stream (or `Listen`) of a participant's; after a resume it has another.

    Attributes:
        id: names it in `Send`. A secret of its client's.
        address: whose address it came from.
        token: the digest of the token that opened it, for which it may speak
            for as long as the connection does; empty: none may.
        expiry: the timer that ends it when that token expires, if one does.
        outlet: its writing side.
        participant: whose it is.
        open: False once it is over.
        failure: what ended it; None while open, or when it went by itself.
        sent_at: when something was last sent on it, by the monotonic clock.
        heard_at: when something last came.
        asked_at: when it was last sent a heartbeat.
        slot: for `heartbeats`: when it is looked at next.
    """

    __slots__ = (
        "address",
        "asked_at",
        "expiry",
        "failure",
        "heard_at",
        "id",
        "open",
        "outlet",
        "participant",
        "sent_at",
        "slot",
        "token",
    )

    def __init__(
        self, participant: "Participant", outlet: Outlet, address: str, token: bytes, node: str
    ) -> None:
        self.id = name_of_node(node) + secrets.token_urlsafe(_ID_BYTES)
        self.participant = participant
        self.outlet = outlet
        self.address = address
        self.token = token
        self.expiry: Timer | None = None
        self.open = True
        self.failure: Ended | None = None
        self.sent_at = self.heard_at = self.asked_at = 0.0
        self.slot = 0


class Participant:
    """One session with the hub.

    Attributes:
        member: what sits in a room.
        identity: who the token names.
        session: numbers and what the client may still lack.
        connection: the one it has; None while its seat is held.
        broken: the one that it had, while its seat is held: a `Send` may still
            be under way for it.
        over: it has ended.
        entering: which room it asked to enter, until the answer.
        room_id: where it sits; empty: nowhere.
        resumable: it asked for its seat to be held.
        resume_token: gives the seat back; empty: none does.
        spent_token: the one before, until the client shows that it has the new one.
        spoke: whether anything has come from it.
    """

    __slots__ = (
        "_grace",
        "_patience",
        "broken",
        "connection",
        "entering",
        "identity",
        "member",
        "over",
        "resumable",
        "resume_token",
        "room_id",
        "session",
        "spent_token",
        "spoke",
    )

    def __init__(self, identity: Identity, session: Session[Output]) -> None:
        self.identity = identity
        self.member = self._new_member()
        self.session = session
        self.connection: Connection | None = None
        self.broken: Connection | None = None
        self.over = False
        self.entering = ""
        self.room_id = ""
        self.resumable = False
        self.resume_token = ""
        self.spent_token = ""
        self.spoke = False
        self._patience: Timer | None = None
        self._grace: Timer | None = None

    def begin_anew(self) -> None:
        """Be another member: one that left is never seated again."""
        self.member = self._new_member()

    def _new_member(self) -> Member:
        identity = self.identity
        return Member(secrets.token_urlsafe(_ID_BYTES), identity.user_id, identity.email)

    def wait(self, timer: Timer | None) -> None:
        """Let `timer` stand in for the one before; None: it may stay for ever."""
        if self._patience is not None:
            self._patience.cancel()
        self._patience = timer

    @property
    def held(self) -> bool:
        """Whether its seat is held, for want of a connection."""
        return self._grace is not None

    def hold(self, timer: Timer | None) -> None:
        """Let `timer` say when its seat is held no longer; None: it is back."""
        if self._grace is not None:
            self._grace.cancel()
        self._grace = timer
