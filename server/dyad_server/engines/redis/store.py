"""What the nodes keep in Redis: every key and field, and one method for each script.

docs/redis.md describes all of it; a test compares that page with this module and
with the scripts.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import chain
from typing import Any, Generic, TypeVar

from dyad_server.core.events import Member
from dyad_server.engines.redis import bounds
from dyad_server.engines.redis.client import Words
from dyad_server.engines.redis.script_answers import (
    Claimed,
    Entered,
    Freed,
    OnNode,
    OnNodes,
    Renewal,
    Verdict,
    Waiting,
)
from dyad_server.engines.redis.seats import Peer

T = TypeVar("T")

SCHEMA = 1
"""The layout of the data. A change that an older node cannot work with raises it."""
SCHEMA_ERROR = "DYADSCHEMA"
"""What the error of `renew_lease` begins with where Redis has another layout."""
NAME_ERROR = "DYADNAME"
"""The same where the nodes do not agree about the name of this Redis."""

ENTRY = b"entry"
"""The field of an inbox's entry."""


class Keys:
    """The key of each thing that Redis keeps."""

    def __init__(self, prefix: str) -> None:
        """Name keys that begin with `prefix`."""
        self.prefix = prefix
        self.schema = f"{prefix}schema"
        self.generation = f"{prefix}generation"
        self.name = f"{prefix}name"

    def lease(self, node: str) -> str:
        """A node's lease."""
        return f"{self.prefix}node:{node}"

    def fence(self, node: str) -> str:
        """A node's latest fencing token."""
        return f"{self.prefix}fence:{node}"

    def missing(self, node: str) -> str:
        """Since when a node's lease is missing."""
        return f"{self.prefix}missing:{node}"

    def inbox(self, node: str) -> str:
        """What other nodes have sent to a node."""
        return f"{self.prefix}in:{node}"

    def room(self, room_id: str) -> str:
        """A room: its seats and its epoch."""
        return f"{self.prefix}room:{room_id}"

    def sealed(self, room_id: str) -> str:
        """That a room which is not here may be in another Redis."""
        return f"{self.prefix}sealed:{room_id}"

    def handed_off(self, member_id: str) -> str:
        """That a member's seat waits in Redis for a node to claim it."""
        return f"{self.prefix}handed-off:{member_id}"

    def token(self, token: str, user_id: str) -> str:
        """What was handed off, by resume token: only the token's user finds it."""
        digest = hashlib.sha256(f"{user_id}\0{token}".encode()).hexdigest()
        return f"{self.prefix}token:{digest}"


Believed = tuple[str, str, str, str]
"""A room, a member there, the one on the other seat and its node; the last two may be empty."""


class Seal(Enum):
    """What an `enter` does with the seal of a room: see `enter.lua`."""

    IGNORE = ""
    PUT = "put"
    HEED = "heed"


@dataclass(frozen=True, slots=True)
class Script(Generic[T]):
    """One run of a script.

    Attributes:
        name: of the file in `scripts/`.
        keys: its KEYS.
        arguments: its ARGV, after the five of `shared.lua`.
        read: turns its answer into what the caller wants to know.
        size: how many bytes it carries, where they are many.
    """

    name: str
    keys: tuple[str, ...]
    arguments: tuple[str | bytes | int, ...]
    read: Callable[[Any], T]
    size: int = 0


