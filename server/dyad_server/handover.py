"""A participant as plain data: for a node that hands it to another one."""

from collections.abc import Callable
from typing import Any

from dyad_server.broker import Pack, Unpack
from dyad_server.inputs import Identity
from dyad_server.participant import Participant
from dyad_server.rooms import (
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

Plain = list[Any]


def plain(participant: Participant, pack: Pack) -> Plain:
    """All that another node needs to go on with `participant`."""
    identity, member = participant.identity, participant.member
    return [
        [identity.user_id, identity.email, identity.room],
        member.id,
        participant.room_id,
        participant.resume_token,
        participant.spent_token,
        participant.session.state(lambda output: _plain_output(output, pack)),
    ]


def restore(
    data: Plain, participant_of: Callable[[Identity], Participant], unpack: Unpack
) -> Participant:
    """The participant that `plain` made `data` of.

    Args:
        data: from `plain`.
        participant_of: makes a new one, with this node's limits.
        unpack: undoes what `pack` did.
    """
    (user_id, email, room), member_id, room_id, token, spent, session = data
    participant = participant_of(Identity(user_id, email, room))
    participant.member = Member(member_id, user_id, email)
    participant.room_id = room_id
    participant.resume_token = token
    participant.spent_token = spent
    participant.resumable = True
    participant.spoke = True
    participant.session.restore(session, lambda output: _output(output, unpack))
    return participant


def _plain_output(output: Output, pack: Pack) -> Plain:
    return [output.to, output.room_id, output.reply_to, _plain_event(output.event, pack)]


def _output(data: Plain, unpack: Unpack) -> Output:
    to, room_id, reply_to, event = data
    return Output(to, room_id, reply_to, _event(event, unpack))


def _plain_event(event: Event, pack: Pack) -> Plain:
    match event:
        case Forwarded(who, payload, size):
            return ["forwarded", _plain_member(who), pack(payload), size]
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


def _event(data: Plain, unpack: Unpack) -> Event:
    match data:
        case ["forwarded", who, payload, size]:
            return Forwarded(Member(*who), unpack(payload), size)
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
