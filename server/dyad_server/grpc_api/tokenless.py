"""Bounds on the number of concurrent RPCs that need no token."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from dyad_server.core.limits import Quota
from dyad_server.errors import Ended, Overloaded
from dyad_server.grpc_api import status
from dyad_server.grpc_api.client_address import Origin
from dyad_server.grpc_api.streams import Context

_ALL = ""


class Places:
    """Limits concurrent RPCs, in total and per address.

    A place is taken until its handler has ended. The handler of a client that does not
    read does not end, because gRPC cannot drop an RPC whose last message is unread.
    """

    def __init__(self, origin: Origin, *, at_once: int, per_address: int) -> None:
        self._origin = origin
        self._in_all = Quota(at_once)
        self._addresses = Quota(per_address)

    @asynccontextmanager
    async def place(self, context: Context) -> AsyncIterator[None]:
        """Take a place for this RPC, and turn an `Ended` from inside into its status.

        If no place is left, the status is RESOURCE_EXHAUSTED.
        """
        try:
            with self._taken(context):
                yield
        except Ended as failure:
            code = status.STATUS[type(failure)]
            await context.abort(code, str(failure), status.trailers(failure))

    @contextmanager
    def _taken(self, context: Context) -> Iterator[None]:
        address = self._origin.address(context.peer(), context.invocation_metadata())
        if self._in_all.full(_ALL) or self._addresses.full(address):
            raise Overloaded("There are too many such requests already.")
        self._in_all.take(_ALL)
        self._addresses.take(address)
        try:
            yield
        finally:
            self._in_all.give_back(_ALL)
            self._addresses.give_back(address)
