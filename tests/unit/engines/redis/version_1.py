"""Version 1 of the messages between nodes: each message, and the data that represents it."""

from typing import Any

from dyad_server.core import events
from dyad_server.core.commands import Identity
from dyad_server.core.events import Departure, Member, Output, Refusal
from dyad_server.engines.redis import messages, snapshot
from dyad_server.engines.redis.message_codec import Form
from dyad_server.engines.redis.messages import (
    ANSWER,
    ENTRY,
    NODE,
    PEER,
    QUESTION,
    Entry,
    SendAnswer,
)
from dyad_server.engines.redis.snapshot import PARTICIPANT, SEAT, SNAPSHOT

TRACEPARENT = "00-trace-span-01"
ALICE, BOB = Member("a1", "alice", "a@example.com", TRACEPARENT), Member("b1", "bob")
PLAIN_ALICE = {
    "id": "a1",
    "user_id": "alice",
    "email": "a@example.com",
    "traceparent": TRACEPARENT,
}
PLAIN_BOB = {"id": "b1", "user_id": "bob", "email": "", "traceparent": ""}


def output(event: events.Event) -> Output:
    return Output("a1", "r1", 0, event)


def plain_output(event: dict[str, Any]) -> dict[str, Any]:
    return {"to": "a1", "room_id": "r1", "reply_to": 0, "event": event}


STATE = snapshot.ParticipantState(
    Identity("alice", "a@example.com", "r1"),
    "a1",
    "r1",
    "token",
    "spent",
    snapshot.SessionState(
        6,
        2,
        9,
        [
            output(events.Forwarded(BOB, b"frame")),
            output(events.Joined(BOB, polite=False)),
            output(events.PeerJoined(BOB)),
            output(events.PeerLeft(BOB, Departure.REPLACED)),
            output(events.Refused(Refusal.ROOM_FULL, "full")),
            output(events.Left()),
        ],
    ),
    TRACEPARENT,
)
PLAIN_STATE: dict[str, Any] = {
    "identity": {"user_id": "alice", "email": "a@example.com", "room": "r1"},
    "member_id": "a1",
    "room_id": "r1",
    "resume_token": "token",
    "spent_token": "spent",
    "session": {
        "last": 6,
        "written": 2,
        "received": 9,
        "kept": [
            plain_output({"kind": "forwarded", "who": PLAIN_BOB, "payload": b"frame"}),
            plain_output({"kind": "joined", "peer": PLAIN_BOB, "polite": False, "resumed": False}),
            plain_output({"kind": "peer joined", "who": PLAIN_BOB}),
            plain_output({"kind": "peer left", "who": PLAIN_BOB, "reason": "replaced"}),
            plain_output({"kind": "refused", "code": "room full", "message": "full"}),
            plain_output({"kind": "left"}),
        ],
    },
    "traceparent": TRACEPARENT,
}
# May be from any version: it is passed on unchanged.
BODY = {"kind": "any", "other": [1]}
LINKS = snapshot.LinkState(3, [snapshot.KeptState(BODY, 9)], 7)
PLAIN_LINKS = {"last": 3, "kept": [{"body": BODY, "size": 9}], "received": 7}
# Nodes of other versions read this format. docs/node-messages.md says how it may change: before
# 0.1.0 is released here, afterwards in a file of the next version.
VERSION_1: list[tuple[Form[Any], Any, dict[str, Any]]] = [
    (PEER, messages.Relay(b"frame"), {"kind": "relay", "payload": b"frame"}),
    (
        PEER,
        messages.Joined(ALICE, "n1", 5, replaced=True),
        {"kind": "joined", "member": PLAIN_ALICE, "node": "n1", "epoch": 5, "replaced": True},
    ),
    (PEER, messages.Left(Departure.LEFT), {"kind": "left", "reason": "left"}),
    (PEER, messages.Left(Departure.REPLACED), {"kind": "left", "reason": "replaced"}),
    (PEER, messages.Left(Departure.DISCONNECTED), {"kind": "left", "reason": "disconnected"}),
    (PEER, messages.Evicted(), {"kind": "evicted"}),
    (PEER, messages.Forgotten(), {"kind": "forgotten"}),
    (PEER, messages.Moved("n2"), {"kind": "moved", "node": "n2"}),
    (PEER, messages.Here(), {"kind": "here"}),
    (NODE, messages.Probe(), {"kind": "probe"}),
    (
        NODE,
        messages.Link("a1", "b1", 4, BODY),
        {"kind": "link", "sender": "a1", "receiver": "b1", "number": 4, "body": BODY},
    ),
    (
        NODE,
        messages.Ack("a1", "b1", 4),
        {"kind": "ack", "sender": "a1", "receiver": "b1", "number": 4},
    ),
    (
        NODE,
        messages.NotPeers("a1", "b1"),
        {"kind": "not peers", "sender": "a1", "receiver": "b1"},
    ),
    (
        NODE,
        messages.Rejected("a1", "b1", 4, "kind"),
        {"kind": "rejected", "sender": "a1", "receiver": "b1", "number": 4, "what": "kind"},
    ),
    (NODE, messages.Ask("q1", BODY), {"kind": "ask", "request": "q1", "question": BODY}),
    (NODE, messages.Answer("q1", BODY), {"kind": "answer", "request": "q1", "answer": BODY}),
    (
        QUESTION,
        messages.Claim("token", "alice", "r1"),
        {"kind": "claim", "token": "token", "user_id": "alice", "room_id": "r1"},
    ),
    (
        QUESTION,
        messages.ForwardedSend("alice", b"digest", b"send"),
        {"kind": "send", "user_id": "alice", "stale": b"digest", "message": b"send"},
    ),
    (ANSWER, messages.ClaimAnswer(handed_off=True), {"kind": "claim", "handed_off": True}),
    (
        ANSWER,
        SendAnswer("unavailable", "no", "lease", 1500),
        {
            "kind": "send",
            "code": "unavailable",
            "sentence": "no",
            "why": "lease",
            "within_ms": 1500,
        },
    ),
    (ANSWER, messages.QuestionRejected(), {"kind": "rejected"}),
    (ENTRY, Entry("n1", [BODY]), {"version": 1, "node": "n1", "messages": [BODY]}),
    (SNAPSHOT, snapshot.Snapshot(BODY, BODY), {"version": 1, "seat": BODY, "participant": BODY}),
    (
        SEAT,
        snapshot.SeatState(True, 5, snapshot.PeerState(BOB, "n1", LINKS)),  # noqa: FBT003
        {
            "polite": True,
            "epoch": 5,
            "peer": {"member": PLAIN_BOB, "node": "n1", "links": PLAIN_LINKS},
        },
    ),
    (SEAT, snapshot.SeatState(False, 5, None), {"polite": False, "epoch": 5, "peer": None}),  # noqa: FBT003
    (PARTICIPANT, STATE, PLAIN_STATE),
]