class Store:
    """One method for each script; `membership` runs what they return.

    Attributes:
        keys: the keys.
    """

    def __init__(self, prefix: str, name: str = "") -> None:
        """Keep everything under keys that begin with `prefix`, in the Redis of this name."""
        self.keys = Keys(prefix)
        self._name = name

    def enter(
        self, room_id: str, member: Member, *, create: bool, seal: Seal, until_ms: int
    ) -> Script[Entered | Verdict]:
        """Give a member a seat, before this time of Redis."""

        def read(answer: list[bytes]) -> Entered | Verdict:
            if answer[0] != b"ok":
                return Verdict(answer[0])
            _, term, polite, epoch, peer, evicted = answer
            return Entered(int(term), polite == b"1", int(epoch), _peer(peer), _peer(evicted))

        seal_ms = bounds.SEAL_MS if seal is Seal.PUT else bounds.HEED_MS
        how = (int(create), bounds.ROOM_MS, until_ms, seal.value, seal_ms)
        return Script("enter", self._sealable(room_id), (_text(member), *how), read)

    def leave(self, room_id: str, member_id: str) -> Script[Freed | Verdict]:
        """Free a member's seat."""

        def read(answer: list[bytes]) -> Freed | Verdict:
            if answer[0] != b"ok":
                return Verdict(answer[0])
            _, peer, evicted, since = answer
            return Freed(_peer(peer), _peer(evicted), int(since))

        return self._about("leave", room_id, member_id, read=read)

    def check_seat(self, room_id: str, member_id: str, user_id: str) -> Script[Verdict]:
        """Whose seat the user's seat is; `member_id` may be empty."""
        return self._about("check_seat", room_id, member_id, user_id, bounds.ROOM_MS, read=_verdict)

    def find_peer(
        self, room_id: str, member_id: str, *, absent_too_long: bool
    ) -> Script[OnNode | Verdict]:
        """Find the node of a peer; where it has no seat `absent_too_long`, it is gone."""

        def read(answer: list[bytes]) -> OnNode | Verdict:
            if len(answer) > 1:
                return OnNode(answer[1].decode(), missing=answer[0] == b"missing")
            return Verdict(answer[0])

        return self._about("find_peer", room_id, member_id, int(absent_too_long), read=read)

    def assert_seat(
        self, room_id: str, member: Member, *, polite: bool, epoch: int, peer_id: str
    ) -> Script[Verdict]:
        """Assert that a member sits where it sat."""
        where = (int(polite), epoch, peer_id, bounds.ROOM_MS)
        return Script("assert_seat", self._sealable(room_id), (_text(member), *where), _verdict)

    def keep_rooms(self, rooms: Sequence[Believed]) -> Script[list[str]]:
        """Keep rooms from expiring; the answer: which of the members do not sit there."""

        def read(answer: list[bytes]) -> list[str]:
            return _texts(answer[1:])

        keys = tuple(self.keys.room(room_id) for room_id, *_ in rooms)
        members = chain.from_iterable(members for _, *members in rooms)
        return Script("keep_rooms", keys, (bounds.ROOM_MS, *members), read)

    def hand_off(
        self, room_id: str, member_id: str, token_keys: Iterable[str], snapshot: bytes, life_ms: int
    ) -> Script[bool]:
        """Leave a member's seat in Redis for `life_ms`; the answer: whether it is there."""
        return Script(
            "hand_off",
            (self.keys.room(room_id), *token_keys),
            (member_id, snapshot, life_ms, max(bounds.ROOM_MS, life_ms)),
            lambda answer: bool(answer == [b"ok"]),
            size=len(snapshot),
        )

    def claim(
        self, room_id: str, token_key: str, claim: str, user_id: str, member_id: str
    ) -> Script[Claimed | Waiting | OnNodes | Verdict]:
        """Take a seat that was handed off; `member_id` may be empty: see `claim.lua`."""

        def read(answer: list[bytes]) -> Claimed | Waiting | OnNodes | Verdict:
            match answer:
                case [b"ok", term, snapshot, peer]:
                    return Claimed(int(term), snapshot, _peer(peer))
                case [b"left", member_id]:
                    return Waiting(member_id.decode())
                case [b"nodes", *names]:
                    return OnNodes(frozenset(name.decode() for name in names))
            return Verdict(answer[0])

        keys = (self.keys.room(room_id), token_key)
        return Script("claim", keys, (claim, user_id, bounds.ROOM_MS, member_id), read)

    def nodes_gone(self, nodes: Iterable[str]) -> Script[list[str]]:
        """Which of these nodes are gone."""
        return Script("nodes_gone", (), tuple(nodes), _texts)

    def renew_lease(self, node: str, first_id: str) -> Script[Renewal | None]:
        """Renew a node's lease, and drop what is before `first_id` in its inbox."""

        def read(answer: list[bytes]) -> Renewal | None:
            if not answer:
                return None
            generation, age_ms, back, now_ms = answer
            return Renewal(generation.decode(), int(age_ms) / 1000, back, int(now_ms) / 1000)

        keys = self.keys
        named = (
            *(keys.lease(node), keys.generation, keys.inbox(node)),
            *(keys.missing(node), keys.fence(node), keys.schema, keys.name),
        )
        lives = (bounds.LEASE_MS, bounds.GENERATION_MS, bounds.INBOX_MS)
        return Script("renew_lease", named, (*lives, first_id, SCHEMA, self._name), read)

    def post(self, node: str, entry: bytes) -> Words:
        """Put an entry into a node's inbox, if there is one: `renew_lease` makes it."""
        bound = ("MAXLEN", "~", bounds.INBOX_ENTRIES)
        return ("XADD", self.keys.inbox(node), "NOMKSTREAM", *bound, "*", ENTRY, entry)

    def retire(self, node: str) -> list[Words]:
        """Give a node's lease back, so that others need not wait for it to run out."""
        keys = self.keys
        return [
            ("DEL", keys.lease(node), keys.inbox(node)),
            # Missing for longer than any wait.
            ("SET", keys.missing(node), 0, "PX", bounds.MISSING_LIFE_MS),
        ]

    def refusal(self, error: str) -> str:
        """What to tell the operator, where an error says that this Redis is not for this node."""
        if error.startswith(SCHEMA_ERROR):
            return schema_sentence(error, self.keys.prefix)
        if error.startswith(NAME_ERROR):
            known = error.removeprefix(NAME_ERROR).strip()
            return (
                f"This Redis has the name {known}, and --redis gives it the name {self._name}. All "
                "nodes must give it the same, and no two addresses may be the same Redis."
            )
        return ""

    def _sealable(self, room_id: str) -> tuple[str, str]:
        return self.keys.room(room_id), self.keys.sealed(room_id)

    def _about(
        self, name: str, room_id: str, *arguments: str | bytes | int, read: Callable[[Any], T]
    ) -> Script[T]:
        return Script(name, (self.keys.room(room_id),), arguments, read)


def schema_sentence(error: str, prefix: str) -> str:
    """What to tell the operator, where Redis has data in another layout.

    Args:
        error: of `renew_lease`.
        prefix: of the keys.
    """
    stored = error.removeprefix(SCHEMA_ERROR).strip()
    return (
        f"The data in Redis has layout {stored}, and this version of Dyad works with layout "
        f"{SCHEMA}. Give its fleet another --redis-prefix; or stop all nodes of the other "
        f"version, and delete the key {prefix}schema."
    )


def _text(member: Member) -> str:
    """A seat of `member` without the fields that the scripts add."""
    seat = {"id": member.id, "user": member.user_id, "email": member.email}
    if member.traceparent:
        seat["traceparent"] = member.traceparent
    return json.dumps(seat)


def _texts(answer: list[bytes]) -> list[str]:
    return [each.decode() for each in answer]


def _peer(text: bytes) -> Peer | None:
    """The member and node of a seat; None where `text` is empty."""
    if not text:
        return None
    seat = json.loads(text)
    member = Member(seat["id"], seat["user"], seat["email"], seat.get("traceparent", ""))
    return Peer(member, seat["node"])


def _verdict(answer: list[bytes]) -> Verdict:
    return Verdict(answer[0])
