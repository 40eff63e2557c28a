"""The links between this node's members and their peers on other nodes."""

import time
from collections.abc import Callable, Iterator
from enum import Enum
from typing import Any

from dyad_server.bus import Bus, Message
from dyad_server.links import Incoming, Outgoing, Pair

_RESEND_SECONDS = 1.0
_BREAK_SECONDS = 8.0
_SEEN_SECONDS = 30.0

Act = Callable[[str, str, Message], None]


class Presence(Enum):
    """How a member stands to this node."""

    SEATED = "seated"
    ENTERING = "entering"
    MOVED = "moved"
    UNKNOWN = "unknown"


class Crossing:
    """Sends to peers on other nodes, hears what they send, once and in order."""

    def __init__(self, bus: Bus, presence: Callable[[str], Presence], act: Act) -> None:
        """Hear for members of this `presence`; `act` is given (to, from, message)."""
        self._bus = bus
        self._presence = presence
        self._act = act
        self._out: dict[Pair, Outgoing] = {}
        self._in: dict[Pair, tuple[Incoming, float]] = {}
        self._early: dict[str, list[Message]] = {}

    def send(self, pair: Pair, node: str, message: Message, size: int) -> bool:
        """Send to a peer on `node`; False: it lets too much stand unacknowledged."""
        link = self._out.get(pair)
        if link is None:
            link = self._out[pair] = Outgoing(node)
        link.node = node
        fits = link.put(message, size, time.monotonic())
        self._bus.post(node, self._numbered(pair, link.last, message))
        return fits

    def hear(self, messages: list[Message]) -> None:
        """Take in what came from other nodes."""
        heard: dict[tuple[str, Pair], int] = {}
        for message in messages:
            if message[0] == "link":
                self._hear_link(message, heard)
            elif message[0] == "ack":
                link = self._out.get((message[1], message[2]))
                if link is not None:
                    link.acknowledged(message[3])
        for (node, pair), number in heard.items():
            self._bus.post(node, ["ack", *pair, number])

    def seated(self, member_id: str) -> None:
        """A member has a seat now: hear what came for it before."""
        self.hear(self._early.pop(member_id, []))

    def drop(self, pair: Pair) -> None:
        """These two have no more to say to each other."""
        self._out.pop(pair, None)

    def reroute(self, pair: Pair, node: str) -> None:
        """The receiver is on `node` now; what it may lack goes there at once."""
        link = self._out.get(pair)
        if link is None or link.node == node:
            return
        link.node = node
        if node == self._bus.node:
            # It has come here: what is under way is already at its goal.
            heard: dict[tuple[str, Pair], int] = {}
            for number, message in link.again(time.monotonic()):
                self._hear_link(self._numbered(pair, number, message), heard)
            link.acknowledged(link.last)
            return
        for number, message in link.again(time.monotonic()):
            self._bus.post(node, self._numbered(pair, number, message))

    def resend(self, now: float) -> Iterator[str]:
        """Send again what stands unacknowledged; yields senders whom nobody hears any more."""
        for pair, link in tuple(self._out.items()):
            here = self._presence(pair[0])
            if link.silent_for(now) > _BREAK_SECONDS:
                del self._out[pair]
                yield pair[0]
                continue
            if not link.kept and here is Presence.UNKNOWN:
                del self._out[pair]
            for number, message in link.overdue(now, _RESEND_SECONDS):
                self._bus.post(link.node, self._numbered(pair, number, message))

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
            [[kept.number, kept.message, kept.size] for kept in out.kept] if out else [],
            heard[0].taken_in if heard else 0,
        ]

    def restore(self, member_id: str, peer_id: str, node: str, state: list[Any]) -> None:
        """Go on with the links whose `state` this was; the peer is on `node`."""
        last, kept, taken_in = state
        now = time.monotonic()
        link = self._out[member_id, peer_id] = Outgoing(node)
        link.last = kept[0][0] - 1 if kept else last
        for _, message, size in kept:
            link.put(message, size, now)
        self._in[peer_id, member_id] = Incoming(taken_in), now

    def _numbered(self, pair: Pair, number: int, message: Message) -> Message:
        return ["link", self._bus.node, *pair, number, message]

    def _hear_link(self, message: Message, heard: dict[tuple[str, Pair], int]) -> None:
        _, node, who, to, number, what = message
        pair = (who, to)
        presence = self._presence(to)
        if presence is Presence.MOVED:
            # Not acknowledged: its sender will hear where it is.
            return
        if presence is Presence.ENTERING:
            self._early.setdefault(to, []).append(message)
            return
        link, _ = self._in.get(pair) or (Incoming(), 0.0)
        self._in[pair] = link, time.monotonic()
        if presence is Presence.UNKNOWN:
            # Nobody is here to take it.
            link.taken_in = max(link.taken_in, number)
        elif link.take(number):
            self._act(to, who, what)
        heard[node, pair] = link.taken_in
