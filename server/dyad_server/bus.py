"""One node's connection to Redis: scripts, the nodes' inboxes, the node's lease.

Everything that is asked goes out in order, what has gathered together in one
round trip; so a node asks Redis in the order in which things happened to it.
Messages to other nodes may be lost, repeated, or come twice: `links` repairs it.
"""

import asyncio
import contextlib
import logging
import secrets
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import resources
from typing import Any

import msgpack  # type: ignore[import-untyped]  # it has no types, anywhere
import redis.asyncio as redis
from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisError

from dyad_server.errors import ConfigError

log = logging.getLogger("dyad.bus")

Then = Callable[[Any], None]
Message = list[Any]

LEASE_SECONDS = 6.0
_RENEW_SECONDS = 2.0
# Off the lease's end, for the time that its renewal was on its way.
_MARGIN_SECONDS = 0.5
_ROUND_TRIP_SECONDS = 1.0
_PROBE_SECONDS = 1.0
_PROBE_LATE_SECONDS = 3.0
_RETRY_SECONDS = 0.1
_STOP_SECONDS = 2.0
_GENERATION_MS = 3_600_000
_INBOX_MS = 60_000
_INBOX_ENTRIES = 20_000
_READ_ENTRIES = 256
_READ_BLOCK_MS = 500
# So that one round trip stays far below its time limit.
_CALLS_AT_ONCE = 500
_SCRIPTS = ("enter", "leave", "seat", "watch", "assert", "park", "claim", "lease", "post")
# The scripts that are not about a room.
_ALONE = {"lease", "post"}
_CLUSTER = (
    "This is a Redis Cluster. Dyad needs a standalone Redis or Sentinel: rooms and leases must be "
    "seen in one step."
)
# RuntimeError: what uvloop says of a connection that was reset.
_FAILURES = (RedisError, OSError, TimeoutError, ValueError, RuntimeError)


@dataclass(slots=True, eq=False)
class _Call:
    add: Callable[[Any], None]
    then: Then
    # When the loop gives up waiting, and when asking.
    timer: asyncio.TimerHandle | None = None
    until: float = 0.0

    def answer(self, answer: Any) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
            try:
                self.then(answer)
            except Exception:
                # One that fails must not silence the node.
                log.exception("an answer of redis was not understood")


