"""What nodes do for each other: move participants, and forward a `Send` that landed here.

The id of a connection begins with the name of its node, so any node knows where to
forward a `Send`. Which node has the participant of a resume token, Redis knows.
"""

import asyncio
import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

from dyad_server.core.connection_ids import node_of
from dyad_server.core.events import Departure, Member
from dyad_server.core.hub import Hub
from dyad_server.core.lifecycle import SEAT_GONE
from dyad_server.core.limits import Quota
from dyad_server.core.participant import Participant
from dyad_server.core.ports import Found
from dyad_server.core.reconnect import RESUMED, UNREACHABLE
from dyad_server.engines.redis import bounds, messages
from dyad_server.engines.redis.engine import RedisBroker
from dyad_server.engines.redis.message_codec import NotUnderstood, log_not_understood
from dyad_server.engines.redis.messages import ClaimAnswer, ForwardedSend, SendAnswer
from dyad_server.engines.redis.node_names import NODE_NAME
from dyad_server.engines.redis.node_questions import NodeQuestions
from dyad_server.engines.redis.script_answers import Claimed, OnNodes, Verdict, Waiting
from dyad_server.engines.redis.snapshot import SEAT, SNAPSHOT, pack, restore
from dyad_server.errors import Ended, Reason, Replaced, SeatLost, Unavailable

log = logging.getLogger("dyad.handoff")


# (user_id, stale, the serialized SendRequest): what ended the Send, if anything.
TakeSend = Callable[[str, bytes, bytes], Ended | None]


def claiming_users() -> Quota:
    """Counts the claims of each user that are under way on a node."""
    return Quota(bounds.CLAIMS_PER_USER)


@dataclass(frozen=True, slots=True)
class _Claim:
    """A client with this resume token wants its participant here.

    Attributes:
        name: names this claim in Redis.
    """

    token: str = field(repr=False)
    user_id: str
    room_id: str
    name: str


