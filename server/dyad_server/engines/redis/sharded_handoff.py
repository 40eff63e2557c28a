"""Moves participants between nodes that share several Redis."""

import asyncio
from collections.abc import Mapping

from dyad_server.core.participant import Participant
from dyad_server.core.ports import Found
from dyad_server.engines.redis import messages
from dyad_server.engines.redis.engine import RedisBroker
from dyad_server.engines.redis.handoff import RedisHandoff
from dyad_server.engines.redis.sharded import ShardedBroker
from dyad_server.errors import Ended


class ShardedHandoff:
    """A `Handoff` with one for each Redis.

    A seat moves through the Redis that has it. Questions between nodes go through any.
    """

    def __init__(self, broker: ShardedBroker, handoffs: Mapping[RedisBroker, RedisHandoff]) -> None:
        """Move participants whose seats `broker` has.

        Args:
            broker: this node's.
            handoffs: one for each of its engines. All ask the same `NodeQuestions`.
        """
        self._broker = broker
        self._handoffs = handoffs
        self._any = next(iter(handoffs.values()))

    async def stop(self) -> None:
        """See `Handoff.stop`."""
        await self._any.stop()

    def claim(self, token: str, user_id: str, room_id: str, then: Found) -> None:
        """See `Handoff.claim`."""
        # An answer is certain only if no place is away, so these come last.
        left = sorted(self._broker.places(room_id), key=lambda place: not place.ready)

        def claim_next() -> None:
            self._handoffs[left.pop(0)].claim(token, user_id, room_id, found)

        def found(answer: Participant | Ended | None) -> None:
            if answer is None and left:
                # Not at once: until this returns, the claim before counts as under way.
                asyncio.get_running_loop().call_soon(claim_next)
            else:
                then(answer)

        claim_next()

    def store_of(self, participant: Participant) -> str:
        """See `Handoff.store_of`."""
        return self._handoffs[self._place(participant)].store_of(participant)

    async def hand_off(self, participant: Participant, failure: Ended, seconds: float) -> bool:
        """See `Handoff.hand_off`."""
        place = self._place(participant)
        return await self._handoffs[place].hand_off(participant, failure, seconds)

    def _place(self, participant: Participant) -> RedisBroker:
        return self._broker.at(participant.room_id, participant.member.id)

    def elsewhere(self, connection_id: str) -> bool:
        """See `Handoff.elsewhere`."""
        return self._any.elsewhere(connection_id)

    async def send(self, user_id: str, stale: bytes, connection_id: str, message: bytes) -> None:
        """See `Handoff.send`."""
        await self._any.send(user_id, stale, connection_id, message)

    async def answer_to(self, question: messages.Question) -> messages.AnswerBody:
        """Answer a question of another node."""
        if not isinstance(question, messages.Claim):
            return await self._any.answer_to(question)
        answer: messages.AnswerBody = messages.ClaimAnswer(handed_off=False)
        for place in self._broker.places(question.room_id):
            answer = await self._handoffs[place].answer_to(question)
            if answer == messages.ClaimAnswer(handed_off=True):
                break
        return answer