class Bus:
    """A node among others.

    Attributes:
        node: its name, new with each start.
        prefix: what all its keys begin with.
        generation: of the data in Redis; another one: it has forgotten.
        term: counts up when all who sit here must be asserted anew; what was
            said in an earlier term is void.
        lease_until: by `time.monotonic`: until then no other node believes
            this one to be gone.
        fenced: whether the lease ran out since the term began.
        lapsed: whether Redis lost the lease before that.
        up: whether the last round trip succeeded.
    """

    def __init__(
        self,
        url: str,
        hear: Callable[[list[Message]], None],
        renewed: Callable[[], None],
        expired: Callable[[], None],
        *,
        prefix: str = "dyad:",
        settle_seconds: float = 3.0,
    ) -> None:
        """Make one for the Redis at `url`.

        Args:
            url: `redis://`, `rediss://`, or `sentinel://host:port,host:port/service`.
            hear: is given the messages to this node, in order.
            renewed: is called after each renewal of the lease.
            expired: is called when the lease may have run out.
            prefix: what all keys begin with.
            settle_seconds: how old a generation must be before anybody enters.
        """
        self.node = secrets.token_hex(8)
        self.prefix = prefix
        self.generation = ""
        self.term = 1
        self.lease_until = 0.0
        self.fenced = False
        self.lapsed = False
        self.up = False
        self._url = url
        self._hear = hear
        self._renewed = renewed
        self._expired = expired
        self._settle_seconds = settle_seconds
        self._settled_at = 0.0
        self._client: Any = None
        self._reader: Any = None
        self._shas: dict[str, str] = {}
        self._calls: deque[_Call] = deque()
        self._posts: dict[str, list[Message]] = defaultdict(list)
        # Counts up when a connection is given up: what may still be on its way
        # there must not take effect.
        self._voice = 1
        self._voiced = False
        self._wake = asyncio.Event()
        self._hurry = asyncio.Event()
        self._last_id = "0"
        self._probed = 0.0
        self._stopping = False
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def settled(self) -> bool:
        """Whether all nodes have had time to notice the generation."""
        return time.monotonic() >= self._settled_at

    @property
    def holds(self) -> bool:
        """Whether nobody can believe this node to be gone, nor did since the term began."""
        return not self.fenced and time.monotonic() <= self.lease_until

    async def start(self) -> None:
        """Connect, take a lease and begin, once the data in Redis has settled.

        Raises:
            ConfigError: Redis is not there, or is not fit.
        """
        self._client = _connect(self._url, _ROUND_TRIP_SECONDS)
        self._reader = _connect(self._url, _READ_BLOCK_MS / 1000 + _ROUND_TRIP_SECONDS)
        try:
            async with asyncio.timeout(2 * _ROUND_TRIP_SECONDS):
                cluster = (await self._client.info("cluster"))["cluster_enabled"]
                if not cluster:
                    await self._load()
                    await self._flush()
        except _FAILURES as error:
            await self._close()
            raise ConfigError(f"Redis does not serve: {type(error).__name__}.") from None
        if cluster:
            await self._close()
            raise ConfigError(_CLUSTER)
        self._probed = time.monotonic()
        loop = asyncio.get_running_loop()
        self._tasks = [
            loop.create_task(self._write(), name="dyad-bus-write"),
            loop.create_task(self._read(), name="dyad-bus-read"),
            loop.create_task(self._beat(), name="dyad-bus-beat"),
        ]
        await asyncio.sleep(self._settled_at - time.monotonic())

    async def stop(self) -> None:
        """Let what was asked go out, give the lease back, and end."""
        # Ended by a flag: what is cancelled in the middle of a round trip
        # leaves its connection open.
        self._stopping = True
        self._wake.set()
        self._hurry.set()
        self.post(self.node, ["probe"])
        await asyncio.wait(self._tasks, timeout=_STOP_SECONDS)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with contextlib.suppress(*_FAILURES):
            async with asyncio.timeout(_ROUND_TRIP_SECONDS):
                await self._client.delete(self.key("node", self.node), self.key("in", self.node))
        await self._close()

    def key(self, kind: str, name: str = "") -> str:
        """The key of something."""
        return f"{self.prefix}{kind}:{name}" if name else f"{self.prefix}{kind}"

    def script(
        self,
        name: str,
        keys: list[str],
        arguments: list[Any],
        then: Then,
        seconds: float,
        *,
        persist: float = 0.0,
    ) -> None:
        """Run a script about a room.

        Args:
            name: which.
            keys: its keys, the room's first.
            arguments: what follows those of `node.lua`.
            then: is given its answer; None if none comes in time.
            seconds: how long it has.
            persist: for how long it is asked all the same, for its effect.
        """
        self._put(self._script(name, keys, arguments, then), seconds, persist)

    def command(self, add: Callable[[Any], None], then: Then, seconds: float) -> None:
        """Ask what `add` puts into a pipeline (one command); as `script`."""
        self._put(_Call(add, then), seconds, 0.0)

    def begin_term(self, asserts: Iterable[tuple[list[str], list[Any], Then]]) -> None:
        """Declare void who sat here but those of `asserts`: each one's keys, arguments, then."""
        self.term += 1
        calls = [self._lease()]
        for keys, arguments, then in asserts:
            call = self._script("assert", keys, arguments, then)
            self._time(call, LEASE_SECONDS, 0.0)
            calls.append(call)
        # Before what was asked already: others may not enter in between.
        self._first(*calls)

    def hurry(self) -> None:
        """Renew the lease now: Redis has forgotten, it seems."""
        self._hurry.set()

    def check(self) -> None:
        """Take note if the lease may have run out."""
        if time.monotonic() > self.lease_until and not self.fenced:
            self.fenced = True
            self._expired()

    def regain(self) -> None:
        """Take note that all who sit here are asserted."""
        if time.monotonic() <= self.lease_until:
            self.fenced = self.lapsed = False

    def post(self, node: str, message: Message) -> None:
        """Send a message to a node, or lose it; to nobody where `node` is empty."""
        if node:
            self._posts[node].append(message)
            self._wake.set()

    def _put(self, call: _Call, seconds: float, persist: float) -> None:
        self._time(call, seconds, persist)
        self._calls.append(call)
        self._wake.set()

    def _first(self, *calls: _Call) -> None:
        self._calls.extendleft(reversed(calls))
        self._wake.set()

    def _time(self, call: _Call, seconds: float, persist: float) -> None:
        call.until = time.monotonic() + seconds + persist
        call.timer = asyncio.get_running_loop().call_later(seconds, lambda: call.answer(None))

    def _script(self, name: str, keys: list[str], arguments: list[Any], then: Then) -> _Call:
        def add(pipe: Any) -> None:
            standing = (self.prefix, self.generation, self.node, self.term, self._voice)
            pipe.evalsha(self._shas[name], len(keys), *keys, *standing, *arguments)

        return _Call(add, then)

    def _lease(self) -> _Call:
        sent_at = time.monotonic()
        keys = [self.key("node", self.node), self.key("generation"), self.key("in", self.node)]

        def add(pipe: Any) -> None:
            pipe.evalsha(
                self._shas["lease"],
                len(keys),
                *keys,
                *(self.term, self._voice, int(LEASE_SECONDS * 1000), _GENERATION_MS, _INBOX_MS),
                self._last_id,
            )

        def leased(answer: list[bytes] | None) -> None:
            if answer:
                self._leased(sent_at, *answer)

        call = _Call(add, leased)
        self._time(call, _ROUND_TRIP_SECONDS, 0.0)
        return call

    def _leased(self, sent_at: float, generation: bytes, age: bytes, lapsed: bytes) -> None:
        if self.generation != generation.decode():
            self.generation = generation.decode()
            # As far as the clocks of two Redis agree.
            young = self._settle_seconds - max(0.0, int(age) / 1000)
            self._settled_at = time.monotonic() + young
        if self.lease_until:
            if sent_at > self.lease_until:
                self.check()
            self.lapsed = self.lapsed or lapsed == b"1"
        self.lease_until = sent_at + LEASE_SECONDS - _MARGIN_SECONDS
        self._renewed()

    async def _load(self) -> None:
        folder = resources.files("dyad_server").joinpath("lua")
        texts = {name: folder.joinpath(f"{name}.lua").read_text() for name in _SCRIPTS}
        shared = folder.joinpath("node.lua").read_text()
        texts |= {name: shared + texts[name] for name in texts.keys() - _ALONE}
        pipe = self._client.pipeline(transaction=False)
        for text in texts.values():
            pipe.script_load(text)
        self._shas = dict(zip(texts, await pipe.execute(), strict=True))

    async def _write(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                while self._calls or self._posts:
                    await self._flush()
                if self._stopping:
                    return
            except Exception as error:  # noqa: BLE001 - a node that fell silent would stay so
                self._fell(error)
                self._voiced = False
                await _hang_up(self._client)
                await asyncio.sleep(_RETRY_SECONDS)
                self._wake.set()

    async def _flush(self) -> None:
        if not self._voiced:
            self._voice += 1
            self._voiced = True
            self._first(self._lease())
        now = time.monotonic()
        count = min(len(self._calls), _CALLS_AT_ONCE)
        calls = [self._calls.popleft() for _ in range(count)]
        calls = [call for call in calls if call.until > now]
        posts, self._posts = self._posts, defaultdict(list)
        pipe = self._client.pipeline(transaction=False)
        for call in calls:
            call.add(pipe)
        for node, messages in posts.items():
            keys = (self.key("node", node), self.key("in", node))
            packed = msgpack.packb(messages)
            pipe.evalsha(self._shas["post"], 2, *keys, packed, _INBOX_ENTRIES, _INBOX_MS)
        try:
            async with asyncio.timeout(_ROUND_TRIP_SECONDS):
                answers = await pipe.execute(raise_on_error=False)
        except Exception:
            # Asked again, in the same order: scripts do the same thing once.
            self._first(*calls)
            raise
        wrong = [answer for answer in answers if isinstance(answer, Exception)]
        if not wrong and not self.up:
            log.info("redis is there")
            self.up = True
        answered = list(zip(calls, answers, strict=False))
        self._first(*(call for call, answer in answered if isinstance(answer, Exception)))
        for call, answer in answered:
            if not isinstance(answer, Exception):
                call.answer(answer)
        if wrong:
            if any(isinstance(answer, NoScriptError) for answer in wrong):
                await self._load()
            raise wrong[0]

    async def _read(self) -> None:
        key = self.key("in", self.node)
        while not self._stopping:
            try:
                found = await self._reader.xread(
                    {key: self._last_id}, count=_READ_ENTRIES, block=_READ_BLOCK_MS
                )
            except Exception as error:  # noqa: BLE001 - as above
                self._fell(error)
                self._forget_place()
                await _hang_up(self._reader)
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            for entry_id, fields in found[0][1] if found else ():
                self._last_id = entry_id.decode()
                self._take(msgpack.unpackb(fields[b"m"]))

    def _forget_place(self) -> None:
        # Redis may be another one by now, whose numbers are behind; what comes
        # twice is passed over.
        self._last_id = "0"

    def _take(self, messages: list[Message]) -> None:
        others = []
        for message in messages:
            if message[0] == "probe":
                self._probed = time.monotonic()
            else:
                others.append(message)
        if others:
            try:
                self._hear(others)
            except Exception:
                # As above.
                log.exception("a message of another node was not understood")

    async def _beat(self) -> None:
        now = probe_at = time.monotonic()
        renew_at = now + _RENEW_SECONDS
        while not self._stopping:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(renew_at, probe_at) - now):
                    await self._hurry.wait()
                    renew_at = 0.0
            self._hurry.clear()
            now = time.monotonic()
            if now >= probe_at:
                probe_at = now + _PROBE_SECONDS
                self.post(self.node, ["probe"])
                if now - self._probed > _PROBE_LATE_SECONDS:
                    # Something on the way round is stuck: begin again on new connections.
                    self._probed = now
                    self._fell(TimeoutError("probe"))
                    self._forget_place()
                    await _hang_up(self._client)
                    await _hang_up(self._reader)
            if now >= renew_at:
                renew_at = now + _RENEW_SECONDS
                self._first(self._lease())

    def _fell(self, error: Exception) -> None:
        if self.up:
            unknown = None if isinstance(error, _FAILURES) else error
            log.warning("redis is away why=%s", type(error).__name__, exc_info=unknown)
            # Perhaps it is there again at once.
            self._hurry.set()
        self.up = False

    async def _close(self) -> None:
        for client in (self._client, self._reader):
            if client is not None:
                await _hang_up(client)
                await client.aclose()


