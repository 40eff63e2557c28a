"""Reads a node's inbox: what other nodes have posted."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from dyad_server.engines.redis import bounds
from dyad_server.engines.redis.client import Wire, connect, hang_up
from dyad_server.engines.redis.store import ENTRY

log = logging.getLogger("dyad.inbox")

_READ = ("XREAD", "COUNT", bounds.READ_ENTRIES, "BLOCK", bounds.READ_BLOCK_MS)


class InboxReader:
    """The inbox of this node, read on a connection of its own.

    Attributes:
        last_id: the last entry that was read.
    """

    def __init__(
        self,
        url: str,
        key: str,
        deliver: Callable[[bytes], None],
        fell: Callable[[Exception], None],
    ) -> None:
        """Read the inbox at `key` of the Redis at `url`.

        Args:
            url: see `client.connect`.
            key: where the inbox is.
            deliver: receives each entry, in order.
            fell: is called when Redis does not answer.

        Raises:
            ConfigError: that is no such URL.
        """
        self.last_id = "0"
        self._key = key
        self._deliver = deliver
        self._fell = fell
        self._client: Any = connect(url, None)
        self._wire = Wire(self._client, bounds.READ_BLOCK_MS / 1000 + bounds.ROUND_TRIP_SECONDS)
        self._stopping = False

    async def keep_reading(self) -> None:
        """Read until `stop`."""
        while not self._stopping:
            try:
                (found,) = await self._wire.ask(
                    [(*_READ, "STREAMS", self._key, self.last_id)],
                )
                if isinstance(found, Exception):
                    raise found  # noqa: TRY301 - as if it had been raised
            except Exception as error:  # noqa: BLE001 - or the node would never receive again
                self._fell(error)
                await self.begin_again()
                await asyncio.sleep(bounds.RETRY_SECONDS)
                continue
            for entry_id, fields in found[0][1] if found else ():
                self.last_id = entry_id.decode()
                self._take(dict(zip(fields[::2], fields[1::2], strict=True)))
            if found:
                await asyncio.sleep(bounds.POST_SECONDS)

    def stop(self) -> None:
        """End `keep_reading` with the next entry, or when the read times out."""
        self._stopping = True

    async def begin_again(self) -> None:
        """Read all entries that are still there, on a new connection.

        Redis may be another one by now, whose ids are behind. What is read twice
        does no harm.
        """
        self.last_id = "0"
        await hang_up(self._client)

    async def close(self) -> None:
        """Close the connection."""
        await hang_up(self._client)
        await self._client.aclose()

    def _take(self, fields: dict[bytes, bytes]) -> None:
        try:
            self._deliver(fields[ENTRY])
        except Exception:
            # An entry that fails must not stop the node from receiving.
            log.exception("handling an inbox entry of another node failed")
