"""An outlet that writes nothing. Tests override the methods that they watch."""

from dyad_server.errors import Ended


class Silent:
    """An outlet that ignores everything."""

    transport = "Signal"

    def wake(self) -> None: ...

    def beat(self) -> None: ...

    def end(self, failure: Ended) -> None: ...
