"""What nodes do for each other: hand over participants, pass on a `Send` that landed here.

A secret (a session id, a resume token) begins with the name of the node that
gave it, so any node knows whom to ask.
"""

import asyncio
import hashlib
import secrets
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any

import msgpack  # type: ignore[import-untyped]  # it has no types, anywhere

from dyad_server.broker_redis import ROOM_LIFE_MS, RedisBroker
from dyad_server.bus import Message
from dyad_server.errors import Ended, OutOfStep, SessionNotFound, Unavailable
from dyad_server.handover import Pack, Unpack, plain, restore
from dyad_server.hub import Found, Hub
from dyad_server.participant import Participant, node_of

_ASK_SECONDS = 3.0
_ASK_AGAIN_SECONDS = 0.5
_REMEMBERED = 4096
_SCRIPT_SECONDS = 2.0

# (user_id, the packed SendRequest): what the servicer does with it.
TakeSend = Callable[[str, bytes], Ended | None]


class Fleet:
    """This node among the others of one Redis."""

    def __init__(
        self, hub: Hub, broker: RedisBroker, grace: float, pack: Pack, unpack: Unpack
    ) -> None:
        """Join `hub` to the nodes that `broker` reaches.

        Args:
            hub: this node's.
            broker: its.
            grace: seconds that what a node leaves behind is good for.
            pack: makes bytes of a payload.
            unpack: undoes it.
        """
        self._hub = hub
        self._broker = broker
        self._bus = broker.bus
        self._grace_ms = int(grace * 1000)
        self._pack = pack
        self._unpack = unpack
        self._waiting: dict[str, asyncio.Future[Any]] = {}
        self._answers: OrderedDict[str, Any] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()
        self.take_send: TakeSend = lambda *_: SessionNotFound("There is no such session.")
        hub.claim = self._begin_claim
        hub.can_park = lambda: self._bus.up
        hub.park = self._park
        broker.asked = self._heard

    def elsewhere(self, session_id: str) -> bool:
        """Whether a session is another node's."""
        return node_of(session_id) not in ("", self._bus.node)

    async def send(self, user_id: str, session_id: str, packed: bytes) -> None:
        """Pass a `SendRequest` to the node whose session it is for.

        Raises:
            Ended: what that node says to it; `Unavailable` if it does not answer.
        """
        answer = await self._ask(node_of(session_id), ["send", user_id, packed])
        if answer is None:
            raise Unavailable("The node of this session does not answer.")
        if answer:
            kind, sentence = answer
            raise _KINDS.get(kind, Unavailable)(sentence)

    # Handing over.

    def _begin_claim(self, token: str, user_id: str, room_id: str, then: Found) -> None:
        self._run(self._claim(token, user_id, room_id, then))

    async def _claim(self, token: str, user_id: str, room_id: str, then: Found) -> None:
        found = await self._take_up(token, room_id, user_id)
        if found is None:
            question = ["claim", token, user_id, room_id, self._bus.node]
            answer = await self._ask(node_of(token), question)
            if answer:
                left, peer, epoch = answer
                found = self._adopt(left, room_id, peer, epoch)
            elif answer is None:
                # It went away meanwhile, and may have left something.
                found = await self._take_up(token, room_id, user_id)
        then(found)

    async def _take_up(self, token: str, room_id: str, user_id: str) -> Participant | None:
        bus = self._bus
        answer = await self._script(
            "claim",
            [bus.key("room", room_id), self._token_key(token, user_id)],
            [bus.prefix, bus.node, ROOM_LIFE_MS],
        )
        if not answer:
            return None
        left, epoch, peer = answer
        return self._adopt(msgpack.unpackb(left), room_id, peer, int(epoch))

    def _adopt(self, left: list[Any], room_id: str, peer: bytes, epoch: int) -> Participant:
        data, seat = left
        roster = self._hub.roster
        participant = restore(data, roster.new, self._unpack)
        roster.add(participant)
        roster.tokens.take_over(participant)
        self._broker.adopt(participant.member, room_id, seat, peer, epoch)
        self._hub.hold(participant)
        return participant

    def _let_go(self, participant: Participant, failure: Ended) -> None:
        """It goes on on another node; its peer is not told."""
        participant.over = True
        if participant.connection is not None:
            self._hub.roster.disconnect(participant.connection, failure)
        self._hub.roster.remove(participant, None)

    def _park(self, participant: Participant, failure: Ended) -> None:
        bus = self._bus
        user_id, room_id = participant.identity.user_id, participant.room_id
        tokens = [t for t in (participant.resume_token, participant.spent_token) if t]
        member_id = participant.member.id
        self._broker.hold(room_id, member_id)
        left = [plain(participant, self._pack), self._broker.release(member_id)]
        keys = [self._token_key(token, user_id) for token in tokens]
        bus.script(
            "park",
            [bus.key("parked", member_id), *keys],
            [member_id, msgpack.packb(left), self._grace_ms],
            lambda _: None,
            _SCRIPT_SECONDS,
        )
        self._let_go(participant, failure)

    async def _give(self, token: str, user_id: str, room_id: str, node: str) -> list[Any]:
        """What `node` needs to take up the participant of a token; [] where there is none."""
        participant = self._hub.roster.tokens.owner(token, user_id, room_id)
        if participant is None:
            return []
        bus = self._bus
        answer = await self._script(
            "seat",
            [bus.key("room", room_id)],
            [participant.member.id, bus.node, 1, node, ROOM_LIFE_MS],
        )
        # It may have gone while Redis was asked.
        if not answer or answer[0] == b"0" or participant.over:
            return []
        left = [plain(participant, self._pack), self._broker.release(participant.member.id)]
        self._broker.moved_to(participant.member.id, node, left[1])
        self._let_go(participant, OutOfStep("The seat was taken over."))
        return [left, answer[2], int(answer[0])]

    # Questions and answers.

    async def _ask(self, node: str, question: Message) -> Any:
        """The answer of a node; None if none comes in time."""
        request = secrets.token_hex(8)
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[request] = answer
        deadline = time.monotonic() + _ASK_SECONDS
        try:
            # Asked again, because the bus may lose; answered from memory then.
            while time.monotonic() < deadline:
                self._bus.post(node, ["ask", request, self._bus.node, question])
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
                        self._bus.post(node, ["answer", request, self._answers[request]])
                    return
                self._answers[request] = None
                if len(self._answers) > _REMEMBERED:
                    self._answers.popitem(last=False)
                self._run(self._answer(request, node, question))

    async def _answer(self, request: str, node: str, question: Message) -> None:
        match question:
            case ["claim", token, user_id, room_id, asker]:
                answer = await self._give(token, user_id, room_id, asker)
            case ["send", user_id, packed]:
                failure = self.take_send(user_id, packed)
                answer = [type(failure).__name__, str(failure)] if failure else []
            case _:
                answer = []
        self._answers[request] = answer
        self._bus.post(node, ["answer", request, answer])

    async def _script(self, name: str, keys: list[str], arguments: list[Any]) -> Any:
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._bus.script(name, keys, arguments, answer.set_result, _SCRIPT_SECONDS)
        return await answer

    def _token_key(self, token: str, user_id: str) -> str:
        # Only who has the token, and is its user, finds what was left for it.
        digest = hashlib.sha256(f"{user_id}\0{token}".encode()).hexdigest()
        return self._bus.key("token", digest)

    def _run(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


_KINDS: dict[str, type[Ended]] = {kind.__name__: kind for kind in Ended.__subclasses__()}
