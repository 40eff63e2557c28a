"""One node among others, on Redis: scripts about rooms, the nodes' inboxes, its lease.

Messages to other nodes may be lost, repeated, or come twice: `links` repairs it.
"""

import asyncio
import contextlib
import logging
import re
import secrets
import time
from collections.abc import Callable, Iterable
from typing import Any

import msgpack

from dyad_server.engines.redis.client import FAILURES, connect, explain, hang_up
from dyad_server.engines.redis.lease import LEASE_SECONDS, Lease
from dyad_server.engines.redis.pipeline import (
    INBOX_MS,
    RETRY_SECONDS,
    ROUND_TRIP_SECONDS,
    Call,
    Message,
    Pipeline,
    Then,
)
from dyad_server.errors import ConfigError

log = logging.getLogger("dyad.bus")

# A lease that Redis lost is missed for longer before others believe it: see node.lua.
_RENEW_SECONDS = 1.0
_PROBE_SECONDS = 1.0
_NODE_BYTES = 8
NODE_NAME = re.compile(f"[0-9a-f]{{{2 * _NODE_BYTES}}}")
"""What a node's name looks like."""
_PROBE_LATE_SECONDS = 3.0
_STOP_SECONDS = 2.0
_GENERATION_MS = 3_600_000
_MISSING_MS = 180_000
_READ_ENTRIES = 256
_READ_BLOCK_MS = 500


