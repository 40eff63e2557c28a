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
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from typing import Any

import msgpack  # type: ignore[import-untyped]  # it has no types, anywhere
import redis.asyncio as redis
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
_LIFE_MS = 3_600_000
_INBOX_ENTRIES = 20_000
_READ_ENTRIES = 256
_READ_BLOCK_MS = 500
_SCRIPTS = ("enter", "leave", "seat", "watch", "assert", "park", "claim", "lease")
_FAILURES = (RedisError, OSError, TimeoutError, ValueError)


@dataclass(slots=True)
class _Call:
    add: Callable[[Any], None]
    then: Then
    # By the loop's clock; after it, `then` is given None.
    deadline: float


class Bus:
    """A node among others.

    Attributes:
        node: its name, new with each start.
        prefix: what all its keys begin with.
        generation: of the data in Redis; another one: it has forgotten.
        lease_until: by `time.monotonic`: until then no other node believes
            this one to be gone.
        up: whether the last round trip succeeded.
    """

    def __init__(
        self,
        url: str,
        hear: Callable[[list[Message]], None],
        renewed: Callable[[], None],
        *,
        prefix: str = "dyad:",
        settle_seconds: float = 3.0,
    ) -> None:
        """Make one for the Redis at `url`.

        Args:
            url: `redis://`, `rediss://`, or `sentinel://host:port,host:port/service`.
            hear: is given the messages to this node, in order.
            renewed: is called after each renewal of the lease.
            prefix: what all keys begin with.
            settle_seconds: how old a generation must be before anybody enters.
        """
        self.node = secrets.token_hex(8)
        self.prefix = prefix
        self.generation = ""
        self._settled_at = 0.0
        self.lease_until = 0.0
        self.up = False
        self._url = url
        self._hear = hear
        self._renewed = renewed
        self._settle_seconds = settle_seconds
        self._client: Any = None
        self._reader: Any = None
        self._shas: dict[str, str] = {}
        self._calls: deque[_Call] = deque()
        self._posts: dict[str, list[Message]] = defaultdict(list)
        self._wake = asyncio.Event()
        self._last_id = "0"
        self._probed = 0.0
        self._stopping = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def settled(self) -> bool:
        """Whether all nodes have had time to notice the generation."""
        return time.monotonic() >= self._settled_at

    async def start(self) -> None:
        """Connect, take a lease and begin, once the data in Redis has settled.

        Raises:
            ConfigError: Redis is not there, or is not fit.
        """
        self._client = _connect(self._url, _ROUND_TRIP_SECONDS)
        self._reader = _connect(self._url, _READ_BLOCK_MS / 1000 + _ROUND_TRIP_SECONDS)
        try:
            async with asyncio.timeout(2 * _ROUND_TRIP_SECONDS):
                await self._prepare()
        except _FAILURES as error:
            await self._close()
            raise ConfigError(f"Redis does not answer: {type(error).__name__}.") from None
        await asyncio.sleep(self._settled_at - time.monotonic())
        loop = asyncio.get_running_loop()
        self._probed = time.monotonic()
        self._tasks = [
            loop.create_task(self._write(), name="dyad-bus-write"),
            loop.create_task(self._read(), name="dyad-bus-read"),
            loop.create_task(self._beat(), name="dyad-bus-beat"),
        ]

    async def stop(self) -> None:
        """Let what was asked go out, give the lease back, and end."""
        # Ended by a flag: what is cancelled in the middle of a round trip
        # leaves its connection open.
        self._stopping.set()
        self._wake.set()
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
        self, name: str, keys: list[str], arguments: list[Any], then: Then, seconds: float
    ) -> None:
        """Run a script; `then` is given its answer, or None if none comes in `seconds`."""

        def add(pipe: Any) -> None:
            pipe.evalsha(self._shas[name], len(keys), *keys, *arguments)

        self.command(add, then, seconds)

    def command(self, add: Callable[[Any], None], then: Then, seconds: float) -> None:
        """Ask what `add` puts into a pipeline (one command); as `script`."""
        self._calls.append(_Call(add, then, time.monotonic() + seconds))
        self._wake.set()

    def post(self, node: str, message: Message) -> None:
        """Send a message to a node, or lose it; to nobody where `node` is empty."""
        if node:
            self._posts[node].append(message)
            self._wake.set()

    async def _prepare(self) -> None:
        info = await self._client.info("cluster")
        if info.get("cluster_enabled"):
            raise ConfigError(
                "This is a Redis Cluster. Dyad needs a standalone Redis or Sentinel: rooms and "
                "leases must be seen in one step."
            )
        for name in _SCRIPTS:
            text = resources.files("dyad_server").joinpath("lua", f"{name}.lua").read_text()
            self._shas[name] = await self._client.script_load(text)
        await self._renew()

    async def _renew(self) -> None:
        sent_at = time.monotonic()
        keys = [self.key("node", self.node), self.key("generation"), self.key("in", self.node)]
        generation, age = await self._client.evalsha(
            self._shas["lease"],
            len(keys),
            *keys,
            int(LEASE_SECONDS * 1000),
            secrets.token_hex(4),
            _LIFE_MS,
            self._last_id,
        )
        self.generation = generation.decode()
        self._settled_at = sent_at + self._settle_seconds - int(age) / 1000
        self.lease_until = sent_at + LEASE_SECONDS - _MARGIN_SECONDS
        self.up = True

    async def _write(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                while self._calls or self._posts:
                    await self._flush()
                if self._stopping.is_set():
                    return
            except _FAILURES as error:
                self._fell(error)
                await self._expire()
                self._wake.set()

    async def _flush(self) -> None:
        calls, self._calls = self._calls, deque()
        posts, self._posts = self._posts, defaultdict(list)
        pipe = self._client.pipeline(transaction=False)
        for call in calls:
            call.add(pipe)
        for node, messages in posts.items():
            key = self.key("in", node)
            pipe.xadd(key, {"m": msgpack.packb(messages)}, maxlen=_INBOX_ENTRIES, approximate=True)
            pipe.pexpire(key, _LIFE_MS)
        try:
            async with asyncio.timeout(_ROUND_TRIP_SECONDS):
                answers = await pipe.execute(raise_on_error=False)
            for answer in answers:
                if isinstance(answer, NoScriptError):
                    await self._prepare()
                    raise answer
        except _FAILURES:
            # Asked again, in the same order: scripts do the same thing once.
            self._calls.extendleft(reversed(calls))
            raise
        self.up = True
        for call, answer in zip(calls, answers, strict=False):
            call.then(None if isinstance(answer, Exception) else answer)

    async def _expire(self) -> None:
        now = time.monotonic()
        calls, self._calls = self._calls, deque()
        for call in calls:
            if call.deadline <= now:
                call.then(None)
            else:
                self._calls.append(call)
        await self._client.connection_pool.disconnect(inuse_connections=True)
        await asyncio.sleep(_RETRY_SECONDS)

    async def _read(self) -> None:
        key = self.key("in", self.node)
        while not self._stopping.is_set():
            try:
                found = await self._reader.xread(
                    {key: self._last_id}, count=_READ_ENTRIES, block=_READ_BLOCK_MS
                )
            except _FAILURES as error:
                self._fell(error)
                # Redis may have failed over to one whose numbers are behind;
                # what comes twice is passed over.
                self._last_id = "0"
                await self._reader.connection_pool.disconnect(inuse_connections=True)
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            for entry_id, fields in found[0][1] if found else ():
                self._last_id = entry_id.decode()
                self._take(msgpack.unpackb(fields[b"m"]))

    def _take(self, messages: list[Message]) -> None:
        others = []
        for message in messages:
            if message[0] == "probe":
                self._probed = time.monotonic()
            else:
                others.append(message)
        if others:
            self._hear(others)

    async def _beat(self) -> None:
        renew_at = time.monotonic() + _RENEW_SECONDS
        while not self._stopping.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_PROBE_SECONDS):
                    await self._stopping.wait()
                    return
            now = time.monotonic()
            self.post(self.node, ["probe"])
            if now - self._probed > _PROBE_LATE_SECONDS:
                # Something on the way round is stuck: begin again on new connections.
                self._probed = now
                self._fell(TimeoutError("probe"))
                await self._client.connection_pool.disconnect(inuse_connections=True)
                await self._reader.connection_pool.disconnect(inuse_connections=True)
            if now < renew_at:
                continue
            try:
                async with asyncio.timeout(_ROUND_TRIP_SECONDS):
                    await (self._renew() if self.up else self._prepare())
            except _FAILURES as error:
                self._fell(error)
            else:
                renew_at = now + _RENEW_SECONDS
                self._renewed()

    def _fell(self, error: Exception) -> None:
        if self.up:
            log.warning("redis is away why=%s", type(error).__name__)
        self.up = False

    async def _close(self) -> None:
        for client in (self._client, self._reader):
            if client is not None:
                await client.connection_pool.disconnect(inuse_connections=True)
                await client.aclose()


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
            hosts, _, service = url.removeprefix("sentinel://").partition("/")
            sentinels = [
                (host, int(port or 26379))
                for host, _, port in (pair.partition(":") for pair in hosts.split(","))
            ]
            sentinel: Any = Sentinel
            return sentinel(sentinels, **settings).master_for(service or "mymaster")
        return redis.from_url(url, **settings)
    except ValueError as error:
        raise ConfigError(f"--redis: {error}.") from None