async def _hang_up(client: Any) -> None:
    # What was reset already fails to close.
    with contextlib.suppress(*_FAILURES):
        await client.connection_pool.disconnect(inuse_connections=True)


def _connect(url: str, timeout: float) -> Any:
    settings: dict[str, Any] = {
        "socket_timeout": timeout,
        "socket_connect_timeout": _ROUND_TRIP_SECONDS,
        # Asking again is this module's own business: it knows the order.
        "retry": Retry(NoBackoff(), 0),
        "client_name": "dyad",
    }
    try:
        if url.startswith("sentinel://"):
            return _through_sentinel(url.removeprefix("sentinel://"), settings)
        return redis.from_url(url, **settings)
    except ValueError:
        # Its own words may quote a part of the password.
        raise ConfigError("--redis is not a URL of Redis.") from None


def _through_sentinel(address: str, settings: dict[str, Any]) -> Any:
    authority, _, service = address.partition("/")
    login, _, hosts = authority.rpartition("@")
    sentinels = [
        (host, int(port or 26379))
        for host, _, port in (pair.partition(":") for pair in hosts.split(","))
    ]
    # Of Redis, not of the Sentinels.
    credentials = parse_url(f"redis://{login}@{hosts.partition(',')[0]}")
    names = {name: credentials[name] for name in ("username", "password") if name in credentials}
    sentinel: Any = Sentinel
    return sentinel(sentinels, **settings).master_for(service or "mymaster", **names)