class Bus:
    """A node among others.

    Attributes:
        node: its name, new with each start.
        prefix: what all its keys begin with.
        lease: how it stands.
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
            url: see `redis_client.connect`.
            hear: is given the messages to this node, in order.
            renewed: is called after each renewal of the lease.
            expired: is called when the lease may have run out.
            prefix: what all keys begin with.
            settle_seconds: how old a generation must be before anybody enters.

        Raises:
            ConfigError: that is no such URL.
        """
        self.node = secrets.token_hex(_NODE_BYTES)
        self.prefix = prefix
        self.lease = Lease(settle_seconds)
        self._hear = hear
        self._renewed = renewed
        self._expired = expired
        self._client = connect(url, ROUND_TRIP_SECONDS)
        self._reader = connect(url, _READ_BLOCK_MS / 1000 + ROUND_TRIP_SECONDS)
        # When Redis has fallen silent, perhaps it is there again at once.
        self._pipeline = Pipeline(self._client, self._renewal, self.hurry)
        self._hurry = asyncio.Event()
        self._last_id = "0"
        self._probed = 0.0
        self._stopping = False
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def up(self) -> bool:
        """Whether Redis answered last time."""
        return self._pipeline.up

    @property
    def settled(self) -> bool:
        """Whether all nodes have had time to notice the generation."""
        return not self.lease.unsettled_for(time.monotonic())

    @property
    def holds(self) -> bool:
        """Whether nobody can believe this node to be gone, nor did since the term began."""
        return self.lease.holds(time.monotonic())

    async def start(self) -> None:
        """Connect, take a lease and begin, once the data in Redis has settled.

        Where Redis is away, begin all the same: rooms can be entered when it comes.

        Raises:
            ConfigError: Redis refuses this node, or is not fit.
        """
        try:
            async with asyncio.timeout(2 * ROUND_TRIP_SECONDS):
                await self._pipeline.flush()
        except FAILURES as error:
            await hang_up(self._client)
            if refused := await explain(self._client, error):
                await self._close()
                raise refused from None
            self._pipeline.fall(error)
        except ConfigError:
            await self._close()
            raise
        self._probed = time.monotonic()
        loop = asyncio.get_running_loop()
        self._tasks = [
            loop.create_task(self._pipeline.keep_asking(), name="dyad-bus-ask"),
            loop.create_task(self._read(), name="dyad-bus-read"),
            loop.create_task(self._beat(), name="dyad-bus-beat"),
        ]
        await asyncio.sleep(self.lease.unsettled_for(time.monotonic()))

    async def stop(self) -> None:
        """Let what was asked go out, give the lease back, and end."""
        # By a flag, as the pipeline.
        self._stopping = True
        self._pipeline.stop(_STOP_SECONDS)
        self._hurry.set()
        # Wakes the reader.
        self.post(self.node, ["probe"])
        await asyncio.wait(self._tasks, timeout=_STOP_SECONDS)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with contextlib.suppress(*FAILURES):
            async with asyncio.timeout(ROUND_TRIP_SECONDS):
                await self._client.delete(self.key("node", self.node), self.key("in", self.node))
                # Missed for ever: nobody is to wait for it.
                await self._client.set(self.key("missing", self.node), 0, px=_MISSING_MS)
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
        size: int = 0,
    ) -> None:
        """Run a script about a room.

        Args:
            name: which.
            keys: its keys, the room's first.
            arguments: what follows those of `node.lua`.
            then: is given its answer; None if none comes in time.
            seconds: how long it has.
            persist: for how long it is asked all the same, for its effect.
            size: how many bytes it carries, where they are many.
        """
        call = self._script(name, keys, arguments, then)
        call.size = size
        call.expect(seconds, persist)
        self._pipeline.ask(call)

    def command(self, add: Callable[[Any], None], then: Then, seconds: float) -> None:
        """Ask what `add` puts into a pipeline (one command); as `script`."""
        call = Call(add, then)
        call.expect(seconds)
        self._pipeline.ask(call)

    def begin_term(self, asserts: Iterable[tuple[list[str], list[Any], Then]]) -> None:
        """Declare void who sat here but those of `asserts`: each one's keys, arguments, then."""
        self.lease.begin_term()
        calls = [self._script("assert", *seat) for seat in asserts]
        for call in calls:
            call.expect(LEASE_SECONDS)
        # Before what was asked already: others may not enter in between.
        self._pipeline.ask_first([self._renewal(), *calls])

    def hurry(self) -> None:
        """Renew the lease now: Redis has forgotten, it seems."""
        self._hurry.set()

    def check(self) -> None:
        """Take note if the lease may have run out."""
        if self.lease.ran_out(time.monotonic()):
            self._expired()

    def post(self, node: str, message: Message) -> None:
        """Send a message to a node, or lose it; to nobody where `node` is empty."""
        if node:
            self._pipeline.post(self.key("node", node), self.key("in", node), message)

    def _script(self, name: str, keys: list[str], arguments: list[Any], then: Then) -> Call:
        def add(pipe: Any) -> None:
            lease, pipeline = self.lease, self._pipeline
            standing = (self.prefix, lease.generation, self.node, lease.term, pipeline.voice)
            pipeline.run(pipe, name, keys, (*standing, *arguments))

        return Call(add, then)

    def _renewal(self) -> Call:
        asked_at = time.monotonic()
        keys = [self.key("node", self.node), self.key("generation"), self.key("in", self.node)]
        keys += [self.key("missing", self.node), self.key("voice", self.node)]

        def add(pipe: Any) -> None:
            standing = (self.lease.term, self._pipeline.voice)
            times = (int(LEASE_SECONDS * 1000), _GENERATION_MS, INBOX_MS)
            self._pipeline.run(pipe, "lease", keys, (*standing, *times, self._last_id))

        def renewed(answer: list[bytes] | None) -> None:
            if answer:
                if self.lease.ran_out(asked_at):
                    self._expired()
                now = time.monotonic()
                generation, age_ms, back = answer
                age = int(age_ms) / 1000
                self.lease.renewed(asked_at, now, generation.decode(), age, back)
                self._renewed()

        call = Call(add, renewed)
        call.expect(ROUND_TRIP_SECONDS)
        return call

    async def _read(self) -> None:
        key = self.key("in", self.node)
        while not self._stopping:
            try:
                found = await self._reader.xread(
                    {key: self._last_id}, count=_READ_ENTRIES, block=_READ_BLOCK_MS
                )
            except Exception as error:  # noqa: BLE001 - a node that fell deaf would stay so
                self._pipeline.fall(error)
                self._forget_place()
                await hang_up(self._reader)
                await asyncio.sleep(RETRY_SECONDS)
                continue
            for entry_id, fields in found[0][1] if found else ():
                self._last_id = entry_id.decode()
                self._take(fields)

    def _forget_place(self) -> None:
        # Redis may be another one by now, whose numbers are behind; what comes
        # twice is passed over.
        self._last_id = "0"

    def _take(self, fields: dict[bytes, bytes]) -> None:
        try:
            messages = msgpack.unpackb(fields[b"m"])
            if ["probe"] in messages:
                self._probed = time.monotonic()
            self._hear([message for message in messages if message != ["probe"]])
        except Exception:
            # One that fails must not silence the node.
            log.exception("an entry of another node was not understood")

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
                    self._pipeline.fall(TimeoutError("probe"))
                    self._forget_place()
                    await hang_up(self._client)
                    await hang_up(self._reader)
            if now >= renew_at:
                renew_at = now + _RENEW_SECONDS
                self._pipeline.ask_first([self._renewal()])

    async def _close(self) -> None:
        for client in (self._client, self._reader):
            await hang_up(client)
            await client.aclose()
