"""What nodes do for each other: hand over participants, pass on a `Send` that landed here.

A session id begins with the name of the node that gave it, so any node knows
whom to pass a `Send` to. Who has the participant of a resume token, the seats
of its room say.
"""

import asyncio
import logging
import secrets
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any

import msgpack

from dyad_server.core.hub import Hub
from dyad_server.core.limits import Quota
from dyad_server.core.participant import Participant
from dyad_server.core.ports import Found
from dyad_server.core.reconnect import RESUMED
from dyad_server.core.session_ids import node_of
from dyad_server.engines.redis.answers import Claimed, OnNodes, Verdict, Waiting
from dyad_server.engines.redis.engine import RedisBroker
from dyad_server.engines.redis.membership import NODE_NAME
from dyad_server.engines.redis.messages import Message
from dyad_server.engines.redis.snapshot import plain, restore
from dyad_server.errors import Ended, Replaced, Unavailable

log = logging.getLogger("dyad.fleet")

_ASK_SECONDS = 3.0
_ASK_AGAIN_SECONDS = 0.5
_REMEMBERED = 4096
_FINISH_SECONDS = 3.0
_SCRIPT_SECONDS = 2.0
_PERSIST_SECONDS = 60.0
# Longer than the lease of a node that is gone, shorter than a client waits.
_CLAIM_SECONDS = 7.5
# Claims that one user, and all users together, may have under way.
_CLAIMS = 16
_ALL_CLAIMS = 2048

# (user_id, the packed SendRequest): what the servicer does with it.
TakeSend = Callable[[str, bytes, bytes], Ended | None]