class RedisHandoff:
    """The way from this node to the others of one Redis: a `Handoff`."""

    def __init__(  # noqa: PLR0917 - the parts of this node
        self,
        hub: Hub,
        broker: RedisBroker,
        grace: float,
        take_send: TakeSend,
        questions: NodeQuestions,
        users: Quota,
    ) -> None:
        """Join `hub` to the nodes that `broker` reaches.

        Args:
            hub: this node's.
            broker: this node's.
            grace: seconds that a seat waits in Redis after it was handed off.
            take_send: acts on a `SendRequest` that landed on another node.
            questions: asks the other nodes; `answer_to` answers theirs.
            users: `claiming_users` of this node, for all its Redis.
        """
        self._hub = hub
        self._broker = broker
        self._membership = broker.membership
        self._clock = broker.membership.clock
        self._store = broker.membership.store
        self._grace_ms = int(grace * 1000)
        self._take_send = take_send
        # What is just being handed off, by the keys of its resume tokens.
        self._leaving: dict[str, asyncio.Future[bool]] = {}
        self._claiming_users = users
        self._claiming = 0
        self._questions = questions

    async def stop(self) -> None:
        """See `Handoff.stop`.

        A seat that comes here as this node begins to drain is left for the next node.
        """
        if self._questions.tasks:
            await asyncio.wait(self._questions.tasks, timeout=bounds.FINISH_SECONDS)

    def store_of(self, participant: Participant) -> str:
        """See `Handoff.store_of`: always the same."""
        del participant
        return self._membership.name

    def elsewhere(self, connection_id: str) -> bool:
        """See `Handoff.elsewhere`."""
        node = node_of(connection_id)
        # Redis is not asked for what is no node's name.
        return node != self._membership.node and NODE_NAME.fullmatch(node) is not None

    async def send(self, user_id: str, stale: bytes, connection_id: str, message: bytes) -> None:
        """See `Handoff.send`."""
        question = ForwardedSend(user_id, stale, message)
        answer = await self._questions.ask(node_of(connection_id), question, bounds.SEND_SECONDS)
        if not isinstance(answer, SendAnswer):
            raise Unavailable("The node of this session does not answer.", Reason.NODE_AWAY)
        if failure := messages.failure_of(answer):
            raise failure

    async def answer_to(self, question: messages.Question) -> messages.AnswerBody:
        """Answer a question of another node."""
        match question:
            case messages.Claim(token, user_id, room_id):
                return ClaimAnswer(await self._give(token, user_id, room_id))
            case ForwardedSend(user_id, stale, message):
                return messages.send_answer(self._take_send(user_id, stale, message))

    # Bringing a participant here.

    def claim(self, token: str, user_id: str, room_id: str, then: Found) -> None:
        """See `Handoff.claim`."""
        if self._claiming_users.full(user_id) or self._claiming >= bounds.CLAIMS:
            sentence = "Too many clients reconnect at once: reconnect soon."
            then(Unavailable(sentence, Reason.TOO_MANY_RECONNECTS))
            return
        claim = _Claim(token, user_id, room_id, secrets.token_hex(bounds.REQUEST_BYTES))

        async def claiming() -> None:
            self._claiming_users.take(user_id)
            self._claiming += 1
            try:
                await self._claim(claim, then)
            except Exception:
                log.exception("bringing a participant from another node failed")
                then(Unavailable(UNREACHABLE))
            finally:
                self._claiming_users.give_back(user_id)
                self._claiming -= 1

        self._questions.run(claiming())

    async def _claim(self, claim: _Claim, then: Found) -> None:
        """Adopt the participant; before that, have the node that has it hand it off."""
        denied: set[str] = set()
        deadline = self._clock.monotonic() + bounds.CLAIM_SECONDS
        while self._clock.monotonic() < deadline and not self._hub.draining:
            if not self._broker.ready:
                await asyncio.sleep(bounds.CLAIM_PAUSE_SECONDS)
                continue
            asked = self._ask_redis(claim, "")
            done, _ = await asyncio.wait({asked}, timeout=bounds.SCRIPT_SECONDS)
            if not done:
                break
            match asked.result():
                case Waiting(member_id):
                    if await self._adopt_waiting(claim, member_id, then):
                        return
                case OnNodes(there):
                    if not there - denied:
                        # An earlier try of this client may have brought it here.
                        tokens = self._hub.registry.tokens
                        then(tokens.owner(claim.token, claim.user_id, claim.room_id))
                        return
                    denied |= await self._ask_nodes(there - denied, claim)
                case _:
                    await asyncio.sleep(bounds.CLAIM_PAUSE_SECONDS)
        then(Unavailable(UNREACHABLE))

    async def _ask_nodes(self, nodes: frozenset[str], claim: _Claim) -> set[str]:
        """Have these nodes hand the participant off; those that do not have it.

        A node that is gone does not answer, and soon Redis believes it gone.
        """
        question = messages.Claim(claim.token, claim.user_id, claim.room_id)
        denied = set()
        for node in nodes:
            answer = await self._questions.ask(node, question, bounds.CLAIM_ANSWER_SECONDS)
            if isinstance(answer, ClaimAnswer) and not answer.handed_off:
                denied.add(node)
        return denied

    async def _adopt_waiting(self, claim: _Claim, member_id: str, then: Found) -> bool:
        """Adopt a member that waits in Redis; whether `then` has its answer."""
        # Other nodes may speak to it here before this node has the answer of Redis.
        with self._broker.expect(member_id):
            asked = self._ask_redis(claim, member_id)
            done, _ = await asyncio.wait({asked}, timeout=bounds.SCRIPT_SECONDS)
            if not done:
                then(Unavailable(UNREACHABLE))
            claimed = await asked
            if isinstance(claimed, Claimed):
                # Even if that was too late, its client may still reconnect to it.
                found = self._adopt(claim, member_id, claimed)
                if done:
                    then(found)
                return True
        return not done

    def _ask_redis(
        self, claim: _Claim, member_id: str
    ) -> asyncio.Future[Claimed | Waiting | OnNodes | Verdict | None]:
        answer: asyncio.Future[Claimed | Waiting | OnNodes | Verdict | None]
        answer = asyncio.get_running_loop().create_future()
        key = self._store.keys.token(claim.token, claim.user_id)
        script = self._store.claim(claim.room_id, key, claim.name, claim.user_id, member_id)
        # Only the question that gives a seat is worth asking for so long.
        seconds = bounds.PERSIST_SECONDS if member_id else bounds.SCRIPT_SECONDS
        self._membership.ask(script, answer.set_result, seconds)
        return answer

    def _adopt(self, claim: _Claim, member_id: str, claimed: Claimed) -> Participant | Ended:
        hub = self._hub
        member = Member(member_id, claim.user_id)
        try:
            snapshot = SNAPSHOT.unpack(claimed.snapshot)
            seat = SEAT.read(snapshot.seat)
        except NotUnderstood as error:
            # Its peer is told when its node finds that the seat is free.
            log_not_understood("a handed off seat", error.what)
            self._broker.free(claim.room_id, member, claimed.peer)
            return SeatLost(SEAT_GONE)
        try:
            participant = restore(snapshot.participant, hub.registry.new)
        except NotUnderstood as error:
            log_not_understood("a handed off participant", error.what)
            self._broker.adopt(member, claim.room_id, seat, claimed)
            self._broker.leave(claim.room_id, member_id, Departure.DISCONNECTED, reply_to=0)
            return SeatLost(SEAT_GONE)
        hub.adopt(participant, alone=seat.peer is None)
        self._broker.adopt(participant.member, claim.room_id, seat, claimed)
        if hub.draining:
            self._questions.run(self._hand_off_again(participant))
        return participant

    async def _hand_off_again(self, participant: Participant) -> None:
        await self.hand_off(participant, self._hub.going(), bounds.SCRIPT_SECONDS)

    # Leaving a participant to another node.

    async def hand_off(self, participant: Participant, failure: Ended, seconds: float) -> bool:
        """See `Handoff.hand_off`."""
        left = self._leave(participant, failure, seconds)
        if left is None:
            self._hub.end(participant, failure)
            return False
        return await left

    def _leave(
        self, participant: Participant, failure: Ended, seconds: float
    ) -> asyncio.Future[bool] | None:
        """Leave a participant in Redis and end its connection with `failure`.

        Its peer is not told. None: it has no seat, and nothing has changed.
        """
        detached = self._broker.detach(participant.member.id)
        if detached is None:
            return None
        seat, state = detached
        user_id = participant.identity.user_id
        tokens = [t for t in (participant.resume_token, participant.spent_token) if t]
        keys = [self._store.keys.token(token, user_id) for token in tokens]
        snapshot = pack(participant, state)
        done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._leaving.update(dict.fromkeys(keys, done))

        def handed_off(answer: bool | None) -> None:  # noqa: FBT001 - an answer of Redis
            for key in keys:
                self._leaving.pop(key, None)
            if not answer:
                self._broker.release(seat)
            done.set_result(bool(answer))

        script = self._store.hand_off(seat.room_id, seat.member.id, keys, snapshot, self._grace_ms)
        self._membership.ask(script, handed_off, seconds)
        self._hub.let_go(participant, failure)
        return done

    async def _give(self, token: str, user_id: str, room_id: str) -> bool:
        """Hand off the participant of a token; whether it waits in Redis."""
        participant = self._hub.registry.tokens.owner(token, user_id, room_id)
        if participant is None:
            # It may just be on its way there.
            left = self._leaving.get(self._store.keys.token(token, user_id))
        else:
            left = self._leave(
                participant, Replaced(RESUMED, Reason.RESUMED), bounds.SCRIPT_SECONDS
            )
        return left is not None and await left
