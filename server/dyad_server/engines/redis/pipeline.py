"""What a node asks of Redis: in order, and all that has gathered in one round trip.

A node asks in the order in which things happened to it. After a connection has
failed, its unanswered commands are repeated on the next one, in the same order: the
scripts are idempotent. A command that is still on its way on the old connection has no
effect, because each connection has a fencing token of its own.
"""

import asyncio
import logging
import math
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

from redis.exceptions import NoScriptError, ResponseError

from dyad_server.core.clock import Clock, Timer
from dyad_server.engines.redis import bounds
from dyad_server.engines.redis.client import FAILURES, Wire, Words, check, hang_up
from dyad_server.engines.redis.message_codec import Map
from dyad_server.engines.redis.messages import ENTRY, Entry
from dyad_server.engines.redis.store import Store
from dyad_server.errors import ConfigError
from dyad_server.log_line import Line

log = logging.getLogger("dyad.redis")

Then = Callable[[Any], None]

# The bounds that shared.lua uses by name.
_BOUNDS = "".join(
    f"local {name} = {getattr(bounds, name)}\n" for name in ("MISSING_MS", "MISSING_LIFE_MS")
)


@dataclass(slots=True, eq=False)
class RedisCommand:
    """One question to Redis.

    Attributes:
        words: the command, as it is when it is sent.
        then: receives the answer, or None if none comes in time.
        size: how many bytes it carries, where they are many.
    """

    words: Callable[[], Words]
    then: Then
    size: int = 0
    # When the caller stops waiting for the answer, and when the question is dropped.
    _timer: Timer | None = field(default=None, init=False)
    _until: float = field(default=0.0, init=False)

    def expect(self, clock: Clock, seconds: float, persist: float = 0.0) -> None:
        """Wait `seconds` for the answer; repeat for `persist` more, for the effect alone."""
        self._until = clock.monotonic() + seconds + persist
        self._timer = clock.call_later(seconds, self.answer, None)

    def withdraw(self) -> None:
        """Do not ask, or not again: nobody needs the effect. The caller waits as before."""
        self._until = 0.0

    def timely(self, now: float) -> bool:
        """Whether it is still worth asking."""
        return self._until > now

    def answer(self, answer: Any) -> None:
        """Pass the answer on; only the first one counts."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            # Whoever asked may refer to this command. A cycle of references would stay in
            # memory until Python looks for garbage.
            then, self.then = self.then, _ignore
            try:
                then(answer)
            except Exception:
                # An answer that fails must not silence the node.
                log.exception("handling an answer of redis failed")


class Pipeline:
    """Asks one Redis.

    Attributes:
        fence: the fencing token of the connection. It counts up with each new
            connection: what may still be on its way on an old one has no effect.
        up: whether the last round trip succeeded.
    """

    def __init__(
        self,
        client: Any,
        store: Store,
        node: str,
        clock: Clock,
        *,
        opening: Callable[[], RedisCommand],
        fell: Callable[[], None],
        took: Callable[[float], None],
        named: Mapping[str, str] | None = None,
    ) -> None:
        """Ask through `client`.

        Args:
            client: from `client.connect`.
            store: where messages to other nodes go.
            node: the name of this node, for those messages.
            clock: of this server.
            opening: the first question on each connection.
            fell: is called when Redis stops answering.
            took: is told how many seconds each round trip took.
            named: what names this Redis in the log, if there are several.
        """
        self.fence = 1
        self.up = False
        self._client = client
        self._wire = Wire(client, bounds.ROUND_TRIP_SECONDS)
        self._store = store
        self._node = node
        self._clock = clock
        self._opening = opening
        self._fell = fell
        self._took = took
        self._named = named or {}
        self._opened = False
        # Of the last line that said that Redis is away, and when the next may follow.
        self._reason = ""
        self._say_again_at = 0.0
        self._shas: dict[str, str] = {}
        self._commands: deque[RedisCommand] = deque()
        self._messages: defaultdict[str, list[Map]] = defaultdict(list)
        # When messages were sent last, and when they are to be sent next.
        self._posted_at = 0.0
        self._post_at = math.inf
        self._post_timer: Timer | None = None
        self._wake = asyncio.Event()
        # When `keep_asking` gives up on a Redis that is away; None: never.
        self._give_up_at: float | None = None

    def ask(self, command: RedisCommand) -> None:
        """Ask this after all that was asked before."""
        self._commands.append(command)
        self._wake.set()

    def ask_first(self, commands: Iterable[RedisCommand]) -> None:
        """Ask these before all that was asked before."""
        self._commands.extendleft(reversed(list(commands)))
        self._wake.set()

    def post(self, node: str, message: Map, seconds: float = 0.0) -> None:
        """Send a message to a node, if it is there; or lose the message.

        It is sent within so many seconds, with whatever is sent before that. If messages were sent
        a moment ago, it waits until `POST_SECONDS` are over: of many messages, each entry and each
        round trip then carries several.
        """
        self._messages[node].append(message)
        now = self._clock.monotonic()
        at = max(now + seconds, self._posted_at + bounds.POST_SECONDS)
        if at < self._post_at:
            self._post_at = at
            if self._post_timer is not None:
                self._post_timer.cancel()
            self._post_timer = self._clock.call_later(at - now, self._post_now)

    def _post_now(self) -> None:
        self._post_at = 0.0
        self._wake.set()

    def script(self, name: str, keys: tuple[str, ...], arguments: Words) -> Words:
        """The command that runs a script of `scripts/`."""
        return ("EVALSHA", self._shas[name], len(keys), *keys, *arguments)

    async def load(self) -> None:
        """Give Redis the scripts."""
        folder = resources.files(__package__).joinpath("scripts")
        files = [file for file in folder.iterdir() if file.name.endswith(".lua")]
        texts = {file.name.removesuffix(".lua"): file.read_text() for file in files}
        shared = _BOUNDS + texts.pop("shared")
        answers = await self._wire.ask(
            [("SCRIPT", "LOAD", shared + text) for text in texts.values()]
        )
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
        self._shas = dict(zip(texts, answers, strict=True))

    async def keep_asking(self) -> None:
        """Ask whatever there is to ask. After `stop`, return once all of it is answered.

        Where Redis is away by then, return when the time of `stop` is over.
        """
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                while self._is_due():
                    await self.flush()
                if self._give_up_at is not None:
                    return
            except Exception as error:  # noqa: BLE001 - or the node would fall silent for ever
                self.fall(error)
                self._opened = False
                await hang_up(self._client)
                if self._give_up_at is not None and self._clock.monotonic() > self._give_up_at:
                    return
                await asyncio.sleep(bounds.RETRY_SECONDS)
                self._wake.set()

    def _is_due(self) -> bool:
        stopping = self._give_up_at is not None
        return bool(self._commands or (self._messages and (not self._post_at or stopping)))

    def stop(self, seconds: float) -> None:
        """End `keep_asking`; where Redis is away, after so many seconds.

        By a flag: a round trip that is cancelled leaves its connection open, and
        Python 3.11's `wait_for`, in redis-py, can lose a cancel.
        """
        self._give_up_at = self._clock.monotonic() + seconds
        self._wake.set()

    def fall(self, error: Exception) -> None:
        """Note that Redis does not answer, or does not serve this node."""
        if isinstance(error, NoScriptError):
            # It answers, and `_refused` has loaded the scripts again.
            return
        known = isinstance(error, FAILURES)
        reason = str(error) if isinstance(error, ConfigError) else type(error).__name__
        now = self._clock.monotonic()
        # Ways of not answering alternate; what somebody has to mend is said at once.
        news = not known and reason != self._reason
        if self.up or news or now >= self._say_again_at:
            line = Line("redis is away", reason=reason, **self._named)
            log.warning(line, exc_info=None if known or isinstance(error, ConfigError) else error)
            self._reason = reason
            self._say_again_at = now + bounds.SAY_AGAIN_SECONDS
        if self.up:
            self._fell()
        self.up = False

    async def _open(self) -> None:
        if not self._shas:
            await check(self._wire)
            await self.load()
        if not self._opened:
            self.fence += 1
            self._opened = True
            self.ask_first([self._opening()])

    def _next_commands(self, now: float) -> list[RedisCommand]:
        commands: list[RedisCommand] = []
        size = 0
        while (
            self._commands
            and len(commands) < bounds.COMMANDS_AT_ONCE
            and size < bounds.BYTES_AT_ONCE
        ):
            command = self._commands.popleft()
            if command.timely(now):
                commands.append(command)
                size += command.size
        return commands

    def _next_posts(self, now: float) -> Iterator[Words]:
        """What is posted now: the messages to each node, in entries of a bounded size."""
        if not self._messages:
            return
        self._posted_at, self._post_at = now, math.inf
        if self._post_timer is not None:
            self._post_timer.cancel()
            self._post_timer = None
        size = 0
        for node in tuple(self._messages):
            messages = self._messages.pop(node)
            while messages and size < bounds.BYTES_AT_ONCE:
                entry = ENTRY.pack(Entry(self._node, messages[: bounds.MESSAGES_AN_ENTRY]))
                del messages[: bounds.MESSAGES_AN_ENTRY]
                size += len(entry)
                yield self._store.post(node, entry)
            if messages:
                self._messages[node] = messages[: bounds.MESSAGES_WAITING]
                self._post_at = 0.0

    async def flush(self) -> None:
        """Ask what has gathered, in one round trip.

        Raises:
            ConfigError: this Redis is not fit, or its data has another layout.
        """
        await self._open()
        now = self._clock.monotonic()
        commands = self._next_commands(now)
        words = [*(command.words() for command in commands), *self._next_posts(now)]
        try:
            answers = await self._wire.ask(words)
        except Exception:
            self.ask_first(commands)
            raise
        self._took(self._clock.monotonic() - now)
        wrong = [answer for answer in answers if isinstance(answer, Exception)]
        if not wrong and not self.up:
            log.info(Line("redis is there", **self._named))
            self.up = True
        answered = list(zip(commands, answers, strict=False))
        self.ask_first(command for command, answer in answered if isinstance(answer, Exception))
        for command, answer in answered:
            if not isinstance(answer, Exception):
                command.answer(answer)
        if wrong:
            await self._refused(wrong)

    async def retire(self) -> None:
        """Give this node's lease back, after `keep_asking` has ended."""
        await self._wire.ask(self._store.retire(self._node))

    async def _refused(self, errors: list[Exception]) -> None:
        for error in errors:
            if isinstance(error, ResponseError) and (why := self._store.refusal(str(error))):
                raise ConfigError(why)
        if any(isinstance(error, NoScriptError) for error in errors):
            await self.load()
        raise errors[0]


def _ignore(_: Any) -> None:
    pass
