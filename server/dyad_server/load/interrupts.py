"""Ctrl-C: the first one hangs up all calls, the second one ends the run at once."""

import asyncio
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager

from dyad_server.grpc_environment import STOP_SIGNALS


class Interrupts:
    """What the person at the keyboard wants.

    Attributes:
        stop: is set when the run is to stop.
        kill: is set when it is to end at once.
    """

    def __init__(self) -> None:
        self.stop = asyncio.Event()
        self.kill = asyncio.Event()

    def interrupt(self) -> None:
        """Note a signal."""
        if self.stop.is_set():
            self.kill.set()
        self.stop.set()


@contextmanager
def interrupts() -> Iterator[Interrupts]:
    """The signals that arrive while the context lasts."""
    loop = asyncio.get_running_loop()
    found = Interrupts()
    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, found.interrupt)
    try:
        yield found
    finally:
        for number in STOP_SIGNALS:
            loop.remove_signal_handler(number)


async def unless(event: asyncio.Event, work: Awaitable[None]) -> bool:
    """Do the work until the event is set; returns whether the work was done.

    Raises:
        Exception: what the work raises.
    """
    doing = asyncio.ensure_future(work)
    waiting = asyncio.create_task(event.wait())
    try:
        await asyncio.wait({doing, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if doing.done():
            doing.result()
            return True
        return False
    finally:
        doing.cancel()
        waiting.cancel()
        await asyncio.wait({doing, waiting})
