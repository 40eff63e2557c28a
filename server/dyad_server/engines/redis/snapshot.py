"""A participant as plain data: for a node that hands it to another one."""

from collections.abc import Callable
from typing import Any

from dyad_server.core.commands import Identity
from dyad_server.core.events import (
    Departure,
    Event,
    Forwarded,
    Joined,
    Left,
    Member,
    Output,
    PeerJoined,
    PeerLeft,
    Refusal,
    Refused,
)
from dyad_server.core.participant import Participant

Plain = list[Any]


def plain(participant: Participant) -> Plain:
    """All that another node needs to go on with `participant`."""
    identity, member = participant.identity, participant.member
    return [
        [identity.user_id, identity.email, identity.room],
        member.id,
        participant.room_id,
        participant.resume_token,
        participant.spent_token,
        participant.session.state(_plain_output),
    ]


def restore(data: Plain, participant_of: Callable[[Identity], Participant]) -> Participant:
    """The participant that `plain` made `data` of.

    Args:
        data: from `plain`.
        participant_of: makes a new one, with this node's limits.
    """
    (user_id, email, room), member_id, room_id, token, spent, session = data
    participant = participant_of(Identity(user_id, email, room))
    participant.adopt(member_id, room_id, token, spent)
    participant.session.restore(session, _output)
    return participant


def _plain_output(output: Output) -> Plain:
    return [output.to, output.room_id, output.reply_to, _plain_event(output.event)]


def _output(data: Plain) -> Output:
    to, room_id, reply_to, event = data
    return Output(to, room_id, reply_to, _event(event))


def _plain_event(event: Event) -> Plain:
    match event:
        case Forwarded(who, payload):
            return ["forwarded", _plain_member(who), payload]
        case Joined(peer, polite, resumed):
            return ["joined", peer and _plain_member(peer), polite, resumed]
        case PeerJoined(who):
            return ["peer joined", _plain_member(who)]
        case PeerLeft(who, reason):
            return ["peer left", _plain_member(who), reason.value]
        case Refused(code, message):
            return ["refused", code.value, message]
        case Left():
            return ["left"]
        case _:
            raise TypeError("what ends a call is never kept")


def _event(data: Plain) -> Event:
    match data:
        case ["forwarded", who, payload]:
            return Forwarded(Member(*who), payload)
        case ["joined", peer, polite, resumed]:
            return Joined(peer and Member(*peer), polite, resumed)
        case ["peer joined", who]:
            return PeerJoined(Member(*who))
        case ["peer left", who, reason]:
            return PeerLeft(Member(*who), Departure(reason))
        case ["refused", code, message]:
            return Refused(Refusal(code), message)
        case _:
            return Left()


def _plain_member(member: Member) -> Plain:
    return [member.id, member.user_id, member.email]
