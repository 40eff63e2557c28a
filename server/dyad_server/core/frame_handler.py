"""What participants ask for: checks each frame, and passes it on to the engine."""

from dyad_server.core.commands import Acknowledge, Enter, Event, Input, Invalid, Leave, Relay
from dyad_server.core.events import Departure, Output, Refusal, Refused
from dyad_server.core.lifecycle import Lifecycle
from dyad_server.core.limits import Limits
from dyad_server.core.output_delivery import OutputDelivery
from dyad_server.core.participant import Connection, Participant
from dyad_server.core.ports import Broker
from dyad_server.core.reconnect import Reconnect
from dyad_server.core.registry import Registry
from dyad_server.core.room_ids import is_room_id
from dyad_server.core.session import Arrival
from dyad_server.core.states import State
from dyad_server.errors import Forbidden, Overloaded, Reason


class FrameHandler:
    """Acts on the frames of all participants."""

    def __init__(  # noqa: PLR0917 - the parts of the hub
        self,
        broker: Broker,
        registry: Registry,
        lifecycle: Lifecycle,
        reconnect: Reconnect,
        outputs: OutputDelivery,
        limits: Limits,
    ) -> None:
        """Ask `broker`; `outputs` tells a participant that its frame was refused."""
        self._broker = broker
        self._registry = registry
        self._lifecycle = lifecycle
        self._reconnect = reconnect
        self._outputs = outputs
        self._may_resume = limits.resume_grace > 0

    def receive(self, connection: Connection, what: Input) -> None:
        """Act on a frame; a frame whose number was received before has no effect."""
        participant = connection.participant
        event = what.event
        if isinstance(event, Enter) and event.resume_token:
            if participant.spoke or what.seq:
                sentence = "A join_room that resumes comes first, without a number."
                self._refuse(participant, what.seq, sentence)
            else:
                self._reconnect.begin(connection, what.ack, event)
            return
        if not participant.spoke:
            participant.speak()
        self._registry.tokens.answered(participant)
        session = participant.session
        arrival = session.arrive(what.seq, what.size)
        if what.ack and not session.acknowledged(what.ack):
            event = Invalid(f"The server has sent no frame with number {what.ack}.")
        elif arrival is Arrival.GAP:
            expected = session.received + 1
            event = Invalid(f"The frame has number {what.seq}, but number {expected} was expected.")
        elif arrival is Arrival.DUPLICATE:
            event = Acknowledge()
        self._act(connection, what, event)
        if session.ack_due:
            connection.outlet.wake()

    def _act(self, connection: Connection, what: Input, event: Event) -> None:
        participant = connection.participant
        member_id = participant.member.id
        match event:
            case Relay(room_id, payload):
                if room_id == participant.room_id:
                    # One string for all frames, or each that waits would keep its own.
                    room_id = participant.room_id
                self._broker.relay(room_id, member_id, payload, reply_to=what.seq)
            case Enter():
                self._enter(connection, what.seq, event)
            case Leave(room_id):
                participant.ask_to_leave(room_id)
                self._broker.leave(room_id, member_id, Departure.LEFT, reply_to=what.seq)
            case Invalid(sentence):
                self._refuse(participant, what.seq, sentence)
            case Acknowledge():
                pass

    def _enter(self, connection: Connection, seq: int, enter: Enter) -> None:
        participant = connection.participant
        room_id = enter.room_id
        if participant.state is not State.WAITING:
            self._refuse(participant, seq, "You are in a room already: leave it first.")
            return
        own = participant.identity.room
        if own is not None and room_id not in ("", own):
            self._lifecycle.end(participant, Forbidden("The token is for another room."))
            return
        if own is not None and not room_id and not is_room_id(own):
            sentence = "The token's room is not a UUID: it cannot be created."
            self._lifecycle.end(participant, Forbidden(sentence))
            return
        if self._registry.too_many(participant):
            sentence = "This user has too many streams already."
            self._lifecycle.end(participant, Overloaded(sentence, Reason.USER_STREAMS))
            return
        # A token with a room may create that room by naming it, so both ends can rejoin
        # after a restart.
        create = not room_id or (room_id == own and is_room_id(own))
        resumable = enter.resumable and self._may_resume
        room_id = room_id or own or self._broker.new_room_id(connection.routing_key)
        participant.enter(room_id, resumable=resumable, now=connection.heard_at)
        self._broker.enter(participant.room_id, participant.member, create=create, reply_to=seq)

    def _refuse(self, participant: Participant, seq: int, sentence: str) -> None:
        room_id = "" if participant.state is State.ENTERING else participant.room_id
        refused = Refused(Refusal.INVALID_FRAME, sentence)
        self._outputs.tell(participant, Output(participant.member.id, room_id, seq, refused))
