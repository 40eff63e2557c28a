"""What nodes say to each other; docs/node-messages.md says how it may change."""

from dataclasses import dataclass, field
from typing import Any

from dyad_server.core.events import Departure, Member
from dyad_server.engines.redis.message_codec import Form, Map, NotUnderstood, kinds, record
from dyad_server.errors import (
    Draining,
    Ended,
    Forbidden,
    OutOfTime,
    Overloaded,
    Reason,
    Replaced,
    SeatLost,
    SessionNotFound,
    Unauthenticated,
    Unavailable,
)

VERSION = 1
"""Goes up for a release with other messages; a node also reads those of newer versions."""

# From a member to its peer, over a link.


@dataclass(slots=True)
class Relay:
    """The member says this to its peer: a serialized frame."""

    payload: bytes = field(repr=False)


@dataclass(slots=True)
class Joined:
    """The member is the receiver's new peer.

    Attributes:
        member: the sender.
        node: where it is.
        epoch: of the room, as of the join.
        replaced: it took the seat of another session of the same user.
    """

    member: Member
    node: str
    epoch: int
    replaced: bool


@dataclass(slots=True)
class Left:
    """The member has left."""

    reason: Departure


@dataclass(slots=True)
class Evicted:
    """The member, another session of the receiver's user, has taken its seat."""


@dataclass(slots=True)
class Forgotten:
    """Redis has lost the room: the receiver's node must assert its seat."""


@dataclass(slots=True)
class Moved:
    """The member is on this node now."""

    node: str


@dataclass(slots=True)
class Here:
    """The member still sits there; answered if the receiver has another peer."""


PeerMessage = Relay | Joined | Left | Evicted | Forgotten | Moved | Here
PEER: Form[PeerMessage] = kinds(
    {
        "relay": Relay,
        "joined": Joined,
        "left": Left,
        "evicted": Evicted,
        "forgotten": Forgotten,
        "moved": Moved,
        "here": Here,
    }
)

# From a node to a node.


@dataclass(slots=True)
class Probe:
    """From a node to itself: whether messages get through."""


@dataclass(slots=True)
class Link:
    """A numbered message from a member to its peer.

    Attributes:
        sender: the member's id.
        receiver: the peer's id.
        number: 1, 2, 3 ... between those two.
        body: a `PeerMessage`, written: it is kept and resent as it is.
    """

    sender: str
    receiver: str
    number: int
    body: Map = field(repr=False)


@dataclass(slots=True)
class Ack:
    """All up to `number` was received, of what `sender` said to `receiver`."""

    sender: str
    receiver: str
    number: int


@dataclass(slots=True)
class NotPeers:
    """`sender` spoke to `receiver`, which is not its peer."""

    sender: str
    receiver: str


@dataclass(slots=True)
class Rejected:
    """A message was not understood, and not counted as received.

    Attributes:
        sender: of that message.
        receiver: of that message.
        number: its number; 0: it was no `Link`.
        what: what was not understood, for the log.
    """

    sender: str
    receiver: str
    number: int
    what: str


@dataclass(slots=True)
class Ask:
    """A question, written; asked again under the same name until it is answered."""

    request: str
    question: Map = field(repr=False)


@dataclass(slots=True)
class Answer:
    """The answer to the question of that name, written."""

    request: str
    answer: Map = field(repr=False)


NodeMessage = Probe | Link | Ack | NotPeers | Rejected | Ask | Answer
NODE: Form[NodeMessage] = kinds(
    {
        "probe": Probe,
        "link": Link,
        "ack": Ack,
        "not peers": NotPeers,
        "rejected": Rejected,
        "ask": Ask,
        "answer": Answer,
    }
)

# Questions of a node to a node, and their answers.


@dataclass(slots=True)
class Claim:
    """Hand off the participant of this resume token."""

    token: str = field(repr=False)
    user_id: str
    room_id: str


@dataclass(slots=True)
class ForwardedSend:
    """Act on a `SendRequest`; `stale` as in `Handoff.send`."""

    user_id: str
    stale: bytes = field(repr=False)
    message: bytes = field(repr=False)


Question = Claim | ForwardedSend
QUESTION: Form[Question] = kinds({"claim": Claim, "send": ForwardedSend})


@dataclass(slots=True)
class ClaimAnswer:
    """Whether the participant was handed off."""

    handed_off: bool


@dataclass(slots=True)
class SendAnswer:
    """What ended the `Send`; without a code, nothing did.

    Attributes:
        code: one of `ENDS`.
        sentence: for the client.
        why: a `Reason`, for this node's metrics and log; empty: the usual one.
        within_ms: over how long clients are told to spread their reconnects, if they are.
    """

    code: str = ""
    sentence: str = ""
    why: str = ""
    within_ms: int = 0


@dataclass(slots=True)
class QuestionRejected:
    """The question was not understood."""


AnswerBody = ClaimAnswer | SendAnswer | QuestionRejected
ANSWER: Form[AnswerBody] = kinds(
    {"claim": ClaimAnswer, "send": SendAnswer, "rejected": QuestionRejected}
)
ENDS: dict[str, type[Ended]] = {
    "unauthenticated": Unauthenticated,
    "forbidden": Forbidden,
    "session not found": SessionNotFound,
    "overloaded": Overloaded,
    "out of time": OutOfTime,
    "out of step": SeatLost,
    "replaced": Replaced,
    "unavailable": Unavailable,
    "draining": Draining,
}
"""The codes of `SendAnswer`. To a node that does not know one, it is "unavailable"."""
_CODES = {kind: code for code, kind in ENDS.items()}


def send_answer(failure: Ended | None) -> SendAnswer:
    """The answer to a `Send` that this ended."""
    if failure is None:
        return SendAnswer()
    within_ms = int(failure.within * 1000) if isinstance(failure, Unavailable) else 0
    return SendAnswer(_CODES[type(failure)], str(failure), failure.reason.value, within_ms)


def failure_of(answer: SendAnswer) -> Ended | None:
    """What ended a `Send` that was answered like this."""
    if not answer.code:
        return None
    kind = ENDS.get(answer.code, Unavailable)
    # A node of another version may have other reasons.
    reason = Reason(answer.why) if answer.why in set(Reason) else None
    if answer.within_ms and issubclass(kind, Unavailable):
        return kind(answer.sentence, reason, within=answer.within_ms / 1000)
    return kind(answer.sentence, reason)


# An entry of an inbox.


@dataclass(slots=True)
class Entry:
    """Messages from one node: each is read by itself, so that a bad one harms no other."""

    node: str
    messages: list[Any]
    version: int = VERSION


ENTRY = record(Entry)


@dataclass(slots=True)
class Unknown:
    """A message that is not understood, with what must be known to reject it.

    Attributes:
        what: what was not understood, for the log.
        sender: the member that sent it; empty: it is about no pair.
        receiver: the member that it is for.
    """

    what: str
    sender: str = ""
    receiver: str = ""


def read_message(data: Any) -> NodeMessage | Unknown:
    """Read a message of an entry."""
    try:
        return NODE.read(data)
    except NotUnderstood as error:
        fields = data if type(data) is dict else {}
        sender, receiver = fields.get("sender"), fields.get("receiver")
        about_pair = type(sender) is str and type(receiver) is str
        return Unknown(error.what, *((sender, receiver) if about_pair else ("", "")))
