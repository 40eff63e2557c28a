"""Questions from node to node, and their answers."""

import asyncio
import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable

from dyad_server.core.clock import Clock
from dyad_server.core.counts import FleetCounts
from dyad_server.engines.redis import bounds
from dyad_server.engines.redis.message_codec import Map, NotUnderstood, log_not_understood
from dyad_server.engines.redis.messages import (
    ANSWER,
    QUESTION,
    Answer,
    AnswerBody,
    Ask,
    Question,
    QuestionRejected,
)
from dyad_server.engines.redis.peer_links import Post

AnswerTo = Callable[[Question], Awaitable[AnswerBody]]


class NodeQuestions:
    """Asks other nodes, and answers them. A question takes effect once."""

    def __init__(self, post: Post, clock: Clock, counts: FleetCounts, answer_to: AnswerTo) -> None:
        """Ask by way of `post`; `answer_to` answers the questions of other nodes."""
        self._post = post
        self._clock = clock
        self._counts = counts
        self._answer_to = answer_to
        self._waiting: dict[str, asyncio.Future[Map]] = {}
        # None: the answer is not there yet.
        self._answers: OrderedDict[str, Map | None] = OrderedDict()
        self.tasks: set[asyncio.Future[None]] = set()

    async def ask(self, node: str, question: Question, seconds: float) -> AnswerBody | None:
        """The answer of a node; None if none comes in time."""
        request = secrets.token_hex(bounds.REQUEST_BYTES)
        answer: asyncio.Future[Map] = asyncio.get_running_loop().create_future()
        self._waiting[request] = answer
        ask = Ask(request, QUESTION.write(question))
        deadline = self._clock.monotonic() + seconds
        try:
            # Asked again, because messages may be lost; answered from memory then.
            while self._clock.monotonic() < deadline:
                self._post.post(node, ask)
                done, _ = await asyncio.wait({answer}, timeout=bounds.ASK_AGAIN_SECONDS)
                if done:
                    return ANSWER.read(answer.result())
        except NotUnderstood as error:
            log_not_understood("an answer of another node", error.what)
        finally:
            del self._waiting[request]
            self._counts.asked(type(question).__name__, answered=answer.done())
        return None

    def heard(self, node: str, message: Ask | Answer) -> None:
        """Receive a question or an answer of a node."""
        match message:
            case Answer(request, answer):
                waiting = self._waiting.get(request)
                if waiting is not None and not waiting.done():
                    waiting.set_result(answer)
            case Ask(request, question):
                if request not in self._answers:
                    self._answers[request] = None
                    while len(self._answers) > bounds.REMEMBERED_ANSWERS:
                        self._answers.popitem(last=False)
                    self.run(self._answer(request, node, question))
                elif (known := self._answers[request]) is not None:
                    self._post.post(node, Answer(request, known))

    def run(self, work: Awaitable[None]) -> None:
        """Let `work` go on in a task that `tasks` knows."""
        task = asyncio.ensure_future(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _answer(self, request: str, node: str, question: Map) -> None:
        answer: AnswerBody
        try:
            answer = await self._answer_to(QUESTION.read(question))
        except NotUnderstood as error:
            log_not_understood("a question of another node", error.what)
            answer = QuestionRejected()
        self._answers[request] = written = ANSWER.write(answer)
        self._post.post(node, Answer(request, written))
