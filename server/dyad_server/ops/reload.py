"""Files whose content changes while the server runs: keys and certificates.

The files are read again every 2 s, and at once when an operator asks for it. Only content
counts: a folder that Kubernetes replaces as a whole needs no special care, and neither does a
file system that reports no changes.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, NoReturn, TypeVar

from dyad_server.errors import ConfigError
from dyad_server.ops import bounds

_log = logging.getLogger("dyad.reload")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Unreadable:
    sentence: str


class Watched(Generic[T]):
    """Files that were read at the start, and may change.

    Attributes:
        name: what the log calls them.
        refused: why their latest content is not in force; empty if it is.
        outcomes: how many changes were put in force (`done`), and how many were `refused`.
    """

    def __init__(self, name: str, read: Callable[[], T], use: Callable[[T], object]) -> None:
        """Read the files, and put their content in force.

        Args:
            name: what the log calls them.
            read: reads the files, which blocks. Equal results mean: unchanged.
            use: puts the content in force. If it raises ConfigError, what was in force before
                stays in force.

        Raises:
            ConfigError: the files cannot be read, or their content is unfit.
        """
        self.name = name
        self.refused = ""
        self.outcomes = {"done": 0, "refused": 0}
        self._read = read
        self._use = use
        first = read()
        use(first)
        self._last: T | _Unreadable = first
        self._candidate: T | _Unreadable = first

    async def look(self, *, patient: bool) -> None:
        """Read the files, and put changed content in force.

        Args:
            patient: only if the files were the same at the last look. Otherwise one file may
                be of the new pair and the other of the old, or half written.
        """
        content = await asyncio.to_thread(self._content)
        settled, self._candidate = content == self._candidate, content
        if content == self._last:
            if not patient:
                _log.info("%s unchanged", self.name)
        elif settled or not patient:
            self._last = content
            self._try(content)

    def _content(self) -> T | _Unreadable:
        try:
            return self._read()
        except ConfigError as error:
            return _Unreadable(str(error))

    def _try(self, content: T | _Unreadable) -> None:
        try:
            if isinstance(content, _Unreadable):
                raise ConfigError(content.sentence)  # noqa: TRY301 - handled like unfit content
            self._use(content)
        except ConfigError as error:
            self.refused = str(error)
            self.outcomes["refused"] += 1
            _log.error("%s not reloaded, what was in force stays: %s", self.name, error)
        else:
            self.refused = ""
            self.outcomes["done"] += 1
            _log.info("%s reloaded", self.name)


class Reloader:
    """Looks at watched files, until `keep` is cancelled.

    Attributes:
        watched: the files.
    """

    def __init__(self) -> None:
        self.watched: list[Watched[Any]] = []
        self._asked = asyncio.Event()

    def watch(self, *watched: Watched[Any]) -> None:
        """Look at these files too."""
        self.watched += watched

    def look_now(self) -> None:
        """Look at the files now, and log also that nothing has changed."""
        self._asked.set()

    async def keep(self) -> NoReturn:
        """Look at the files periodically."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(bounds.RELOAD_SECONDS if self.watched else None):
                    await self._asked.wait()
            patient = not self._asked.is_set()
            self._asked.clear()
            for each in self.watched:
                try:
                    await each.look(patient=patient)
                except Exception as error:  # noqa: BLE001 - without a thread, say; the next look may succeed
                    _log.error("%s not read: %s", each.name, type(error).__name__)
