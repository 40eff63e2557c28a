"""Bounds on how many RPCs without a token there are at one time."""

from dyad_server.core.limits import Quota
from dyad_server.errors import Overloaded, Reason
from dyad_server.grpc_api.client_address import Origin
from dyad_server.grpc_api.rpc_stream import Stream

_ALL = ""


class RpcLimit:
    """Limits the RPCs that are under way, in total and per address.

    An RPC whose client does not read stays under way, because gRPC cannot drop a message
    that it has accepted to write.
    """

    def __init__(self, origin: Origin, *, at_once: int, per_address: int) -> None:
        self._origin = origin
        self._in_all = Quota(at_once)
        self._addresses = Quota(per_address)

    def take(self, stream: Stream) -> None:
        """Count this RPC until it is over.

        Raises:
            Overloaded: too many are under way.
        """
        address = self._origin.address(stream.peer, stream.metadata)
        if self._in_all.full(_ALL) or self._addresses.full(address):
            raise Overloaded("There are too many such requests already.", Reason.OPEN_REQUESTS)
        self._in_all.take(_ALL)
        self._addresses.take(address)
        stream.on_over(lambda: self._give_back(address))

    def _give_back(self, address: str) -> None:
        self._in_all.give_back(_ALL)
        self._addresses.give_back(address)
