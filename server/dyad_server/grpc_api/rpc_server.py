"""The port of a server that serves RPCs: `aio` is one adapter, `completion_queue` the other."""

from typing import Protocol

import grpc

from dyad_server.grpc_api.rpc_stream import Methods


class RpcServer(Protocol):
    """Serves methods on one port."""

    @property
    def services(self) -> list[str]:
        """The full names of the services that were added."""

    def add(self, methods: Methods) -> None:
        """Serve these methods too; before the start."""

    def listen(self, address: str, credentials: grpc.ServerCredentials | None) -> int:
        """Listen on `address`, with TLS if there are credentials; returns the port.

        Raises:
            RuntimeError: the port is taken, or the address is not this host's.
        """

    async def start(self) -> None:
        """Accept RPCs."""

    async def stop(self, seconds: float | None) -> None:
        """Refuse new RPCs, let those under way go on for at most `seconds`, then cancel them."""
