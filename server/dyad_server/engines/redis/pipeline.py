"""What a node asks of Redis: in order, what has gathered together in one round trip.

A node asks in the order in which things happened to it. What a connection that
failed was asked is asked again on the next one, in the same order: a script
that ran already does nothing more, and what is still under way on a connection
that was given up is void, for the next one has another voice.
"""

import asyncio
import logging
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

import msgpack
from redis.exceptions import NoScriptError

from dyad_server.engines.redis.client import FAILURES, check, hang_up
from dyad_server.errors import ConfigError

log = logging.getLogger("dyad.redis")

Then = Callable[[Any], None]
Message = list[Any]

ROUND_TRIP_SECONDS = 1.0
RETRY_SECONDS = 0.1
INBOX_MS = 60_000
_INBOX_ENTRIES = 20_000
# So that one round trip stays far below its time limit.
_CALLS_AT_ONCE = 200
_BYTES_AT_ONCE = 1024 * 1024
_POSTS_AN_ENTRY = 64
# The rest is dropped: the links send it again.
_POSTS_WAITING = 1024
_SCRIPTS = (
    "enter",
    "leave",
    "seat",
    "watch",
    "assert",
    "park",
    "claim",
    "lease",
    "post",
    "there",
    "keep",
)
# The scripts that are not about a room.
_ALONE = {"lease", "post"}


