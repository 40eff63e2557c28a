"""The links between this node's members and their peers on other nodes."""

import logging
import time
from collections.abc import Callable, Iterator
from enum import Enum
from typing import Any

from dyad_server.engines.redis.membership import Membership
from dyad_server.engines.redis.messages import Message
from dyad_server.engines.redis.peer_link import Incoming, Outgoing, Pair

log = logging.getLogger("dyad.bus")

_RESEND_SECONDS = 1.0
_SILENT_SECONDS = 7.0
# Past the time that a seat is held: one who comes back may still lack the last words.
_LAST_WORDS_SECONDS = 20.0
_SEEN_SECONDS = 30.0

# What a member is told: to, from, message. False: those two are not peers.
Act = Callable[[str, str, Message], bool]
# Of two members, the one here and the other: that one says they are not peers.
Apart = Callable[[str, str], None]


class Presence(Enum):
    """How a member stands to this node.

    Away is one who was here, or is perhaps about to be.
    """

    SEATED = "seated"
    ENTERING = "entering"
    AWAY = "away"
    UNKNOWN = "unknown"


class PeerLinks:
    """Sends to peers on other nodes, hears what they send, once and in order."""

    def __init__(
        self, membership: Membership, presence: Callable[[str], Presence], act: Act, apart: Apart
    ) -> None:
        """Hear for members of this `presence`; `act` on messages, and on who is `apart`."""
        self._membership = membership
        self._presence = presence
        self._act = act
        self._apart = apart
        self._out: dict[Pair, Outgoing] = {}
        self._in: dict[Pair, tuple[Incoming, float]] = {}
        self._early: dict[str, list[Message]] = {}

    def send(self, pair: Pair, node: str, message: Message, size: int) -> bool:
        """Send to a peer on `node`, or where it will be; False: too much stands unacknowledged."""
        link = self._out.get(pair)
        if link is None:
            link = self._out[pair] = Outgoing(node)
        link.node = node
        fits = link.put(message, size, time.monotonic())
        self._membership.post(node, self._numbered(pair, link.last, message))
        return fits

    def hear(self, messages: list[Message]) -> None:
        """Take in what came from other nodes."""
        heard: dict[tuple[str, Pair], int] = {}
        for message in messages:
            try:
                self._hear_one(message, heard)
            except Exception:
                # One that fails must not take with it what came beside it.
                log.exception("a message of another node was not understood")
        for (node, pair), number in heard.items():
            self._membership.post(node, ["ack", *pair, number])

    def _hear_one(self, message: Message, heard: dict[tuple[str, Pair], int]) -> None:
        match message:
            case ["link", *_]:
                self._hear_link(message, heard)
            case ["ack", who, to, number]:
                if (link := self._out.get((who, to))) is not None:
                    link.acknowledged(number)
            case ["apart", who, to]:
                self._apart(who, to)

    def seated(self, member_id: str) -> None:
        """A member has a seat now, or will have none: hear what came for it before."""
        self.hear(self._early.pop(member_id, []))

    def drop(self, pair: Pair) -> None:
        """These two have no more to say to each other."""
        self._out.pop(pair, None)

    def reroute(self, pair: Pair, node: str) -> None:
        """The receiver is on `node` now; what it may lack goes there at once."""
        link = self._out.get(pair)
        if link is None or link.node == node:
            return
        link.moved(node, time.monotonic())
        if node == self._membership.node:
            # It has come here: what is under way is already at its goal.
            for number, message in link.again(time.monotonic()):
                self._hear_link(self._numbered(pair, number, message), {})
            link.acknowledged(link.last)
            return
        for number, message in link.again(time.monotonic()):
            self._membership.post(node, self._numbered(pair, number, message))

    def resend(self, now: float) -> Iterator[Pair]:
        """Send again what stands unacknowledged; yields the pairs where that has been too long."""
        for pair, link in tuple(self._out.items()):
            here = self._presence(pair[0])
            silent = link.silent_for(now)
            if here is Presence.UNKNOWN and (not link.kept or silent > _LAST_WORDS_SECONDS):
                del self._out[pair]
                continue
            again = link.overdue(now, _RESEND_SECONDS)
            for number, message in again:
                self._membership.post(link.node, self._numbered(pair, number, message))
            if again and silent > _SILENT_SECONDS:
                yield pair

    def forget(self, now: float) -> None:
        """Forget whom nobody here hears any more."""
        for pair, (_, heard_at) in tuple(self._in.items()):
            if self._presence(pair[1]) is Presence.UNKNOWN and now - heard_at > _SEEN_SECONDS:
                del self._in[pair]

    def state(self, member_id: str, peer_id: str) -> list[Any]:
        """Take the links of a member that goes on elsewhere, as plain data."""
        out = self._out.pop((member_id, peer_id), None)
        heard = self._in.pop((peer_id, member_id), None)
        return [
            out.last if out else 0,
            [[kept.message, kept.size] for kept in out.kept] if out else [],
            heard[0].taken_in if heard else 0,
        ]

    def restore(self, member_id: str, peer_id: str, state: list[Any]) -> None:
        """Go on with the links whose `state` this was; `reroute` says where the peer is."""
        last, kept, taken_in = state
        now = time.monotonic()
        link = self._out[member_id, peer_id] = Outgoing("")
        link.last = last - len(kept)
        for message, size in kept:
            link.put(message, size, now)
        self._in[peer_id, member_id] = Incoming(taken_in), now

    def _numbered(self, pair: Pair, number: int, message: Message) -> Message:
        return ["link", self._membership.node, *pair, number, message]

    def _hear_link(self, message: Message, heard: dict[tuple[str, Pair], int]) -> None:
        _, node, who, to, number, what = message
        pair = (who, to)
        presence = self._presence(to)
        if presence is Presence.AWAY:
            # Not acknowledged: its sender will hear where it is, or send it again.
            return
        if presence is Presence.ENTERING:
            self._early.setdefault(to, []).append(message)
            return
        link, _ = self._in.get(pair) or (Incoming(), 0.0)
        self._in[pair] = link, time.monotonic()
        # Where nobody is here to take it, nothing can come too early.
        taken = link.take(number) if presence is Presence.SEATED else link.pass_over(number)
        if taken and not self._act(to, who, what) and not self._says((to, who)):
            self._membership.post(node, ["apart", *pair])
        heard[node, pair] = link.taken_in

    def _says(self, pair: Pair) -> bool:
        """Whether there is something under way that will say it better."""
        link = self._out.get(pair)
        return link is not None and bool(link.kept)
