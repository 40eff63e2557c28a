"""What the hub tells whoever counts or logs; it knows neither metrics nor logs."""

from collections.abc import Iterable
from typing import Protocol

from dyad_server.core.events import Output
from dyad_server.errors import Ended


class Observer(Protocol):
    """Is told what happens; the hub knows neither metrics nor logs."""

    def opened(self, participants: int) -> None:
        """A participant came; now there are this many."""

    def closed(self, participants: int, failure: Ended | None) -> None:
        """A participant went; `failure` is None when it went by itself."""

    def held(self) -> None:
        """A participant's connection broke, and its seat is held."""

    def resumed(self) -> None:
        """A participant took its seat again."""

    def handed_over(self, *, kept: bool) -> None:
        """A seat was to be handed over to the other nodes; `kept`: it was."""

    def delivered(self, output: Output) -> None:
        """Something was told to a participant."""


class Observers:
    """Several, told one after the other."""

    def __init__(self, observers: Iterable[Observer]) -> None:
        self._observers = tuple(observers)

    def opened(self, participants: int) -> None:
        """See `Observer.opened`."""
        for observer in self._observers:
            observer.opened(participants)

    def closed(self, participants: int, failure: Ended | None) -> None:
        """See `Observer.closed`."""
        for observer in self._observers:
            observer.closed(participants, failure)

    def held(self) -> None:
        """See `Observer.held`."""
        for observer in self._observers:
            observer.held()

    def resumed(self) -> None:
        """See `Observer.resumed`."""
        for observer in self._observers:
            observer.resumed()

    def handed_over(self, *, kept: bool) -> None:
        """See `Observer.handed_over`."""
        for observer in self._observers:
            observer.handed_over(kept=kept)

    def delivered(self, output: Output) -> None:
        """See `Observer.delivered`."""
        for observer in self._observers:
            observer.delivered(output)
