"""An outlet that writes nothing: tests override what they watch."""

from dyad_server.errors import Ended


class Silent:
    """Ignores whatever a connection asks of it."""

    def wake(self) -> None: ...

    def beat(self) -> None: ...

    def end(self, failure: Ended) -> None: ...