@dataclass(slots=True, eq=False)
class Call:
    """One question.

    Attributes:
        add: puts the command into a pipeline of redis-py.
        then: is given the answer, or None if none comes in time.
        size: how many bytes it carries, where they are many.
    """

    add: Callable[[Any], None]
    then: Then
    size: int = field(default=0, init=False)
    # When the loop gives up waiting, and when asking.
    _timer: asyncio.TimerHandle | None = field(default=None, init=False)
    _until: float = field(default=0.0, init=False)

    def expect(self, seconds: float, persist: float = 0.0) -> None:
        """Wait so long for the answer; then ask for so long all the same, for the effect."""
        self._until = time.monotonic() + seconds + persist
        self._timer = asyncio.get_running_loop().call_later(seconds, self.answer, None)

    def timely(self, now: float) -> bool:
        """Whether it is still to be asked."""
        return self._until > now

    def answer(self, answer: Any) -> None:
        """Pass the answer on; only the first one counts."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            try:
                self.then(answer)
            except Exception:
                # One that fails must not silence the node.
                log.exception("an answer of redis was not understood")


class Pipeline:
    """Asks one Redis.

    Attributes:
        voice: which connection speaks. Counts up when one is given up: what may
            still be on its way there must not take effect.
        up: whether the last round trip succeeded.
    """

    def __init__(self, client: Any, opening: Callable[[], Call], fell: Callable[[], None]) -> None:
        """Make one.

        Args:
            client: of redis-py.
            opening: what each connection is asked first.
            fell: is called when Redis does not answer any more.
        """
        self.voice = 1
        self.up = False
        self._client = client
        self._opening = opening
        self._fell = fell
        self._opened = False
        self._why = ""
        self._shas: dict[str, str] = {}
        self._calls: deque[Call] = deque()
        self._posts: defaultdict[tuple[str, str], list[Message]] = defaultdict(list)
        self._wake = asyncio.Event()
        # When `keep_asking` gives up a Redis that is away; None: never.
        self._give_up_at: float | None = None

    def ask(self, call: Call) -> None:
        """Ask, after all that was asked before."""
        self._calls.append(call)
        self._wake.set()

    def ask_first(self, calls: Iterable[Call]) -> None:
        """Ask, before all that was asked before."""
        self._calls.extendleft(reversed(list(calls)))
        self._wake.set()

    def post(self, lease: str, inbox: str, message: Message) -> None:
        """Put a message into an inbox, if there is that lease; or lose it."""
        self._posts[lease, inbox].append(message)
        self._wake.set()

    def run(self, pipe: Any, script: str, keys: list[str], arguments: Iterable[Any]) -> None:
        """Add a script of `scripts/` to a pipeline of redis-py."""
        pipe.evalsha(self._shas[script], len(keys), *keys, *arguments)

    async def load(self) -> None:
        """Give Redis the scripts."""
        folder = resources.files(__package__).joinpath("scripts")
        texts = {name: folder.joinpath(f"{name}.lua").read_text() for name in _SCRIPTS}
        shared = folder.joinpath("node.lua").read_text()
        texts |= {name: shared + texts[name] for name in texts.keys() - _ALONE}
        pipe = self._client.pipeline(transaction=False)
        for text in texts.values():
            pipe.script_load(text)
        self._shas = dict(zip(texts, await pipe.execute(), strict=True))

    async def keep_asking(self) -> None:
        """Ask whatever there is to ask; after `stop`, return once all of it is.

        Or, where Redis is away, when that gives up.
        """
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                while self._calls or self._posts:
                    await self.flush()
                if self._give_up_at is not None:
                    return
            except Exception as error:  # noqa: BLE001 - a node that fell silent would stay so
                self.fall(error)
                self._opened = False
                await hang_up(self._client)
                if self._give_up_at is not None and time.monotonic() > self._give_up_at:
                    return
                await asyncio.sleep(RETRY_SECONDS)
                self._wake.set()

    def stop(self, seconds: float) -> None:
        """End `keep_asking`; where Redis is away, after so many seconds.

        By a flag: what is cancelled in the middle of a round trip leaves its
        connection open, and Python 3.11's `wait_for`, in redis-py, can lose a cancel.
        """
        self._give_up_at = time.monotonic() + seconds
        self._wake.set()

    def fall(self, error: Exception) -> None:
        """Take note that Redis does not answer."""
        known = isinstance(error, (*FAILURES, ConfigError))
        why = str(error) if isinstance(error, ConfigError) else type(error).__name__
        if self.up or why != self._why:
            log.warning("redis is away why=%s", why, exc_info=None if known else error)
        if self.up:
            self._fell()
        self.up = False
        self._why = why

    async def _open(self) -> None:
        if not self._shas:
            await check(self._client)
            await self.load()
        if not self._opened:
            self.voice += 1
            self._opened = True
            self.ask_first([self._opening()])

    def _next_calls(self, now: float) -> list[Call]:
        calls: list[Call] = []
        size = 0
        while self._calls and len(calls) < _CALLS_AT_ONCE and size < _BYTES_AT_ONCE:
            call = self._calls.popleft()
            if call.timely(now):
                calls.append(call)
                size += call.size
        return calls

    def _next_posts(self) -> Iterator[tuple[tuple[str, str], bytes]]:
        """What is posted now: each inbox's messages, packed, in pieces of a bounded size."""
        size = 0
        for keys in tuple(self._posts):
            messages = self._posts.pop(keys)
            while messages and size < _BYTES_AT_ONCE:
                packed = [msgpack.packb(message) for message in messages[:_POSTS_AN_ENTRY]]
                del messages[:_POSTS_AN_ENTRY]
                body = b"".join(packed)
                size += len(body)
                yield keys, msgpack.Packer().pack_array_header(len(packed)) + body
            if messages:
                self._posts[keys] = messages[:_POSTS_WAITING]

    async def flush(self) -> None:
        """Ask what has gathered, in one round trip."""
        await self._open()
        now = time.monotonic()
        calls = self._next_calls(now)
        pipe = self._client.pipeline(transaction=False)
        for call in calls:
            call.add(pipe)
        for keys, packed in self._next_posts():
            self.run(pipe, "post", [*keys], (packed, _INBOX_ENTRIES, INBOX_MS))
        try:
            async with asyncio.timeout(ROUND_TRIP_SECONDS):
                answers = await pipe.execute(raise_on_error=False)
        except Exception:
            self.ask_first(calls)
            raise
        wrong = [answer for answer in answers if isinstance(answer, Exception)]
        if not wrong and not self.up:
            log.info("redis is there")
            self.up = True
        answered = list(zip(calls, answers, strict=False))
        self.ask_first(call for call, answer in answered if isinstance(answer, Exception))
        for call, answer in answered:
            if not isinstance(answer, Exception):
                call.answer(answer)
        if wrong:
            if any(isinstance(answer, NoScriptError) for answer in wrong):
                await self.load()
            raise wrong[0]
