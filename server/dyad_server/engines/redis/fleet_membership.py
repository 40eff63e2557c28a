"""This node as one of several on a Redis: its lease, its probes, its inbox.

Messages to other nodes may be lost or come twice: `peer_links` and `node_questions` repair that.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, TypeVar, get_args

from dyad_server.core.clock import Clock
from dyad_server.core.counts import FleetCounts
from dyad_server.engines.redis import bounds
from dyad_server.engines.redis.client import FAILURES, Words, connect, explain, hang_up
from dyad_server.engines.redis.inbox_reader import InboxReader
from dyad_server.engines.redis.messages import (
    ENTRY,
    NODE,
    Ack,
    NodeMessage,
    Probe,
    Question,
    Unknown,
    read_message,
)
from dyad_server.engines.redis.node_lease import NodeLease
from dyad_server.engines.redis.node_names import new_node
from dyad_server.engines.redis.pipeline import Pipeline, RedisCommand
from dyad_server.engines.redis.script_answers import Renewal, Verdict
from dyad_server.engines.redis.store import Script, Store
from dyad_server.errors import ConfigError
from dyad_server.log_line import Line

log = logging.getLogger("dyad.redis")

T = TypeVar("T")
# An assertion of a seat, and what receives its answer.
Assertion = tuple[Script[Verdict], Callable[[Verdict | None], None]]


class FleetMembership:
    """A node among others.

    Attributes:
        node: its name, new with each start.
        name: of the Redis, if there are several.
        store: the scripts that can be asked.
        lease: its lease.
        clock: of this server.
        counts: what it has counted since its start.
    """

    def __init__(
        self,
        url: str,
        clock: Clock,
        hear: Callable[[str, list[NodeMessage | Unknown]], None],
        renewed: Callable[[], None],
        expired: Callable[[], None],
        *,
        node: str = "",
        name: str = "",
        prefix: str = "dyad:",
        settle_seconds: float = bounds.SETTLE_SECONDS,
    ) -> None:
        """Be a node of the Redis at `url`.

        Args:
            url: see `client.connect`.
            clock: of this server.
            hear: receives the messages of a node to this one, in order.
            renewed: is called after each renewal of the lease.
            expired: is called when the lease may have run out.
            node: the name of this node; empty: a new one.
            name: of this Redis in the log, if there are several.
            prefix: what all keys begin with.
            settle_seconds: how old a generation must be before anyone enters.

        Raises:
            ConfigError: that is no such URL.
        """
        self.node = node or new_node()
        self.name = name
        self._named = {"redis": name} if name else {}
        self.store = Store(prefix, name)
        self.lease = NodeLease(settle_seconds)
        self.clock = clock
        self.counts = FleetCounts(
            (kind.__name__ for kind in (*get_args(NodeMessage), Unknown)),
            (kind.__name__ for kind in get_args(Question)),
        )
        self._hear = hear
        self._renewed = renewed
        self._expired = expired
        self._client = connect(url, None)
        # When Redis has fallen silent, it may be back at once.
        self._pipeline = Pipeline(
            self._client,
            self.store,
            self.node,
            clock,
            opening=self._renewal,
            fell=self._fell,
            took=self.counts.round_trips.note,
            named=self._named,
        )
        inbox = self.store.keys.inbox(self.node)
        self._inbox = InboxReader(url, inbox, self._take, self._pipeline.fall)
        self._hurry = asyncio.Event()
        # When the last probe came back, and when the first was sent that has not.
        self._probed = 0.0
        self._probing_since: float | None = None
        self._lost_at = 0.0
        self._stopping = False
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def up(self) -> bool:
        """Whether Redis answered last time."""
        return self._pipeline.up

    @property
    def settled(self) -> bool:
        """Whether all nodes have had time to notice the generation."""
        return not self.lease.unsettled_for(self.clock.monotonic())

    @property
    def holds(self) -> bool:
        """Whether no node can believe this one gone, and none did since the term began."""
        return self.lease.holds(self.clock.monotonic())

    async def start(self) -> None:
        """Connect and take a lease; return once the data in Redis has settled.

        Where Redis is away, return too: rooms can be entered when it comes.

        Raises:
            ConfigError: Redis refuses this node, is not fit, or has data in another layout.
        """
        try:
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
        self._probed = self.clock.monotonic()
        loop = asyncio.get_running_loop()
        self._tasks = [
            loop.create_task(self._pipeline.keep_asking(), name="dyad-redis-ask"),
            loop.create_task(self._inbox.keep_reading(), name="dyad-redis-read"),
            loop.create_task(self._keep_renewing(), name="dyad-redis-renew"),
        ]
        await asyncio.sleep(self.lease.unsettled_for(self.clock.monotonic()))

    async def stop(self) -> None:
        """Send what waits, give the lease back, and end."""
        # By a flag, as the pipeline does.
        self._stopping = True
        self._pipeline.stop(bounds.STOP_SECONDS)
        self._inbox.stop()
        self._hurry.set()
        # Wakes the inbox.
        self.post(self.node, Probe())
        await asyncio.wait(self._tasks, timeout=bounds.STOP_SECONDS)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with contextlib.suppress(*FAILURES):
            await self._pipeline.retire()
        await self._close()

    def ask(
        self,
        script: Script[T],
        then: Callable[[T | None], None],
        seconds: float,
        *,
        persist: float = 0.0,
    ) -> Callable[[], None]:
        """Run a script; returns what withdraws it, as far as it has not been sent.

        Args:
            script: from `store`.
            then: receives its answer; None if none comes in time.
            seconds: how long it waits for that.
            persist: for how much longer the script is repeated, for its effect.
        """
        command = self._command(partial(_same, script), then, script.size)
        command.expect(self.clock, seconds, persist)
        self._pipeline.ask(command)
        return command.withdraw

    def begin_term(self, assertions: Iterable[Assertion]) -> None:
        """Make void all seats of this node, except those asserted here."""
        self.lease.begin_term()
        commands = [self._command(partial(_same, script), then) for script, then in assertions]
        for command in commands:
            command.expect(self.clock, bounds.LEASE_SECONDS)
        # Before what was asked already: no other member may enter in between.
        self._pipeline.ask_first([self._renewal(), *commands])

    def hurry(self) -> None:
        """Renew the lease now, because Redis may have forgotten."""
        self._hurry.set()

    def check(self) -> None:
        """Notice if the lease may have run out."""
        if self.lease.ran_out(self.clock.monotonic()):
            self._lease_ran_out()

    def post(self, node: str, message: NodeMessage) -> None:
        """Send a message to a node, or lose it; to none where `node` is empty."""
        if node:
            self.counts.posted(type(message).__name__)
            # An answer of the receiver may follow, and take the acknowledgement with it.
            seconds = bounds.ACK_SECONDS if isinstance(message, Ack) else 0.0
            self._pipeline.post(node, NODE.write(message), seconds)

    def _fell(self) -> None:
        self.counts.store_fell()
        self.hurry()

    def _lease_ran_out(self) -> None:
        self.counts.lease_ran_out()
        self._lost_at = self.clock.monotonic()
        log.warning(Line("lease lost: calls between this node and others end", **self._named))
        self._expired()

    def regain_lease(self) -> None:
        """Note that all members are asserted: see `NodeLease.regain`."""
        now, was_lost = self.clock.monotonic(), self.lease.fenced
        self.lease.regain(now)
        if was_lost and not self.lease.fenced:
            seconds = round(now - self._lost_at, 1)
            log.info(Line("lease regained", seconds=seconds, **self._named))

    def _command(
        self, script_now: Callable[[], Script[T]], then: Callable[[T | None], None], size: int = 0
    ) -> RedisCommand:
        """The command that runs a script, as it and this node are when it is sent."""
        read: Callable[[Any], T]

        def words() -> Words:
            nonlocal read
            script, lease, pipeline = script_now(), self.lease, self._pipeline
            read = script.read
            caller = (self.store.keys.prefix, lease.generation, self.node, lease.term)
            arguments = (*caller, pipeline.fence, *script.arguments)
            return pipeline.script(script.name, script.keys, arguments)

        return RedisCommand(
            words, lambda answer: then(None if answer is None else read(answer)), size
        )

    def _renewal(self) -> RedisCommand:
        asked_at = self.clock.monotonic()

        def renewed(renewal: Renewal | None) -> None:
            if renewal is not None:
                if self.lease.ran_out(asked_at):
                    self._lease_ran_out()
                now = self.clock.monotonic()
                new_data = renewal.generation != self.lease.generation
                if new_data and self.lease.generation:
                    log.warning("redis has lost its data: this node asserts its seats again")
                self.counts.renewed(now, new_data=new_data)
                self.lease.renewed(asked_at, now, renewal)
                self._renewed()

        inbox, store = self._inbox, self.store
        command = self._command(lambda: store.renew_lease(self.node, inbox.last_id), renewed)
        command.expect(self.clock, bounds.ROUND_TRIP_SECONDS)
        return command

    def _take(self, entry: bytes) -> None:
        read = ENTRY.unpack(entry)
        messages: list[NodeMessage | Unknown] = []
        for data in read.messages:
            message = read_message(data)
            self.counts.came(type(message).__name__)
            if isinstance(message, Probe):
                self._probed = now = self.clock.monotonic()
                if self._probing_since is not None:
                    self.counts.probes.note(now - self._probing_since)
                    self._probing_since = None
            else:
                messages.append(message)
        self._hear(read.node, messages)

    async def _keep_renewing(self) -> None:
        """Renew the lease, and see that messages of this node to itself come back."""
        now = probe_at = self.clock.monotonic()
        renew_at = now + bounds.RENEW_SECONDS
        while not self._stopping:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(renew_at, probe_at) - now):
                    await self._hurry.wait()
                    renew_at = 0.0
            self._hurry.clear()
            now = self.clock.monotonic()
            if now >= probe_at:
                probe_at = now + bounds.PROBE_SECONDS
                if self._probing_since is None:
                    self._probing_since = now
                self.post(self.node, Probe())
                if now - self._probed > bounds.PROBE_LATE_SECONDS:
                    # Something on the way is stuck: begin again on new connections.
                    self._probed = now
                    self._pipeline.fall(TimeoutError("probe"))
                    await hang_up(self._client)
                    await self._inbox.begin_again()
            if now >= renew_at:
                renew_at = now + bounds.RENEW_SECONDS
                self._pipeline.ask_first([self._renewal()])

    async def _close(self) -> None:
        await hang_up(self._client)
        await self._client.aclose()
        await self._inbox.close()


def _same(script: Script[T]) -> Script[T]:
    return script
