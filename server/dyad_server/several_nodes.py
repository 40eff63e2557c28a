"""Composes what several nodes need; `app` imports it where Redis is configured."""

import functools

from dyad_server.core.clock import Clock
from dyad_server.core.hub import Hub
from dyad_server.core.ports import Deliver
from dyad_server.engines.redis.engine import RedisBroker
from dyad_server.engines.redis.handoff import Fleet
from dyad_server.engines.redis.membership import Membership
from dyad_server.grpc_api.inbound import Inbound, Terms


class SeveralNodes:
    """Makes what a hub needs to work with the other nodes of one Redis."""

    def __init__(self, url: str, prefix: str, grace: float, terms: Terms, clock: Clock) -> None:
        """Prepare both, without reaching Redis.

        Args:
            url: of Redis.
            prefix: begins the name of each key, before a colon.
            grace: seconds that a reserved seat waits for its participant.
            terms: of the `Send`s that other nodes forward.
            clock: of this server.
        """
        self._make_membership = functools.partial(Membership, url, clock, prefix=f"{prefix}:")
        self._grace = grace
        self._terms = terms
        self._broker: RedisBroker | None = None

    def make_broker(self, deliver: Deliver) -> RedisBroker:
        """A broker whose rooms are in Redis."""
        self._broker = RedisBroker(self._make_membership, deliver)
        return self._broker

    def make_handoff(self, hub: Hub) -> Fleet:
        """The way from `hub` to the other nodes; after `make_broker`."""
        assert self._broker is not None  # noqa: S101 - a hub makes its broker first
        take_send = Inbound(hub, self._terms).forwarded_send
        return Fleet(hub, self._broker, self._grace, take_send)