class Fleet:
    """This node among the others of one Redis."""

    def __init__(self, hub: Hub, broker: RedisBroker, grace: float, take_send: TakeSend) -> None:
        """Join `hub` to the nodes that `broker` reaches.

        Args:
            hub: this node's.
            broker: its.
            grace: seconds that what a node leaves behind is good for.
            take_send: acts on a `SendRequest` that landed on another node.
        """
        self._hub = hub
        self._broker = broker
        self._membership = broker.membership
        self._store = broker.membership.store
        self._grace_ms = int(grace * 1000)
        self._waiting: dict[str, asyncio.Future[Any]] = {}
        self._answers: OrderedDict[str, Any] = OrderedDict()
        # What is just being handed over, by the keys of its resume tokens.
        self._leaving: dict[str, asyncio.Future[bool]] = {}
        self._claims = Quota(_CLAIMS)
        self._claiming = 0
        self._tasks: set[asyncio.Task[Any]] = set()
        self._take_send = take_send
        broker.answer_by(self._heard)

    async def stop(self) -> None:
        """See `Handoff.stop`.

        What another node left for a client that came here as this node began to
        drain is left for the next one.
        """
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_FINISH_SECONDS)

    def elsewhere(self, session_id: str) -> bool:
        """Whether a session is another node's."""
        node = node_of(session_id)
        # What is no node's name is not asked for in Redis.
        return node != self._membership.node and NODE_NAME.fullmatch(node) is not None

    async def send(self, user_id: str, stale: bytes, session_id: str, packed: bytes) -> None:
        """Pass a `SendRequest` to the node whose session it is for; `stale` as in `Registry.find`.

        Raises:
            Ended: what that node says to it; `Unavailable` if it does not answer.
        """
        answer = await self._ask(
            node_of(session_id), ["send", user_id, stale, packed], _ASK_SECONDS
        )
        if answer is None:
            raise Unavailable("The node of this session does not answer.")
        if answer:
            kind, sentence = answer
            raise _KINDS.get(kind, Unavailable)(sentence)

    # Handing over.

    def claim(self, token: str, user_id: str, room_id: str, then: Found) -> None:
        """See `Handoff.claim`."""
        if self._claims.full(user_id) or self._claiming >= _ALL_CLAIMS:
            then(Unavailable("Too many come back at once: come back soon."))
            return

        async def claiming() -> None:
            self._claims.take(user_id)
            self._claiming += 1
            try:
                await self._claim(token, user_id, room_id, then)
            except Exception:
                log.exception("a seat could not be taken up")
                then(Unavailable("Rooms are out of reach: come back soon."))
            finally:
                self._claims.give_back(user_id)
                self._claiming -= 1

        self._run(claiming())

    async def _claim(self, token: str, user_id: str, room_id: str, then: Found) -> None:
        """Take up what was left for `token`; have it left by the node that has it."""
        request = secrets.token_hex(8)
        denied: set[str] = set()
        deadline = time.monotonic() + _CLAIM_SECONDS
        while time.monotonic() < deadline and not self._hub.draining:
            if not self._broker.ready:
                await asyncio.sleep(_ASK_AGAIN_SECONDS)
                continue
            asked = self._ask_redis(request, token, user_id, room_id, "")
            done, _ = await asyncio.wait({asked}, timeout=_SCRIPT_SECONDS)
            if not done:
                break
            match asked.result():
                case Waiting(member):
                    if await self._take_up(request, token, user_id, room_id, member, then):
                        return
                case OnNodes(there):
                    nodes = there - denied
                    if not nodes:
                        # Perhaps it was taken up here for an earlier try of its client's.
                        here = self._hub.registry.tokens.owner(token, user_id, room_id)
                        then(here)
                        return
                    question = ["claim", token, user_id, room_id]
                    # One that is gone does not answer, and is soon believed to be gone.
                    answers = {node: await self._ask(node, question, 1.0) for node in nodes}
                    denied |= {node for node, given in answers.items() if given is False}
                case _:
                    await asyncio.sleep(_ASK_AGAIN_SECONDS)
        then(Unavailable("Rooms are out of reach: come back soon."))

    async def _take_up(  # noqa: PLR0917 - what names a claim
        self, request: str, token: str, user_id: str, room_id: str, member_id: str, then: Found
    ) -> bool:
        """Take up a member that is left in Redis; whether `then` has its answer."""
        # Other nodes may speak to it here before this one has Redis' answer.
        with self._broker.expect(member_id):
            asked = self._ask_redis(request, token, user_id, room_id, member_id)
            done, _ = await asyncio.wait({asked}, timeout=_SCRIPT_SECONDS)
            if not done:
                then(Unavailable("Rooms are out of reach: come back soon."))
            claimed = await asked
            if isinstance(claimed, Claimed):
                # Where that was too late, its client may still come back to it.
                found = self._adopt(claimed, room_id)
                if done:
                    then(found)
                return True
        return not done

    def _ask_redis(
        self, request: str, token: str, user_id: str, room_id: str, member_id: str
    ) -> asyncio.Future[Claimed | Waiting | OnNodes | Verdict | None]:
        answer: asyncio.Future[Claimed | Waiting | OnNodes | Verdict | None]
        answer = asyncio.get_running_loop().create_future()
        key = self._store.keys.token(token, user_id)
        script = self._store.claim(room_id, key, request, user_id, member_id)
        # Only what seats somebody here is asked for so long.
        seconds = _PERSIST_SECONDS if member_id else _SCRIPT_SECONDS
        self._membership.ask(script, answer.set_result, seconds)
        return answer

    def _adopt(self, claimed: Claimed, room_id: str) -> Participant:
        data, seat = msgpack.unpackb(claimed.snapshot)
        hub = self._hub
        participant = restore(data, hub.registry.new)
        hub.adopt(participant, alone=seat[2] is None)
        self._broker.adopt(participant.member, room_id, seat, claimed)
        if hub.draining:
            self._run(self.hand_off(participant, hub.going(), _SCRIPT_SECONDS))
        return participant

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
        """Leave a participant in Redis, its connection ends with `failure`; None: it has no seat.

        Its peer is not told.
        """
        released = self._broker.detach(participant.member.id)
        if released is None:
            return None
        seat, state = released
        user_id = participant.identity.user_id
        tokens = [t for t in (participant.resume_token, participant.spent_token) if t]
        keys = [self._store.keys.token(token, user_id) for token in tokens]
        left = msgpack.packb([plain(participant), state])
        done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._leaving.update(dict.fromkeys(keys, done))

        def handed_off(answer: bool | None) -> None:  # noqa: FBT001 - an answer of Redis
            for key in keys:
                self._leaving.pop(key, None)
            if not answer:
                self._broker.release(seat)
            done.set_result(bool(answer))

        script = self._store.hand_off(seat.room_id, seat.member.id, keys, left, self._grace_ms)
        self._membership.ask(script, handed_off, seconds)
        self._hub.let_go(participant, failure)
        return done

    async def _give(self, token: str, user_id: str, room_id: str) -> bool:
        """Leave the participant of a token in Redis; whether it is there."""
        participant = self._hub.registry.tokens.owner(token, user_id, room_id)
        if participant is None:
            # Perhaps this node is just handing it over.
            left = self._leaving.get(self._store.keys.token(token, user_id))
        else:
            left = self._leave(participant, Replaced(RESUMED), _SCRIPT_SECONDS)
        return left is not None and await left

    # Questions and answers.

    async def _ask(self, node: str, question: Message, seconds: float) -> Any:
        """The answer of a node; None if none comes in time."""
        request = secrets.token_hex(8)
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[request] = answer
        deadline = time.monotonic() + seconds
        try:
            # Asked again, because the bus may lose; answered from memory then.
            while time.monotonic() < deadline:
                self._membership.post(node, ["ask", request, self._membership.node, question])
                done, _ = await asyncio.wait({answer}, timeout=_ASK_AGAIN_SECONDS)
                if done:
                    return answer.result()
        finally:
            del self._waiting[request]
        return None

    def _heard(self, message: Message) -> None:
        match message:
            case ["answer", request, answer]:
                waiting = self._waiting.get(request)
                if waiting is not None and not waiting.done():
                    waiting.set_result(answer)
            case ["ask", request, node, question]:
                if request in self._answers:
                    if self._answers[request] is not None:
                        self._membership.post(node, ["answer", request, self._answers[request]])
                    return
                self._answers[request] = None
                while len(self._answers) > _REMEMBERED:
                    self._answers.popitem(last=False)
                self._run(self._answer(request, node, question))

    async def _answer(self, request: str, node: str, question: Message) -> None:
        answer: Any = []
        match question:
            case ["claim", token, user_id, room_id]:
                answer = await self._give(token, user_id, room_id)
            case ["send", user_id, stale, packed]:
                failure = self._take_send(user_id, stale, packed)
                answer = [type(failure).__name__, str(failure)] if failure else []
        self._answers[request] = answer
        self._membership.post(node, ["answer", request, answer])

    def _run(self, work: Awaitable[Any]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


_KINDS: dict[str, type[Ended]] = {
    kind.__name__: kind
    for base in Ended.__subclasses__()
    for kind in (base, *base.__subclasses__())
}
